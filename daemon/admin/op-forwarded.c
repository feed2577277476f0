/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "answer.h"
#include "forward.h"

#include "admin.pb-c.h"

/* The VM that has the security keys. */
#define CTAP_VM "gui-vm"

void op_get_stats(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__StatsRequest *request = (const Admin__StatsRequest *) message;
        Stats__StatsRequest passed_on = STATS__STATS_REQUEST__INIT;
        const struct forward_target target = {
                .vm = request->vmname,
                .service = &stats__stats_service__descriptor,
                .method = "GetStats",
                .quiet = true,
        };

        forward_unary(userdata, call, &target, &passed_on.base);
}

void op_sysinfo(struct rpc_call *call, _unused_ const ProtobufCMessage *message, void *userdata) {
        Stats__StatsRequest passed_on = STATS__STATS_REQUEST__INIT;
        const struct forward_target target = {
                .service = &stats__stats_service__descriptor,
                .method = "GetSysinfo",
                .quiet = true,
        };

        forward_unary(userdata, call, &target, &passed_on.base);
}

void op_notify_user(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__UserNotificationRequest *request = (const Admin__UserNotificationRequest *) message;
        const struct forward_target target = {
                .vm = request->vmname,
                .service = &notify__user_notification_service__descriptor,
                .method = "NotifyUser",
        };

        if (!request->notification)
                answer_fail(call, RPC_INVALID_ARGUMENT, "there must be a Notification");
        else
                forward_unary(userdata, call, &target, &request->notification->base);
}

void op_ctap(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const struct forward_target target = {
                .vm = CTAP_VM,
                .service = &ctap__ctap__descriptor,
                .method = "Ctap",
        };

        forward_unary(userdata, call, &target, message);
}

/* Who sleeps does not hear. */
void op_wakeup(struct rpc_call *call, _unused_ const ProtobufCMessage *message, _unused_ void *userdata) {
        answer_fail(call, RPC_UNIMPLEMENTED, "Not supported");
}
