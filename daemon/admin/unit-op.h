/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What several operations have in common: one call that came in, one unit in one VM, and steps that each ask
 * the VM's agent something (or wait for the unit to get somewhere) and go on with the answer. Lives in the
 * call's arena; a call that is gone takes it along. A step that fails answers the call by itself.
 */

#include "call.h"
#include "channel.h"
#include "manager.h"

struct unit_op;

/* What follows: state is the unit's, never NULL, and lasts until the function returns. */
typedef void (*unit_op_step_t)(struct unit_op *op, const Systemd__UnitStatus *state);

struct unit_op {
        struct manager *manager;
        struct rpc_call *call;
        const char *vm;   /* whose agent is asked */
        const char *unit; /* its unit */
        uint64_t deadline_usec;
        uint64_t begin_usec;
        bool quiet; /* it changes nothing: not worth a line in the journal */

        /* the step under way, when the agent is asked */
        unit_op_step_t next;
        const char *asking; /* its method */
        struct rpc_client_call *pending;
        /* the step under way, when the unit is waited for */
        unit_op_step_t awaited;
        struct registry_observer observer;
        sd_event_source *timer;

        /* May be NULL: told when asking the agent failed. True: the call was answered there. */
        bool (*failed)(struct unit_op *op, const struct rpc_status *status);
};

/* How long an operation may take whose caller does not say. */
#define UNIT_OP_USEC (60 * USEC_PER_SEC)

/* vm and unit are copied. NULL: the call was answered, since they are no names or memory is short. */
struct unit_op *unit_op_new(
                struct manager *manager, struct rpc_call *call, const char *vm, const char *unit);

/* Calls UnitControlService/method of the agent for the unit, with what is left of the caller's time. */
void unit_op_ask(struct unit_op *op, const char *method, unit_op_step_t next);

/*
 * Waits until the unit, which the registry must hold, is no longer on its way up: whenever the registry
 * hears of it, and once now, since it may just have done so, the agent is asked again.
 */
void unit_op_wait(struct unit_op *op, unit_op_step_t next);

/* The entry of the unit, or NULL. */
struct registry_entry *unit_op_entry(const struct unit_op *op);

/* The ends. Both say in the journal what was done for whom. */
void unit_op_reply(struct unit_op *op, const ProtobufCMessage *message);
void unit_op_fail(struct unit_op *op, enum rpc_code code, const char *format, ...) _printf_(3, 4);
