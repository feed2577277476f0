/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "answer.h"
#include "text.h"
#include "unit-op.h"

/* The answer is the name that the VM's agent has, or will have. */
static void reply(struct unit_op *op) {
        Admin__StartResponse response = ADMIN__START_RESPONSE__INIT;
        _cleanup_(freep) char *agent = NULL;
        char vm[REGISTRY_NAME_MAX + 1];

        if (registry_vm_of_unit(op->unit, vm) >= 0)
                agent = text_printf("givc-%s.service", vm);
        response.registryid = (char *) strempty(agent);
        unit_op_reply(op, &response.base);
}

static void started(struct unit_op *op, const Systemd__UnitStatus *status) {
        if (component_state_is_up(component_state_from_wire(status)))
                reply(op);
        else
                unit_op_fail(op, RPC_FAILED_PRECONDITION, "%s was started, but is %s/%s now", op->unit,
                                status->activestate, status->substate);
}

static void seen(struct unit_op *op, const Systemd__UnitStatus *status) {
        struct component_state state = component_state_from_wire(status);

        if (streq(status->loadstate, "not-found"))
                unit_op_fail(op, RPC_NOT_FOUND, "the host has no %s", op->unit);
        else if (component_state_is_up(state))
                reply(op);
        else if (component_state_is_starting(state) && unit_op_entry(op))
                unit_op_wait(op, started); /* the agent's StartUnit would begin it anew */
        else
                unit_op_ask(op, "StartUnit", started);
}

/* StartVM: the host's agent starts the VM's unit, unless it is up; answered when it is active. */
void op_start_vm(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__StartVMRequest *request = (const Admin__StartVMRequest *) message;
        struct manager *manager = userdata;
        _cleanup_(freep) char *unit = NULL;
        struct registry_agent *host;
        struct unit_op *op;

        if (!text_is_host_name(request->vmname)) {
                answer_fail(call, RPC_INVALID_ARGUMENT, "VmName is not the name of a VM");
                return;
        }
        host = registry_find_only(manager->registry, COMPONENT_HOST);
        if (!host) {
                answer_fail(call, RPC_FAILED_PRECONDITION,
                                "cannot start VM %s: no agent of the host has registered", request->vmname);
                return;
        }
        unit = text_printf("microvm@%s.service", request->vmname);
        op = unit_op_new(manager, call, host->vm, strempty(unit));
        if (op)
                unit_op_ask(op, "GetUnitStatus", seen);
}
