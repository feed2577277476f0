/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-control.h"
#include "application-start.h"
#include "unit-call.h"
#include "unit-message.h"
#include "unit-monitor.h"

static void reply(struct rpc_call *call, const struct whitelist_unit *unit, const struct unit_state *state) {
        Systemd__UnitResponse response = SYSTEMD__UNIT_RESPONSE__INIT;
        Systemd__UnitStatus status;

        unit_message_fill(&status, unit, state);
        response.unitstatus = &status;
        rpc_call_reply(call, &response.base);
}

/* Each method is this with another verb. */
static void begin(struct rpc_call *call, const ProtobufCMessage *message, void *userdata,
                const struct unit_call_verb *verb) {
        const Systemd__UnitRequest *request = (const Systemd__UnitRequest *) message;

        unit_call_begin(userdata, call, request->unitname, verb, reply);
}

static void get_unit_status(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        static const struct unit_call_verb verb = { .name = "show", .spec = { .verb = UNIT_STATUS } };

        begin(call, request, userdata, &verb);
}

/* The deployed agents restart what runs: who starts a unit gets a new one. */
static void start_unit(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        static const struct unit_call_verb verb = { .name = "start", .spec = { .verb = UNIT_RESTART } };

        begin(call, request, userdata, &verb);
}

static void stop_unit(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        static const struct unit_call_verb verb = { .name = "stop", .spec = { .verb = UNIT_STOP } };

        begin(call, request, userdata, &verb);
}

static void kill_unit(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        static const struct unit_call_verb verb = { .name = "kill", .spec = { .verb = UNIT_KILL } };

        begin(call, request, userdata, &verb);
}

static void freeze_unit(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        static const struct unit_call_verb verb = {
                .name = "freeze", .spec = { .verb = UNIT_FREEZE }, .suspends = true
        };

        begin(call, request, userdata, &verb);
}

static void unfreeze_unit(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        static const struct unit_call_verb verb = { .name = "unfreeze", .spec = { .verb = UNIT_THAW } };

        begin(call, request, userdata, &verb);
}

static const struct rpc_method methods[] = {
        { .name = "StartApplication", .handle = application_start_handle, .charges = QUOTA_OPERATIONS },
        { .name = "StartUnit", .handle = start_unit, .charges = QUOTA_OPERATIONS },
        { .name = "StopUnit", .handle = stop_unit, .charges = QUOTA_OPERATIONS },
        { .name = "KillUnit", .handle = kill_unit, .charges = QUOTA_OPERATIONS },
        { .name = "FreezeUnit", .handle = freeze_unit, .charges = QUOTA_OPERATIONS },
        { .name = "UnfreezeUnit", .handle = unfreeze_unit, .charges = QUOTA_OPERATIONS },
        { .name = "GetUnitStatus", .handle = get_unit_status, .charges = QUOTA_OPERATIONS },
        { .name = "MonitorUnit",
                        .handle = unit_monitor_handle,
                        .streams_response = true,
                        .charges = QUOTA_MONITORS },
};

const struct rpc_service unit_control_service = {
        .descriptor = &systemd__unit_control_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
