/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "agent-link.h"
#include "answer.h"
#include "application.h"
#include "arena.h"
#include "forward.h"
#include "log.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

/* Agents are asked for so many at once: each lets one peer have 24 operations. */
#define AT_ONCE_MAX 16

struct action {
        const char *method; /* of the agent's UnitControlService */
        bool ends;          /* it is down afterwards */
};

/* One instance that is meant. */
struct target {
        struct operation *operation;
        const char *unit, *vm;
        struct rpc_client_call *pending;
};

/* One call, for all instances that it means; in its arena. */
struct operation {
        struct manager *manager;
        struct rpc_call *call;
        const Admin__ApplicationRequest *request;
        const struct action *action;
        uint64_t begin_usec, deadline_usec;
        struct target *targets;
        size_t n_targets, n_asked, n_pending, n_failed;
        enum rpc_code code; /* of the first failure */
        const char *reason;
};

static void ask_more(struct operation *operation);

/* ---- the end ---- */

static void log_end(const struct operation *operation, enum rpc_code code, const char *reason) {
        const struct rpc_peer *peer = rpc_call_peer(operation->call);
        const struct log_fields fields = {
                .method = rpc_call_path(operation->call) + 1,
                .peer = peer->name,
                .unit = operation->n_targets == 1 ? operation->targets[0].unit : NULL,
                .vm = operation->n_targets == 1 ? operation->targets[0].vm : NULL,
                .status = rpc_code_name(code),
                .duration_usec = now_usec(CLOCK_MONOTONIC) - operation->begin_usec,
        };

        rpc_call_log(operation->call, LOG_INFO, &fields, "%s of %s (%zu) for %s: %s",
                        rpc_call_method(operation->call), operation->request->appname, operation->n_targets,
                        peer->name, reason);
}

/* Both texts are what deployed scripts compare. */
static void reply(struct operation *operation) {
        Admin__ApplicationResponse response = ADMIN__APPLICATION_RESPONSE__INIT;

        log_end(operation, RPC_OK, "done");
        response.cmdstatus = (char *) "Command successful.";
        response.appstatus = (char *) "Command successful.";
        rpc_call_reply(operation->call, &response.base);
}

static void finish(struct operation *operation) {
        if (operation->n_failed == 0) {
                reply(operation);
                return;
        }
        log_end(operation, operation->code, operation->reason);
        if (operation->n_targets == 1)
                answer_fail(operation->call, operation->code, "%s", operation->reason);
        else
                answer_fail(operation->call, operation->code, "%zu of %zu instances failed: %s",
                                operation->n_failed, operation->n_targets, operation->reason);
}

static void call_gone(struct rpc_call *call, void *userdata) {
        struct operation *operation = userdata;

        for (size_t i = 0; i < operation->n_asked; i++)
                if (operation->targets[i].pending)
                        rpc_client_cancel(operation->targets[i].pending);
        log_end(operation, RPC_CANCELLED, "the caller has gone");
}

/* ---- each instance ---- */

static void target_failed(struct target *target, enum rpc_code code, const char *format, ...) _printf_(3, 4);

static void target_failed(struct target *target, enum rpc_code code, const char *format, ...) {
        struct operation *operation = target->operation;
        _cleanup_(freep) char *reason = NULL;
        va_list ap;

        if (operation->n_failed++ > 0)
                return;
        va_start(ap, format);
        reason = text_vprintf(format, ap);
        va_end(ap);
        operation->code = code;
        operation->reason = reason ? arena_strdup(rpc_call_arena(operation->call), reason) : NULL;
        if (!operation->reason)
                operation->reason = "out of memory";
}

/* News for the registry, too, of an agent that is only asked; what is pushed may have overtaken the answer.
 */
static void tell_registry(const struct target *target, const Systemd__UnitStatus *status) {
        struct registry *registry = target->operation->manager->registry;
        struct registry_agent *agent = registry_find_agent(registry, target->vm);
        struct registry_entry *entry = agent ? registry_find_unit(registry, agent, target->unit) : NULL;

        if (entry && agent->link && !agent_link_is_pushed(agent->link))
                registry_set_state(registry, entry, status);
}

static void agent_answered(
                const struct rpc_status *status, const ProtobufCMessage *message, void *userdata) {
        const Systemd__UnitResponse *response = (const Systemd__UnitResponse *) message;
        struct target *target = userdata;
        struct operation *operation = target->operation;
        const Systemd__UnitStatus *unit = status->code == RPC_OK ? response->unitstatus : NULL;

        target->pending = NULL;
        operation->n_pending--;
        if (status->code != RPC_OK)
                /* Nobody has cancelled but us, as the agent left the registry or came back. */
                target_failed(target, status->code == RPC_CANCELLED ? RPC_UNAVAILABLE : status->code,
                                "agent givc-%s.service failed %s of %s: %s", target->vm,
                                operation->action->method, target->unit,
                                isempty(status->message) ? rpc_code_name(status->code) : status->message);
        else if (operation->action->ends && unit &&
                        !component_state_is_down(component_state_from_wire(unit)))
                target_failed(target, RPC_FAILED_PRECONDITION, "%s in %s was stopped, but is %s/%s again",
                                target->unit, target->vm, component_word(unit->activestate),
                                component_word(unit->substate));
        if (unit)
                tell_registry(target, unit);
        ask_more(operation);
}

static void ask(struct target *target) {
        struct operation *operation = target->operation;
        struct registry_agent *agent = registry_find_agent(operation->manager->registry, target->vm);
        struct rpc_client_options options = { .deadline_usec = operation->deadline_usec };
        Systemd__UnitRequest request = SYSTEMD__UNIT_REQUEST__INIT;
        int r;

        if (!agent) /* its VM went down while others were asked for: with it, the instance */
                return;
        if (!agent->link || rpc_channel_get_state(agent_link_channel(agent->link)) == RPC_CHANNEL_FAILED) {
                target_failed(target, RPC_UNAVAILABLE, "agent %s of %s is not connected", agent->entry->name,
                                target->unit);
                return;
        }
        request.unitname = (char *) target->unit;
        r = rpc_channel_unary(agent_link_channel(agent->link), &systemd__unit_control_service__descriptor,
                        operation->action->method, &request.base, &options, agent_answered, target,
                        &target->pending);
        if (r < 0)
                target_failed(target, RPC_RESOURCE_EXHAUSTED, "cannot call agent %s: %s", agent->entry->name,
                                strerror(-r));
        else
                operation->n_pending++;
}

static void ask_more(struct operation *operation) {
        while (operation->n_asked < operation->n_targets && operation->n_pending < AT_ONCE_MAX)
                ask(&operation->targets[operation->n_asked++]);
        if (operation->n_pending == 0)
                finish(operation);
}

/* ---- which are meant ---- */

struct search {
        struct operation *operation;
        struct arena *arena; /* NULL: they are only counted */
        size_t n;
        bool failed;
};

static void visit(const struct registry_entry *entry, void *userdata) {
        struct search *search = userdata;
        const Admin__ApplicationRequest *request = search->operation->request;
        const char *vm = application_vm(request);
        struct target *target;

        if (entry->type.service != COMPONENT_APP || !application_is_meant(entry->name, request->appname))
                return;
        if (vm && !streq(vm, entry->agent->vm))
                return;
        if (search->arena) {
                target = &search->operation->targets[search->n];
                target->operation = search->operation;
                target->unit = arena_strdup(search->arena, entry->name);
                target->vm = arena_strdup(search->arena, entry->agent->vm);
                search->failed = search->failed || !target->unit || !target->vm;
        }
        search->n++;
}

/* 0 or -ENOMEM. */
static int find_targets(struct operation *operation) {
        struct arena *arena = rpc_call_arena(operation->call);
        const struct registry *registry = operation->manager->registry;
        struct search counted = { .operation = operation },
                      found = { .operation = operation, .arena = arena };

        registry_foreach(registry, visit, &counted);
        operation->targets = arena_alloc0(arena, (counted.n + 1) * sizeof(struct target));
        if (!operation->targets)
                return -ENOMEM;
        registry_foreach(registry, visit, &found);
        operation->n_targets = found.n;
        return found.failed ? -ENOMEM : 0;
}

/* ---- the calls ---- */

static void answer_none(struct rpc_call *call, const Admin__ApplicationRequest *request) {
        const char *vm = strempty(application_vm(request));
        _cleanup_(freep) char *name = text_escape(request->appname, strlen(request->appname), 255);
        _cleanup_(freep) char *where = text_escape(vm, strlen(vm), 255);

        answer_fail(call, RPC_NOT_FOUND, "no application \"%s\" runs%s%s", strempty(name),
                        isempty(where) ? "" : " in ", strempty(where));
}

static void operate(struct rpc_call *call, const ProtobufCMessage *message, struct manager *manager,
                const struct action *action) {
        static const struct rpc_call_ops ops = { .gone = call_gone };
        const Admin__ApplicationRequest *request = (const Admin__ApplicationRequest *) message;
        struct operation *operation;

        operation = arena_alloc0(rpc_call_arena(call), sizeof(*operation));
        if (operation) {
                operation->manager = manager;
                operation->call = call;
                operation->request = request;
                operation->action = action;
                operation->begin_usec = now_usec(CLOCK_MONOTONIC);
                operation->deadline_usec = forward_deadline(call);
        }
        if (!operation || find_targets(operation) < 0) {
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        if (operation->n_targets == 0) {
                answer_none(call, request);
                return;
        }
        rpc_call_set_ops(call, &ops, operation);
        ask_more(operation);
}

void op_pause_application(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct action pause = { .method = "FreezeUnit" };

        operate(call, message, userdata, &pause);
}

void op_resume_application(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct action resume = { .method = "UnfreezeUnit" };

        operate(call, message, userdata, &resume);
}

void op_stop_application(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct action stop = { .method = "StopUnit", .ends = true };

        operate(call, message, userdata, &stop);
}
