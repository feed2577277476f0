/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "forward.h"

#include "agent-link.h"
#include "answer.h"
#include "arena.h"
#include "log.h"
#include "text.h"

/* One call on its way; in the memory of the call that came in. */
struct forward {
        struct rpc_call *call;
        const char *vm;
        const char *method, *action, *unit;
        bool quiet;
        uint64_t begin_usec;
        struct rpc_client_call *pending;
        struct quota_charge charge;
};

/* ---- where to ---- */

struct registry_agent *forward_find_registered(
                const struct registry *registry, struct rpc_call *call, const char *vm) {
        struct registry_agent *agent;

        if (!vm) {
                agent = registry_find_only(registry, COMPONENT_HOST);
                if (!agent)
                        answer_fail(call, RPC_FAILED_PRECONDITION, "no agent of the host has registered");
                return agent;
        }
        if (!text_is_host_name(vm)) {
                answer_fail(call, RPC_INVALID_ARGUMENT, "VmName is not the name of a VM");
                return NULL;
        }
        agent = registry_find_agent(registry, vm);
        if (!agent)
                answer_fail(call, RPC_NOT_FOUND,
                                "VM %s has no agent here: givc-%s.service is not registered", vm, vm);
        return agent;
}

struct registry_agent *forward_find_agent(struct manager *manager, struct rpc_call *call, const char *vm) {
        struct registry_agent *agent = forward_find_registered(manager->registry, call, vm);

        if (!agent)
                return NULL;
        if (!agent->link) {
                answer_fail(call, RPC_UNAVAILABLE, "agent %s cannot be connected to", agent->entry->name);
                return NULL;
        }
        if (rpc_channel_get_state(agent_link_channel(agent->link)) == RPC_CHANNEL_FAILED) {
                answer_fail(call, RPC_UNAVAILABLE, "agent %s is not connected: %s", agent->entry->name,
                                rpc_channel_reason(agent_link_channel(agent->link)));
                return NULL;
        }
        return agent;
}

uint64_t forward_deadline(const struct rpc_call *call) {
        uint64_t deadline = rpc_call_deadline(call);

        return deadline == USEC_INFINITY ? usec_add(now_usec(CLOCK_MONOTONIC), FORWARD_USEC) : deadline;
}

int forward_charge(struct rpc_call *call, const ProtobufCMessage *request, struct quota_charge *charge) {
        size_t n = protobuf_c_message_get_packed_size(request);

        return quota_charge(rpc_call_peer(call)->account, QUOTA_BYTES, n, charge) < 0 ? -ENOBUFS : 0;
}

/* ---- the way back ---- */

void forward_fail(
                struct rpc_call *call, const char *vm, const char *method, const struct rpc_status *status) {
        struct rpc_status passed_on = *status;

        if (status->code == RPC_UNIMPLEMENTED) {
                answer_failure_of(call, status, "%s is not offered by %s", method, vm);
                return;
        }
        /* Nobody has cancelled but us, as the agent left the registry or came back by another connection. */
        if (status->code == RPC_CANCELLED)
                passed_on.code = RPC_UNAVAILABLE;
        answer_failure_of(call, &passed_on, "agent givc-%s.service failed %s", vm, method);
}

static void log_end(const struct forward *forward, const struct rpc_status *status) {
        const struct rpc_peer *peer = rpc_call_peer(forward->call);
        const struct log_fields fields = {
                .method = rpc_call_path(forward->call) + 1,
                .peer = peer->name,
                .vm = forward->vm,
                .unit = forward->unit,
                .status = rpc_code_name(status->code),
                .duration_usec = now_usec(CLOCK_MONOTONIC) - forward->begin_usec,
        };

        rpc_call_log(forward->call, forward->quiet ? LOG_DEBUG : LOG_INFO, &fields,
                        "%s%s%s%s%s in %s for %s: %s", rpc_call_method(forward->call),
                        forward->action ? " " : "", strempty(forward->action), forward->unit ? " of " : "",
                        strempty(forward->unit), forward->vm, peer->name,
                        status->code == RPC_OK                     ? "done"
                                        : isempty(status->message) ? fields.status
                                                                   : status->message);
}

static void agent_answered(
                const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        struct forward *forward = userdata;

        forward->pending = NULL;
        quota_release(&forward->charge);
        log_end(forward, status);
        if (status->code == RPC_OK)
                rpc_call_reply(forward->call, response);
        else
                forward_fail(forward->call, forward->vm, forward->method, status);
}

static void call_gone(struct rpc_call *call, void *userdata) {
        struct forward *forward = userdata;

        forward->pending = rpc_client_cancel(forward->pending);
        quota_release(&forward->charge);
}

static const struct rpc_call_ops call_ops = { .gone = call_gone };

/* ---- the way there ---- */

void forward_unary(struct manager *manager, struct rpc_call *call, const struct forward_target *target,
                const ProtobufCMessage *request) {
        struct rpc_client_options options = { .deadline_usec = forward_deadline(call) };
        struct arena *arena = rpc_call_arena(call);
        struct registry_agent *agent;
        struct forward *forward;
        int r;

        agent = forward_find_agent(manager, call, target->vm);
        if (!agent)
                return;
        forward = arena_alloc0(arena, sizeof(*forward));
        if (forward)
                forward->vm = arena_strdup(arena, agent->vm);
        if (!forward || !forward->vm) {
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }

        forward->call = call;
        forward->method = target->method;
        forward->action = target->action;
        if (target->unit && text_is_unit_name(target->unit))
                forward->unit = arena_strdup(arena, target->unit);
        forward->quiet = target->quiet;
        forward->begin_usec = now_usec(CLOCK_MONOTONIC);
        r = forward_charge(call, request, &forward->charge);
        if (r >= 0)
                r = rpc_channel_unary(agent_link_channel(agent->link), target->service, target->method,
                                request, &options, agent_answered, forward, &forward->pending);
        if (r < 0) {
                quota_release(&forward->charge);
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "cannot call agent %s: %s", agent->entry->name,
                                strerror(-r));
                return;
        }
        rpc_call_set_ops(call, &call_ops, forward);
}
