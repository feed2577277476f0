/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-call.h"
#include "arena.h"
#include "log.h"
#include "text.h"
#include "unit-message.h"

/* systemd takes no longer names: what a peer asks for is shown so far. */
#define UNIT_NAME_SHOWN_MAX 255

/* A call that waits for systemd; in the call's arena, so that it goes with the call. */
struct operation {
        struct list operations;
        struct manager *manager;
        struct rpc_call *call;
        struct unit_call_verb verb;
        unit_call_reply_t reply;
        struct whitelist_unit unit; /* the manager's own list may be replaced while we wait */
        struct unit_operation *operation;
        uint64_t begin_usec;
};

/* Every attempt to change something leaves one line; who only looks leaves none. */
static void log_outcome(const struct operation *operation, enum rpc_code code, const char *text) {
        const struct log_fields fields = {
                .method = rpc_call_path(operation->call) + 1,
                .peer = rpc_call_peer(operation->call)->name,
                .unit = operation->unit.name,
                .status = rpc_code_name(code),
                .duration_usec = now_usec(CLOCK_MONOTONIC) - operation->begin_usec,
        };

        if (operation->verb.spec.verb == UNIT_STATUS)
                return;
        if (code == RPC_OK)
                rpc_call_log(operation->call, LOG_INFO, &fields, "%s: %s %s.", fields.peer,
                                operation->verb.name, fields.unit);
        else
                rpc_call_log(operation->call, LOG_NOTICE, &fields, "%s: cannot %s %s: %s", fields.peer,
                                operation->verb.name, fields.unit, text);
}

static void operation_fail(struct operation *operation, enum rpc_code code, const char *text) {
        list_remove(&operation->operations);
        log_outcome(operation, code, text);
        if (operation->verb.spec.verb == UNIT_STATUS)
                rpc_call_fail(operation->call, code, "error fetching unit status: %s: %s",
                                operation->unit.name, text);
        else
                rpc_call_fail(operation->call, code, "cannot %s unit: %s", operation->verb.name, text);
}

/* The deployed agents' answer, the same for what is not there and for what is not shown. */
static void fail_not_found(struct rpc_call *call, const char *name) {
        _cleanup_(freep) char *shown = text_escape(name, strlen(name), UNIT_NAME_SHOWN_MAX);

        rpc_call_fail(call, RPC_NOT_FOUND, "error fetching unit status: %s", strempty(shown));
}

static void operation_done(int error, const char *message, const struct unit_state *state, void *userdata) {
        struct operation *operation = userdata;

        operation->operation = NULL;
        if (error < 0) {
                operation_fail(operation, unit_error_code(error), unit_error_text(error, message));
                return;
        }
        list_remove(&operation->operations);
        if (operation->verb.spec.verb == UNIT_STATUS && !operation->unit.own &&
                        streq(state->load_state, "not-found")) {
                fail_not_found(operation->call, operation->unit.name);
                return;
        }
        log_outcome(operation, RPC_OK, NULL);
        operation->reply(operation->call, &operation->unit, state);
}

/* systemd goes on with a job whose caller is gone: that is what its own clients see, too. */
static void operation_gone(_unused_ struct rpc_call *call, void *userdata) {
        struct operation *operation = userdata;

        log_outcome(operation, RPC_CANCELLED, "the caller has gone; systemd goes on");
        list_remove(&operation->operations);
        unit_operation_cancel(operation->operation);
}

static struct operation *operation_new(struct manager *manager, struct rpc_call *call,
                const struct unit_call_verb *verb, const struct whitelist_unit *unit) {
        struct arena *arena = rpc_call_arena(call);
        struct operation *operation;

        operation = arena_alloc0(arena, sizeof(*operation));
        if (!operation)
                return NULL;
        operation->unit = *unit;
        operation->unit.name = arena_strdup(arena, unit->name);
        operation->unit.target = arena_strdup(arena, unit->target);
        if (!operation->unit.name || !operation->unit.target)
                return NULL;
        operation->manager = manager;
        operation->call = call;
        operation->verb = *verb;
        operation->begin_usec = now_usec(CLOCK_MONOTONIC);
        list_append(&manager->operations, &operation->operations);
        return operation;
}

static void operate(struct manager *manager, struct rpc_call *call, const struct whitelist_unit *unit,
                const struct unit_call_verb *verb, unit_call_reply_t reply) {
        static const struct rpc_call_ops ops = { .gone = operation_gone };
        struct operation *operation;
        int r;

        operation = operation_new(manager, call, verb, unit);
        if (!operation) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        operation->reply = reply;
        if (unit->own && verb->suspends) {
                operation_fail(operation, RPC_FAILED_PRECONDITION,
                                "an agent does not freeze itself: nobody could reach it to undo that");
                return;
        }
        rpc_call_set_ops(call, &ops, operation);
        r = units_operate_spec(manager->units, &verb->spec, unit->target, operation_done, operation,
                        &operation->operation);
        if (r == -EBUSY)
                operation_fail(operation, RPC_RESOURCE_EXHAUSTED,
                                "too many operations on units are under way");
        else if (r < 0)
                operation_fail(operation, unit_error_code(r), unit_error_text(r, NULL));
}

void unit_call_begin(struct manager *manager, struct rpc_call *call, const char *name,
                const struct unit_call_verb *verb, unit_call_reply_t reply) {
        const struct whitelist_unit *unit = manager_find_unit(manager, call, name);

        if (unit)
                operate(manager, call, unit, verb, reply);
        else if (verb->spec.verb == UNIT_STATUS)
                fail_not_found(call, name);
        else
                rpc_call_fail(call, RPC_PERMISSION_DENIED, "cannot %s unit: unit is not whitelisted",
                                verb->name);
}

void unit_calls_stop(struct manager *manager) {
        struct operation *operation, *next;

        LIST_FOREACH_SAFE(operation, next, &manager->operations, operations)
                if (operation->unit.own) {
                        unit_operation_cancel(TAKE_PTR(operation->operation));
                        operation_fail(operation, RPC_UNAVAILABLE, "the agent itself is being stopped");
                }
}
