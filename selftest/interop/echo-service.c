/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "echo-server.h"

#include "arena.h"
#include "lines.h"

/* A call of any kind but Unary: in its arena. */
struct stream {
        struct list stopped;
        struct echo_server *echo;
        struct rpc_call *call;
        char *tag;
        Echo__Outcome outcome;
        bool hang;
        uint64_t messages, bytes;
        uint32_t replies, reply_bytes; /* ServerStream: yet to be sent, and the size of each */
};

void echo_event(const char *name, const char *tag) {
        lines_print(json_pack("{ss ss}", "event", name, "tag", strempty(tag)));
}

void echo_finish(struct rpc_call *call, const Echo__Outcome *outcome) {
        struct rpc_status status = { .code = RPC_OK, .message = "" };
        _cleanup_(freep) uint8_t *details = NULL;
        const char *entries[] = { "echo", "outcome" };

        if (outcome) {
                status.code = (enum rpc_code) outcome->code;
                status.message = strempty(outcome->message);
        }
        if (outcome && !isempty(outcome->detail))
                status.details = details = rpc_status_debug_info(status.code, status.message, entries,
                                ELEMENTSOF(entries), outcome->detail, &status.n_details);
        rpc_call_finish(call, &status);
}

/* What is known of the call so far, in the call's memory. */
static void fill_reply(Echo__EchoReply *reply, struct rpc_call *call, const Echo__EchoRequest *request) {
        uint64_t deadline = rpc_call_deadline(call), now = now_usec(CLOCK_MONOTONIC);

        echo__echo_reply__init(reply);
        reply->peer = (char *) rpc_call_peer(call)->name;
        reply->has_deadline = deadline != USEC_INFINITY;
        if (reply->has_deadline && deadline > now)
                reply->remaining_usec = deadline - now;
        if (!request)
                return;
        reply->tag = request->tag;
        reply->payload = request->payload;
        if (request->n_metadata > 0)
                reply->metadata = arena_alloc0(rpc_call_arena(call), request->n_metadata * sizeof(char *));
        reply->n_metadata = reply->metadata ? request->n_metadata : 0;
        for (size_t i = 0; i < reply->n_metadata; i++) {
                const char *value = rpc_call_metadata(call, request->metadata[i]);

                reply->metadata[i] = (char *) strempty(value);
                if (!value)
                        continue;
                (void) rpc_call_add_header(call, request->metadata[i], value);
                (void) rpc_call_add_trailer(call, request->metadata[i], value);
        }
}

/* As rpc_call_send(). bytes: of the payload, where it is not the reply's own. */
static int send_reply(struct rpc_call *call, Echo__EchoReply *reply, uint32_t bytes) {
        _cleanup_(freep) uint8_t *payload = NULL;

        if (bytes > 0) {
                payload = calloc(1, bytes);
                reply->payload = (ProtobufCBinaryData){ .data = payload, .len = payload ? bytes : 0 };
        }
        return rpc_call_send(call, &reply->base);
}

static void fail(struct rpc_call *call, int error) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "Cannot send: %s", strerror(-error));
}

static void unary_gone(_unused_ struct rpc_call *call, void *userdata) {
        echo_event("gone", userdata);
}

static void unary(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct rpc_call_ops ops = { .gone = unary_gone };
        const Echo__EchoRequest *request = (const Echo__EchoRequest *) message;
        struct echo_server *echo = userdata;
        Echo__EchoReply reply;
        int r;

        if (!isempty(request->forward)) {
                echo_forward(echo, call, request);
                return;
        }
        if (request->hang) {
                rpc_call_set_ops(call, &ops, request->tag);
                echo_event("open", request->tag);
                return;
        }
        fill_reply(&reply, call, request);
        if (request->outcome) {
                echo_finish(call, request->outcome);
                return;
        }
        reply.messages = 1;
        reply.bytes = request->payload.len;
        r = send_reply(call, &reply, request->reply_bytes);
        if (r < 0)
                fail(call, r);
        else
                echo_finish(call, NULL);
}

/* Streams */

static void stream_gone(_unused_ struct rpc_call *call, void *userdata) {
        struct stream *stream = userdata;

        list_remove(&stream->stopped);
        echo_event("gone", stream->tag);
}

static void stream_finish(struct stream *stream) {
        list_remove(&stream->stopped);
        echo_finish(stream->call, &stream->outcome);
}

static void stream_fail(struct stream *stream, int error) {
        list_remove(&stream->stopped);
        fail(stream->call, error);
}

/* Takes over from a request what concerns the call as a whole. */
static void stream_take(struct stream *stream, const Echo__EchoRequest *request) {
        struct arena *arena = rpc_call_arena(stream->call);

        stream->messages++;
        stream->bytes += request->payload.len;
        stream->hang = stream->hang || request->hang;
        if (!isempty(request->tag)) {
                stream->tag = arena_strdup(arena, request->tag);
                echo_event("open", stream->tag);
        }
        if (request->outcome) {
                stream->outcome.code = request->outcome->code;
                stream->outcome.message = arena_strdup(arena, request->outcome->message);
                stream->outcome.detail = arena_strdup(arena, request->outcome->detail);
        }
        if (request->stop_reading) {
                rpc_call_set_reading(stream->call, false);
                list_append(&stream->echo->stopped, &stream->stopped);
                echo_event("stopped", stream->tag);
        }
}

void echo_resume(struct echo_server *echo) {
        struct stream *stream;

        while ((stream = LIST_FIRST(&echo->stopped, struct stream, stopped))) {
                list_remove(&stream->stopped);
                rpc_call_set_reading(stream->call, true);
        }
}

static struct stream *stream_open(struct rpc_call *call, const struct rpc_call_ops *ops, void *userdata) {
        struct stream *stream = arena_alloc0(rpc_call_arena(call), sizeof(*stream));

        if (!stream)
                lines_fail("Out of memory");
        list_init(&stream->stopped);
        echo__outcome__init(&stream->outcome);
        stream->echo = userdata;
        stream->call = call;
        rpc_call_set_ops(call, ops, stream);
        return stream;
}

static void client_stream_message(
                _unused_ struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Echo__EchoRequest *request = (const Echo__EchoRequest *) message;
        struct stream *stream = userdata;

        stream_take(stream, request);
        if (request->outcome)
                stream_finish(stream);
}

static void client_stream_half_closed(struct rpc_call *call, void *userdata) {
        struct stream *stream = userdata;
        Echo__EchoReply reply;
        int r;

        echo_event("half-closed", stream->tag);
        if (stream->hang)
                return;
        fill_reply(&reply, call, NULL);
        reply.messages = stream->messages;
        reply.bytes = stream->bytes;
        r = send_reply(call, &reply, 0);
        if (r < 0)
                stream_fail(stream, r);
        else
                stream_finish(stream);
}

static void client_stream(struct rpc_call *call, void *userdata) {
        static const struct rpc_call_ops ops = {
                .message = client_stream_message,
                .half_closed = client_stream_half_closed,
                .gone = stream_gone,
        };

        (void) stream_open(call, &ops, userdata);
}

static void bidi_message(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Echo__EchoRequest *request = (const Echo__EchoRequest *) message;
        struct stream *stream = userdata;
        Echo__EchoReply reply;
        int r;

        stream_take(stream, request);
        if (stream->hang)
                return;
        fill_reply(&reply, call, request);
        reply.messages = stream->messages;
        reply.bytes = stream->bytes;
        r = send_reply(call, &reply, request->reply_bytes);
        if (r < 0)
                stream_fail(stream, r);
        else if (request->outcome)
                stream_finish(stream);
        else if (r > 0)
                rpc_call_set_reading(call, false);
}

static void bidi_writable(struct rpc_call *call, _unused_ void *userdata) {
        rpc_call_set_reading(call, true);
}

static void bidi_half_closed(_unused_ struct rpc_call *call, void *userdata) {
        struct stream *stream = userdata;

        echo_event("half-closed", stream->tag);
        if (!stream->hang)
                stream_finish(stream);
}

static void bidi(struct rpc_call *call, void *userdata) {
        static const struct rpc_call_ops ops = {
                .message = bidi_message,
                .half_closed = bidi_half_closed,
                .writable = bidi_writable,
                .gone = stream_gone,
        };

        (void) stream_open(call, &ops, userdata);
}

static void server_stream_writable(struct rpc_call *call, void *userdata) {
        struct stream *stream = userdata;
        Echo__EchoReply reply;
        int r = 0;

        while (stream->replies > 0 && r == 0) {
                stream->replies--;
                fill_reply(&reply, call, NULL);
                reply.messages = stream->replies;
                r = send_reply(call, &reply, stream->reply_bytes);
        }
        if (r < 0)
                stream_fail(stream, r);
        else if (stream->replies > 0)
                echo_event("full", stream->tag);
        else if (!stream->hang)
                stream_finish(stream);
}

static void server_stream(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct rpc_call_ops ops = { .writable = server_stream_writable, .gone = stream_gone };
        const Echo__EchoRequest *request = (const Echo__EchoRequest *) message;
        struct stream *stream = stream_open(call, &ops, userdata);

        stream->replies = request->replies;
        stream->reply_bytes = request->reply_bytes;
        stream_take(stream, request);
        server_stream_writable(call, stream);
}

static const struct rpc_method methods[] = {
        { .name = "Unary", .handle = unary },
        { .name = "ClientStream", .open = client_stream },
        { .name = "ServerStream", .handle = server_stream, .streams_response = true },
        { .name = "Bidi", .open = bidi, .streams_response = true },
};

const struct rpc_service echo_service = {
        .descriptor = &echo__echo__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
