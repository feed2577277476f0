/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "unit-op.h"

static void seen(struct unit_op *op, const Systemd__UnitStatus *state) {
        unit_op_reply(op, &state->base);
}

/* GetUnitStatus: what the VM's agent says, now. */
void op_get_unit_status(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__UnitStatusRequest *request = (const Admin__UnitStatusRequest *) message;
        struct unit_op *op;

        op = unit_op_new(userdata, call, request->vmname, request->unitname);
        if (!op)
                return;
        op->quiet = true;
        unit_op_ask(op, "GetUnitStatus", seen);
}
