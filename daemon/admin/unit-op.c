/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-op.h"

#include "agent-link.h"
#include "answer.h"
#include "arena.h"
#include "log.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

/* Nothing of the operation is under way any more. */
static void stop(struct unit_op *op) {
        if (op->pending)
                op->pending = rpc_client_cancel(op->pending);
        registry_ignore(&op->observer);
        op->timer = sd_event_source_disable_unref(op->timer);
}

static void call_gone(struct rpc_call *call, void *userdata) {
        stop(userdata);
}

static const struct rpc_call_ops call_ops = { .gone = call_gone };

struct unit_op *unit_op_new(
                struct manager *manager, struct rpc_call *call, const char *vm, const char *unit) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        struct arena *arena = rpc_call_arena(call);
        struct unit_op *op;

        if (!text_is_host_name(vm)) {
                answer_fail(call, RPC_INVALID_ARGUMENT, "VmName is not the name of a VM");
                return NULL;
        }
        if (!text_is_unit_name(unit)) {
                answer_fail(call, RPC_INVALID_ARGUMENT,
                                "the unit's name is not one: it must end in .service or another of "
                                "systemd's suffixes");
                return NULL;
        }

        op = arena_alloc0(arena, sizeof(*op));
        if (op) {
                op->vm = arena_strdup(arena, vm);
                op->unit = arena_strdup(arena, unit);
        }
        if (!op || !op->vm || !op->unit) {
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return NULL;
        }
        op->manager = manager;
        op->call = call;
        op->begin_usec = now;
        op->deadline_usec = rpc_call_deadline(call) == USEC_INFINITY ? usec_add(now, UNIT_OP_USEC)
                                                                     : rpc_call_deadline(call);
        list_init(&op->observer.observers);
        rpc_call_set_ops(call, &call_ops, op);
        return op;
}

struct registry_entry *unit_op_entry(const struct unit_op *op) {
        struct registry_agent *agent = registry_find_agent(op->manager->registry, op->vm);

        return agent ? registry_find_unit(op->manager->registry, agent, op->unit) : NULL;
}

static void log_end(const struct unit_op *op, enum rpc_code code, const char *reason) {
        const struct rpc_peer *peer = rpc_call_peer(op->call);
        struct log_fields fields = {
                .method = rpc_call_path(op->call) + 1,
                .peer = peer->name,
                .vm = op->vm,
                .unit = op->unit,
                .status = rpc_code_name(code),
                .duration_usec = now_usec(CLOCK_MONOTONIC) - op->begin_usec,
        };

        rpc_call_log(op->call, op->quiet ? LOG_DEBUG : LOG_INFO, &fields, "%s of %s in %s for %s: %s",
                        rpc_call_method(op->call), op->unit, op->vm, peer->name, reason);
}

void unit_op_reply(struct unit_op *op, const ProtobufCMessage *message) {
        stop(op);
        log_end(op, RPC_OK, "done");
        rpc_call_reply(op->call, message);
}

void unit_op_fail(struct unit_op *op, enum rpc_code code, const char *format, ...) {
        _cleanup_(freep) char *message = NULL;
        va_list ap;

        va_start(ap, format);
        message = text_vprintf(format, ap);
        va_end(ap);
        stop(op);
        log_end(op, code, message ?: "out of memory");
        answer_fail(op->call, code, "%s", message ?: "out of memory");
}

/* ---- asking the agent ---- */

static void agent_failed(struct unit_op *op, const struct rpc_status *status) {
        struct rpc_status passed_on = *status;

        if (op->failed && op->failed(op, status))
                return;
        stop(op);
        /* Nobody has cancelled but us, as the agent left the registry or came back by another connection. */
        if (status->code == RPC_CANCELLED)
                passed_on.code = RPC_UNAVAILABLE;
        log_end(op, passed_on.code, passed_on.message);
        answer_failure_of(op->call, &passed_on, "agent givc-%s.service failed %s of %s", op->vm, op->asking,
                        op->unit);
}

/* News for the registry, too, of an agent that is only asked; what is pushed may have overtaken the answer.
 */
static void tell_registry(const struct unit_op *op, const Systemd__UnitStatus *state) {
        struct registry_entry *entry = unit_op_entry(op);

        if (entry && entry->agent->link && !agent_link_is_pushed(entry->agent->link))
                registry_set_state(op->manager->registry, entry, state);
}

static void agent_answered(
                const struct rpc_status *status, const ProtobufCMessage *message, void *userdata) {
        const Systemd__UnitResponse *response = (const Systemd__UnitResponse *) message;
        struct unit_op *op = userdata;

        op->pending = NULL;
        /* Its own answer, which it may give to the registry, is not what it waits for there. */
        registry_ignore(&op->observer);
        if (status->code != RPC_OK) {
                agent_failed(op, status);
                return;
        }
        if (!response->unitstatus) {
                unit_op_fail(op, RPC_INTERNAL, "agent givc-%s.service answered %s of %s without a state",
                                op->vm, op->asking, op->unit);
                return;
        }

        tell_registry(op, response->unitstatus);
        op->next(op, response->unitstatus);
}

void unit_op_ask(struct unit_op *op, const char *method, unit_op_step_t next) {
        struct rpc_client_options options = { .deadline_usec = op->deadline_usec };
        Systemd__UnitRequest request = SYSTEMD__UNIT_REQUEST__INIT;
        struct registry_agent *agent;
        int r;

        agent = registry_find_agent(op->manager->registry, op->vm);
        if (!agent || !agent->link) {
                unit_op_fail(op, RPC_NOT_FOUND, "VM %s has no agent here: givc-%s.service is not registered",
                                op->vm, op->vm);
                return;
        }

        if (rpc_channel_get_state(agent_link_channel(agent->link)) == RPC_CHANNEL_FAILED) {
                unit_op_fail(op, RPC_UNAVAILABLE, "agent givc-%s.service is not connected: %s", op->vm,
                                rpc_channel_reason(agent_link_channel(agent->link)));
                return;
        }

        op->next = next;
        op->asking = method;
        request.unitname = (char *) op->unit;
        r = rpc_channel_unary(agent_link_channel(agent->link), &systemd__unit_control_service__descriptor,
                        method, &request.base, &options, agent_answered, op, &op->pending);
        if (r < 0)
                unit_op_fail(op, RPC_RESOURCE_EXHAUSTED, "cannot call agent givc-%s.service: %s", op->vm,
                                strerror(-r));
}

/* ---- waiting for the unit ---- */

/* Something that this registry does not hear of may still happen. */
#define ASK_AGAIN_USEC (1 * USEC_PER_SEC)

static void ask_at(struct unit_op *op, uint64_t usec) {
        (void) sd_event_source_set_time(op->timer, MIN(op->deadline_usec, usec));
        (void) sd_event_source_set_enabled(op->timer, SD_EVENT_ONESHOT);
}

/* The news may be older than what the agent has answered: so it is taken as the time to ask again. */
static void registry_changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        struct unit_op *op = userdata;

        if (!streq(entry->name, op->unit) || !streq(entry->agent->vm, op->vm))
                return;
        if (event == REGISTRY_REMOVED)
                unit_op_fail(op, RPC_UNAVAILABLE, "%s has left the registry while it was starting",
                                op->unit);
        else
                ask_at(op, 0);
}

static void asked_again(struct unit_op *op, const Systemd__UnitStatus *state) {
        if (component_state_is_starting(component_state_from_wire(state))) {
                registry_observe(op->manager->registry, &op->observer);
                ask_at(op, usec_add(now_usec(CLOCK_MONOTONIC), ASK_AGAIN_USEC));
                return;
        }
        stop(op);
        op->awaited(op, state);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct unit_op *op = userdata;

        if (now_usec(CLOCK_MONOTONIC) >= op->deadline_usec) {
                unit_op_fail(op, RPC_DEADLINE_EXCEEDED, "%s in %s is still starting", op->unit, op->vm);
                return 0;
        }
        if (op->pending)
                op->pending = rpc_client_cancel(op->pending);
        unit_op_ask(op, "GetUnitStatus", asked_again);
        return 0;
}

void unit_op_wait(struct unit_op *op, unit_op_step_t next) {
        sd_event *event = reactor_event(op->manager->reactor);

        op->awaited = next;
        if (sd_event_add_time(event, &op->timer, CLOCK_MONOTONIC, 0, 0, on_timer, op) < 0) {
                unit_op_fail(op, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        op->observer.changed = registry_changed;
        op->observer.userdata = op;
        registry_observe(op->manager->registry, &op->observer);
        ask_at(op, 0);
}
