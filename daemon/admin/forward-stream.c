/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "forward-stream.h"

#include "agent-link.h"
#include "answer.h"
#include "arena.h"

/* One stream on its way; in the memory of the call that came in. */
struct stream {
        struct list streams;
        struct rpc_call *call;
        const char *vm;
        const char *method;
        struct rpc_client_call *source; /* the agent's side */
        struct quota_charge charge;
};

/* Nothing of the agent's comes any more. The call, whose memory this is, is the caller's to end. */
static void detach(struct stream *stream) {
        list_remove(&stream->streams);
        stream->source = rpc_client_cancel(stream->source);
        quota_release(&stream->charge);
}

/* ---- from the agent ---- */

static void source_accepted(struct rpc_client_call *source, void *userdata) {
        struct stream *stream = userdata;

        /* Without memory for it: with the first message. */
        (void) rpc_call_accept(stream->call);
}

static void source_message(struct rpc_client_call *source, const ProtobufCMessage *message, void *userdata) {
        struct stream *stream = userdata;
        int r;

        r = rpc_call_send(stream->call, message);
        if (r < 0) {
                detach(stream);
                answer_fail(stream->call, RPC_RESOURCE_EXHAUSTED, "cannot pass on what %s answers: %s",
                                stream->vm, strerror(-r));
        } else if (r > 0)
                rpc_client_set_reading(source, false);
}

static void source_finished(
                struct rpc_client_call *source, const struct rpc_status *status, void *userdata) {
        struct stream *stream = userdata;

        list_remove(&stream->streams);
        stream->source = NULL;
        quota_release(&stream->charge);
        if (status->code == RPC_OK)
                rpc_call_finish(stream->call, status);
        else
                forward_fail(stream->call, stream->vm, stream->method, status);
}

static const struct rpc_client_ops source_ops = {
        .accepted = source_accepted,
        .message = source_message,
        .finished = source_finished,
};

/* ---- from the caller ---- */

static void call_writable(struct rpc_call *call, void *userdata) {
        struct stream *stream = userdata;

        /* May be the end of it. */
        rpc_client_set_reading(stream->source, true);
}

static void call_gone(struct rpc_call *call, void *userdata) {
        detach(userdata);
}

static const struct rpc_call_ops call_ops = { .writable = call_writable, .gone = call_gone };

/* ---- the beginning ---- */

static int open_source(struct stream *stream, struct registry_agent *agent,
                const struct forward_target *target, const ProtobufCMessage *request) {
        uint64_t deadline = rpc_call_deadline(stream->call);
        const struct rpc_client_options options = {
                .deadline_usec = deadline == USEC_INFINITY ? 0 : deadline,
        };
        int r;

        r = rpc_channel_call(agent_link_channel(agent->link), target->service, target->method, &options,
                        &source_ops, stream, &stream->source);
        if (r < 0)
                return r;
        r = rpc_client_send(stream->source, request);
        if (r < 0) {
                stream->source = rpc_client_cancel(stream->source);
                return r;
        }
        rpc_client_half_close(stream->source);
        return 0;
}

void forward_stream(struct manager *manager, struct rpc_call *call, const struct forward_target *target,
                const ProtobufCMessage *request) {
        struct arena *arena = rpc_call_arena(call);
        struct registry_agent *agent;
        struct stream *stream;
        int r;

        agent = forward_find_agent(manager, call, target->vm);
        if (!agent)
                return;
        stream = arena_alloc0(arena, sizeof(*stream));
        if (stream)
                stream->vm = arena_strdup(arena, agent->vm);
        if (!stream || !stream->vm) {
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }

        stream->call = call;
        stream->method = target->method;
        r = forward_charge(call, request, &stream->charge);
        if (r >= 0)
                r = open_source(stream, agent, target, request);
        if (r < 0) {
                quota_release(&stream->charge);
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "cannot call agent %s: %s", agent->entry->name,
                                strerror(-r));
                return;
        }
        list_append(&manager->streams, &stream->streams);
        rpc_call_set_ops(call, &call_ops, stream);
}

void forward_streams_stop(struct manager *manager) {
        struct stream *stream, *next;

        LIST_FOREACH_SAFE(stream, next, &manager->streams, streams) {
                struct rpc_call *call = stream->call;

                detach(stream);
                answer_fail(call, RPC_UNAVAILABLE, "the admin is stopping");
        }
}
