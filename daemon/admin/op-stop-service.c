/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "recovery.h"
#include "unit-op.h"

/* Both texts are what deployed scripts compare. */
static void reply(struct unit_op *op) {
        Admin__ApplicationResponse response = ADMIN__APPLICATION_RESPONSE__INIT;

        response.cmdstatus = (char *) "Command successful.";
        response.appstatus = (char *) "Command successful.";
        unit_op_reply(op, &response.base);
}

/* The agent answers when the stop job has been done: what runs now has been started again, by its Restart=
 * or socket. */
static void stopped(struct unit_op *op, const Systemd__UnitStatus *status) {
        if (component_state_is_down(component_state_from_wire(status)))
                reply(op);
        else
                unit_op_fail(op, RPC_FAILED_PRECONDITION, "%s in %s was stopped, but is %s/%s again",
                                op->unit, op->vm, component_word(status->activestate),
                                component_word(status->substate));
}

static void seen(struct unit_op *op, const Systemd__UnitStatus *status) {
        if (component_state_is_down(component_state_from_wire(status))) {
                if (streq(status->loadstate, "not-found"))
                        unit_op_fail(op, RPC_NOT_FOUND, "there is no %s in %s", op->unit, op->vm);
                else
                        reply(op);
                return;
        }
        unit_op_ask(op, "StopUnit", stopped);
}

/* StopService: see what the unit is; stop it where it is not down; answer once it is. */
void op_stop_service(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__ServiceRequest *request = (const Admin__ServiceRequest *) message;
        struct manager *manager = userdata;
        struct unit_op *op;

        op = unit_op_new(manager, call, request->vmname, request->servicename);
        if (!op)
                return;
        recovery_forget(manager->recovery, request->servicename);
        unit_op_ask(op, "GetUnitStatus", seen);
}
