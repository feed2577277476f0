/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "agent-link.h"
#include "answer.h"
#include "unit-op.h"

static void reply(struct unit_op *op) {
        Admin__Empty response = ADMIN__EMPTY__INIT;

        unit_op_reply(op, &response.base);
}

static void started(struct unit_op *op, const Systemd__UnitStatus *state) {
        reply(op);
}

/* A host that goes down takes its agent along: losing the connection over which it was asked is how it
 * obeys. */
static bool lost_is_done(struct unit_op *op, const struct rpc_status *status) {
        if (status->code != RPC_UNAVAILABLE && status->code != RPC_CANCELLED)
                return false;
        reply(op);
        return true;
}

/* The host's agent starts a target. Only over a connection that stands: to lose it must mean something. */
static void start_target(
                struct rpc_call *call, struct manager *manager, const char *target, bool goes_down) {
        struct registry_agent *host = registry_find_only(manager->registry, COMPONENT_HOST);
        struct unit_op *op;

        if (!host) {
                answer_fail(call, RPC_FAILED_PRECONDITION,
                                "cannot start %s: no agent of the host has registered", target);
                return;
        }
        if (!host->link || rpc_channel_get_state(agent_link_channel(host->link)) != RPC_CHANNEL_READY) {
                answer_fail(call, RPC_UNAVAILABLE, "cannot start %s: agent %s is not connected", target,
                                host->entry->name);
                return;
        }
        op = unit_op_new(manager, call, host->vm, target);
        if (!op)
                return;
        op->failed = goes_down ? lost_is_done : NULL;
        unit_op_ask(op, "StartUnit", started);
}

void op_poweroff(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        start_target(call, userdata, "poweroff.target", true);
}

void op_reboot(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        start_target(call, userdata, "reboot.target", true);
}

void op_suspend(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        start_target(call, userdata, "suspend.target", false);
}
