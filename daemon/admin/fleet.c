/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fleet.h"

#include "answer.h"
#include "forward-stream.h"
#include "forward.h"
#include "recovery.h"

#include "admin.pb-c.h"

static const char *vm_or_host(const char *vm) {
        return isempty(vm) ? NULL : vm;
}

static const char *verb_name(const Systemd__ManageUnitRequest *request) {
        const ProtobufCEnumValue *value = request
                        ? protobuf_c_enum_descriptor_get_value(
                                          &systemd__unit_verb__descriptor, request->verb)
                        : NULL;

        return value ? value->name : NULL;
}

static void manage_unit(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__ManageUnitRequest *request = (const Admin__ManageUnitRequest *) message;
        const struct forward_target target = {
                .vm = vm_or_host(request->vmname),
                .service = &systemd__unit_manage_service__descriptor,
                .method = "ManageUnit",
                .action = verb_name(request->request),
                .unit = request->request ? request->request->unitname : NULL,
                .quiet = request->request && request->request->verb == SYSTEMD__UNIT_VERB__STATUS,
        };
        struct manager *manager = userdata;

        if (!request->request) {
                answer_fail(call, RPC_INVALID_ARGUMENT,
                                "there must be a Request: which unit, and what to do");
                return;
        }
        if (request->request->verb == SYSTEMD__UNIT_VERB__STOP)
                recovery_forget(manager->recovery, request->request->unitname);
        forward_unary(manager, call, &target, &request->request->base);
}

static void list_units(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__ListUnitsRequest *request = (const Admin__ListUnitsRequest *) message;
        Systemd__ListUnitsRequest passed_on = SYSTEMD__LIST_UNITS_REQUEST__INIT;
        const struct forward_target target = {
                .vm = vm_or_host(request->vmname),
                .service = &systemd__unit_manage_service__descriptor,
                .method = "ListUnits",
                .quiet = true,
        };

        forward_unary(userdata, call, &target, &passed_on.base);
}

static void watch_unit(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__UnitStatusRequest *request = (const Admin__UnitStatusRequest *) message;
        Systemd__WatchUnitsRequest passed_on = SYSTEMD__WATCH_UNITS_REQUEST__INIT;
        const struct forward_target target = {
                .vm = vm_or_host(request->vmname),
                .service = &systemd__unit_watch_service__descriptor,
                .method = "WatchUnits",
        };
        char *name = request->unitname;

        /* No name is all units, to an agent: the stream of one unit was asked for. */
        if (isempty(name)) {
                answer_fail(call, RPC_INVALID_ARGUMENT, "there must be a UnitName");
                return;
        }
        passed_on.unitnames = &name;
        passed_on.n_unitnames = 1;
        forward_stream(userdata, call, &target, &passed_on.base);
}

static void read_logs(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__ReadLogsRequest *request = (const Admin__ReadLogsRequest *) message;
        const struct forward_target target = {
                .vm = vm_or_host(request->vmname),
                .service = &logs__logs_service__descriptor,
                .method = "ReadLogs",
        };

        if (!request->request) {
                answer_fail(call, RPC_INVALID_ARGUMENT, "there must be a Request: whose logs to read");
                return;
        }
        forward_stream(userdata, call, &target, &request->request->base);
}

static void decide(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__DecideRequest *request = (const Admin__DecideRequest *) message;
        const struct forward_target target = {
                .vm = vm_or_host(request->vmname),
                .service = &access__access_service__descriptor,
                .method = "Decide",
                .quiet = true,
        };

        if (!request->request) {
                answer_fail(call, RPC_INVALID_ARGUMENT, "there must be a Request: what to decide on");
                return;
        }
        forward_unary(userdata, call, &target, &request->request->base);
}

static const struct rpc_method methods[] = {
        { .name = "ManageUnit", .handle = manage_unit, .charges = QUOTA_OPERATIONS },
        { .name = "ListUnits", .handle = list_units, .charges = QUOTA_OPERATIONS },
        { .name = "WatchUnit", .handle = watch_unit, .streams_response = true, .charges = QUOTA_RELAYS },
        { .name = "ReadLogs", .handle = read_logs, .streams_response = true, .charges = QUOTA_LOGS },
        { .name = "Decide", .handle = decide, .charges = QUOTA_OPERATIONS },
};

const struct rpc_service fleet_service = {
        .descriptor = &admin__fleet_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
