/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "text.h"
#include "unit-op.h"

/* The answer is the name of the agent, as deployed clients expect. */
static void reply(struct unit_op *op) {
        Admin__StartResponse response = ADMIN__START_RESPONSE__INIT;
        _cleanup_(freep) char *agent = text_printf("givc-%s.service", op->vm);

        response.registryid = (char *) strempty(agent);
        unit_op_reply(op, &response.base);
}

/* The agent answers when the start job has been done. */
static void started(struct unit_op *op, const Systemd__UnitStatus *state) {
        reply(op);
}

/* Someone else's start has ended; a service that has run to its end by then has been started, too. */
static void waited(struct unit_op *op, const Systemd__UnitStatus *state) {
        if (streq(state->activestate, "failed"))
                unit_op_fail(op, RPC_FAILED_PRECONDITION, "%s in %s was being started and has failed",
                                op->unit, op->vm);
        else
                reply(op);
}

static void seen(struct unit_op *op, const Systemd__UnitStatus *status) {
        struct component_state state = component_state_from_wire(status);

        if (streq(status->loadstate, "not-found"))
                unit_op_fail(op, RPC_NOT_FOUND, "there is no %s in %s", op->unit, op->vm);
        else if (!streq(status->loadstate, "loaded"))
                unit_op_fail(op, RPC_FAILED_PRECONDITION,
                                "%s in %s cannot be started: its load state is \"%s\"", op->unit, op->vm,
                                component_word(status->loadstate));
        else if (component_state_is_up(state))
                reply(op);
        else if (component_state_is_starting(state) && unit_op_entry(op))
                unit_op_wait(op, waited); /* the agent's StartUnit would begin it anew */
        else
                unit_op_ask(op, "StartUnit", started);
}

/* StartService: see what the unit is; leave it alone where it runs; else start it. */
void op_start_service(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__ServiceRequest *request = (const Admin__ServiceRequest *) message;
        struct unit_op *op;

        op = unit_op_new(userdata, call, request->vmname, request->servicename);
        if (op)
                unit_op_ask(op, "GetUnitStatus", seen);
}
