/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "call.h"

#include "log.h"
#include "server-internal.h"
#include "text.h"
#include "timeout.h"

#include <stdarg.h>
#include <stdio.h>

/* Headers and trailers that a handler may add to an answer. */
#define METADATA_MAX 16

/* Of a status. Peers take 8 KiB of headers and no more (grpcio), or are not even sent it (nghttp2: 64 KiB).
 */
#define STATUS_MESSAGE_BYTES (2 * 1024)
#define STATUS_DETAILS_BYTES (3 * 1024)

/* A peer that does not read its answers gets no new ones past this many bytes waiting on its connection. */
#define UNREAD_MAX (4 * 1024 * 1024)

struct rpc_call {
        struct server_connection *connection;
        struct http2_stream *stream;
        struct server_method method;
        const char *path;
        uint64_t begin_usec, deadline_usec;
        sd_event_source *deadline_source;
        bool deadline_jumped;

        struct message_reader reader;
        struct quota_charge charge; /* what its method charges */
        ProtobufCMessage *request;  /* where it is not a stream */
        struct arena message_arena; /* of the current message, where it is */

        const struct rpc_call_ops *ops;
        void *userdata;

        nghttp2_nv *headers, *trailers; /* added by the handler, in the arena; METADATA_MAX each */
        size_t n_headers, n_trailers;
        bool headers_sent, finished, reading_off;
        bool begun;      /* permitted, and the handler's */
        uint64_t review; /* the last one in which it was asked whether it may go on */
};

#define NV(name_text, value_text)                                                                           \
        (nghttp2_nv) {                                                                                      \
                .name = (uint8_t *) (name_text), .namelen = strlen(name_text),                              \
                .value = (uint8_t *) (value_text), .valuelen = strlen(value_text),                          \
                .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,                      \
        }

/* ---- what a handler may ask ---- */

const struct rpc_peer *rpc_call_peer(const struct rpc_call *call) {
        return &call->connection->peer;
}

struct rpc_server *rpc_call_server(const struct rpc_call *call) {
        return call->connection->server;
}

const char *rpc_call_method(const struct rpc_call *call) {
        return call->method.descriptor->name;
}

const char *rpc_call_path(const struct rpc_call *call) {
        return call->path;
}

uint64_t rpc_call_deadline(const struct rpc_call *call) {
        return call->deadline_usec;
}

const char *rpc_call_metadata(const struct rpc_call *call, const char *key) {
        return http2_stream_header(call->stream, key);
}

struct arena *rpc_call_arena(struct rpc_call *call) {
        return &call->stream->arena;
}

size_t rpc_call_queued(const struct rpc_call *call) {
        return call->stream->out_bytes;
}

void rpc_call_cut(struct rpc_call *call) {
        http2_stream_cut(call->stream);
}

void rpc_call_set_ops(struct rpc_call *call, const struct rpc_call_ops *ops, void *userdata) {
        call->ops = ops;
        call->userdata = userdata;
}

void rpc_call_set_reading(struct rpc_call *call, bool on) {
        if (call->finished)
                return;
        call->reading_off = !on;
        http2_stream_set_reading(call->stream, on);
}

/* ---- the end of a call ---- */

static void call_log(const struct rpc_call *call, enum rpc_code code, const char *message) {
        struct log_fields fields;

        if (log_get_max_level() < LOG_DEBUG)
                return;
        fields = (struct log_fields){
                .method = call->path + 1,
                .peer = call->connection->peer.name,
                .status = rpc_code_name(code),
                .duration_usec = now_usec(CLOCK_MONOTONIC) - call->begin_usec,
        };
        log_event(LOG_DEBUG, &fields, "%s for %s: %s%s%s", call->path + 1, call->connection->peer.name,
                        rpc_code_name(code), isempty(message) ? "" : ": ", strempty(message));
}

void rpc_call_log(const struct rpc_call *call, int priority, const struct log_fields *fields,
                const char *format, ...) {
        const char *peer = rpc_call_peer(call)->name;
        va_list ap;

        if (priority > log_get_max_level())
                return;
        if (priority < LOG_DEBUG && !peer_limit_pass(&call->connection->server->lines, peer))
                return;
        va_start(ap, format);
        log_event_va(priority, fields, format, ap);
        va_end(ap);
}

/* From here on nobody is told anything; what the call held besides its stream goes. */
static void call_release(struct rpc_call *call, enum rpc_code code) {
        call->finished = true;
        call->ops = NULL;
        call->deadline_source = sd_event_source_disable_unref(call->deadline_source);
        message_reader_clear(&call->reader);
        quota_release(&call->charge);
        server_call_ended(call->connection->server, &call->method, code,
                        now_usec(CLOCK_MONOTONIC) - call->begin_usec);
}

static int add_nv(struct rpc_call *call, nghttp2_nv **list, size_t *n, const char *key, const char *value) {
        struct arena *arena = &call->stream->arena;
        char *k = arena_strdup(arena, key), *v = arena_strdup(arena, value);

        if (!*list)
                *list = arena_alloc(arena, METADATA_MAX * sizeof(**list));
        if (!k || !v || !*list || *n == METADATA_MAX)
                return -ENOMEM;
        (*list)[(*n)++] = NV(k, v);
        return 0;
}

/* Names that are the protocol's own are not the handler's to set. */
static bool is_metadata_key(const char *key) {
        return !isempty(key) && key[0] != ':' && !startswith(key, "grpc-");
}

int rpc_call_add_header(struct rpc_call *call, const char *key, const char *value) {
        if (call->headers_sent || !is_metadata_key(key))
                return -EINVAL;
        return add_nv(call, &call->headers, &call->n_headers, key, value);
}

int rpc_call_add_trailer(struct rpc_call *call, const char *key, const char *value) {
        if (call->finished || !is_metadata_key(key))
                return -EINVAL;
        return add_nv(call, &call->trailers, &call->n_trailers, key, value);
}

static size_t response_headers(struct rpc_call *call, nghttp2_nv *nv) {
        size_t n = 0;

        nv[n++] = NV(":status", "200");
        nv[n++] = NV("content-type", "application/grpc");
        for (size_t i = 0; i < call->n_headers; i++)
                nv[n++] = call->headers[i];
        call->headers_sent = true;
        return n;
}

/* The status and the handler's trailers, in the call's arena, where they last until they are sent. */
static nghttp2_nv *status_trailers(struct rpc_call *call, const struct rpc_status *status, size_t *ret_n) {
        _cleanup_(freep) char *message = NULL, *details = NULL;
        struct arena *arena = &call->stream->arena;
        nghttp2_nv *nv = arena_alloc(arena, (3 + call->n_trailers) * sizeof(*nv));
        char *code = arena_alloc(arena, 4), *copy;
        size_t n = 0;

        if (!nv || !code)
                return NULL;
        (void) snprintf(code, 4, "%u", (unsigned) status->code);
        nv[n++] = NV("grpc-status", code);
        if (!isempty(status->message)) {
                message = rpc_status_message_encode(status->message, STATUS_MESSAGE_BYTES);
                copy = message ? arena_strdup(arena, message) : NULL;
                if (copy)
                        nv[n++] = NV("grpc-message", copy);
        }
        if (status->n_details > 0 && status->n_details <= STATUS_DETAILS_BYTES) {
                details = rpc_base64_encode(status->details, status->n_details);
                copy = details ? arena_strdup(arena, details) : NULL;
                if (copy)
                        nv[n++] = NV("grpc-status-details-bin", copy);
        }
        for (size_t i = 0; i < call->n_trailers; i++)
                nv[n++] = call->trailers[i];
        *ret_n = n;
        return nv;
}

void rpc_call_finish(struct rpc_call *call, const struct rpc_status *status) {
        struct http2_stream *stream = call->stream;
        nghttp2_nv *trailers;
        size_t n = 0;

        if (call->finished)
                return;
        call_log(call, status->code, status->message);
        trailers = status_trailers(call, status, &n);
        if (!trailers)
                http2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
        else if (call->headers_sent)
                http2_stream_end(stream, trailers, n);
        else {
                /* PROTOCOL-HTTP2 "Trailers-Only": one header block says it all. */
                nghttp2_nv nv[2 + METADATA_MAX + 3 + METADATA_MAX];
                size_t n_headers = response_headers(call, nv);

                memcpy(nv + n_headers, trailers, n * sizeof(*nv));
                if (http2_stream_respond(stream, nv, n_headers + n, true) < 0)
                        http2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
        }
        call_release(call, status->code);
        http2_stream_forget(stream);
}

static void _printf_(3, 0) fail(struct rpc_call *call, enum rpc_code code, const char *format, va_list ap) {
        _cleanup_(freep) char *message = NULL;

        message = text_vprintf(format, ap);
        rpc_call_finish(call, &(struct rpc_status){ .code = code, .message = strempty(message) });
}

void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        fail(call, code, format, ap);
        va_end(ap);
}

int rpc_call_accept(struct rpc_call *call) {
        nghttp2_nv nv[2 + METADATA_MAX];
        size_t n;

        if (call->finished || call->headers_sent)
                return 0;
        n = response_headers(call, nv);
        if (http2_stream_respond(call->stream, nv, n, false) < 0) {
                call->headers_sent = false; /* the status may still find a way */
                return -ENOMEM;
        }
        return 0;
}

int rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message) {
        size_t n = protobuf_c_message_get_packed_size(message);
        struct http2_chunk *chunk;

        if (call->finished)
                return 0;
        if (n > call->connection->server->limits.message_bytes)
                return -EMSGSIZE;
        if (http2_charge(call->connection->http2, n) < 0)
                return -ENOBUFS;
        chunk = message_pack_chunk(message, n);
        if (!chunk)
                return -ENOMEM;
        if (rpc_call_accept(call) < 0) {
                http2_chunk_free(chunk);
                return -ENOMEM;
        }
        return http2_stream_queue(call->stream, chunk);
}

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message) {
        int r = rpc_call_send(call, message);

        if (r == -EMSGSIZE)
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "The answer is larger than %zu bytes",
                                call->connection->server->limits.message_bytes);
        else if (r == -ENOBUFS)
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "Read the answers to earlier calls first");
        else if (r < 0)
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "Out of memory");
        else
                rpc_call_finish(call, &(struct rpc_status){ .code = RPC_OK, .message = "" });
}

/* The last thing done with a call: the handler may free the connection, and the server, in here. */
static void tell_gone(struct rpc_call *call, const struct rpc_call_ops *ops) {
        if (ops && ops->gone)
                ops->gone(call, call->userdata);
}

void rpc_call_break_off(struct rpc_call *call, enum rpc_code code, const char *format, ...) {
        const struct rpc_call_ops *ops = call->ops;
        va_list ap;

        va_start(ap, format);
        fail(call, code, format, ap);
        va_end(ap);
        tell_gone(call, ops);
}

static int on_deadline(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        struct rpc_call *call = userdata;

        if (!deadline_has_passed(source, &call->deadline_usec, &call->deadline_jumped))
                return 0;
        rpc_call_break_off(call, RPC_DEADLINE_EXCEEDED, "The call's deadline has passed");
        return 0;
}

/* ---- what comes in ---- */

static bool request_is_stream(const struct rpc_call *call) {
        return call->method.method->open;
}

/* Whether the handler is to see this message; otherwise the call has been ended. */
static bool decode(struct rpc_call *call, const uint8_t *bytes, size_t n, struct arena *arena,
                ProtobufCMessage **ret) {
        const ProtobufCMessageDescriptor *descriptor = call->method.descriptor->input;
        int r = message_decode(descriptor, bytes, n, arena, ret);

        if (r == -ENOBUFS)
                rpc_call_break_off(call, RPC_RESOURCE_EXHAUSTED, "The request takes too much memory");
        else if (r < 0)
                rpc_call_break_off(
                                call, RPC_INTERNAL, "The request is not a well-formed %s", descriptor->name);
        /* Access rules do not see them, so an agent that is newer than we are must not be sent them. */
        else
                message_forget_unknown(*ret);
        return r == 0;
}

/* The one request of a call whose request is no stream. It is kept decoded; its bytes go, more of them are
 * an error. */
static void take_request(struct rpc_call *call, const uint8_t *bytes, size_t n) {
        struct arena *arena = &call->stream->arena;
        size_t before = arena->allocated;

        if (call->request) {
                rpc_call_break_off(call, RPC_UNIMPLEMENTED, "%s takes one request message, not more",
                                rpc_call_method(call));
                return;
        }
        if (!decode(call, bytes, n, arena, &call->request))
                return;
        message_reader_clear(&call->reader);
        message_reader_init(&call->reader, call->connection->server->limits.message_bytes,
                        http2_budget(call->connection->http2));
        if (!http2_stream_charge(call->stream, arena->allocated - before))
                rpc_call_break_off(call, RPC_RESOURCE_EXHAUSTED,
                                "Requests under way on this connection take too much memory together");
}

static void take_message(struct rpc_call *call, const uint8_t *bytes, size_t n) {
        ProtobufCMessage *message;

        if (!request_is_stream(call)) {
                take_request(call, bytes, n);
                return;
        }
        arena_init(&call->message_arena, call->stream->arena.limit);
        if (decode(call, bytes, n, &call->message_arena, &message) && call->ops && call->ops->message)
                call->ops->message(call, message, call->userdata);
        arena_clear(&call->message_arena);
        if (!call->finished)
                message_reader_drop(&call->reader);
}

static void fail_framing(struct rpc_call *call, int error) {
        switch (error) {
        case -EMSGSIZE:
                rpc_call_break_off(call, RPC_RESOURCE_EXHAUSTED,
                                "The message of %zu bytes is larger than the limit of %zu",
                                call->reader.length, call->reader.limit);
                return;
        case -ENOBUFS:
                rpc_call_break_off(call, RPC_RESOURCE_EXHAUSTED,
                                "Requests under way on this connection are larger than %zu bytes together",
                                call->reader.budget->limit);
                return;
        case -EPROTO:
                rpc_call_break_off(call, RPC_INTERNAL,
                                "The message is compressed, yet grpc-encoding says that none is");
                return;
        case -EBADMSG:
                rpc_call_break_off(call, RPC_INTERNAL, "The message's Compressed-Flag is neither 0 nor 1");
                return;
        default:
                rpc_call_break_off(call, RPC_RESOURCE_EXHAUSTED, "Out of memory");
                return;
        }
}

static size_t on_data(struct http2_stream *stream _unused_, const uint8_t *p, size_t n, void *userdata) {
        struct rpc_call *call = userdata;
        size_t taken = 0;

        while (taken < n && !call->finished && !call->reading_off) {
                const uint8_t *message;
                size_t length, part;
                int r;

                r = message_reader_feed(&call->reader, p + taken, n - taken, &part, &message, &length);
                taken += part;
                if (r < 0)
                        fail_framing(call, r);
                else if (r > 0)
                        take_message(call, message, length);
        }
        return call->finished ? n : taken;
}

/* Whether the call may begin: the owner permits it, and the peer has room for it. Otherwise it has been
 * ended. */
static bool begin(struct rpc_call *call) {
        struct quota_account *account = rpc_call_peer(call)->account;
        enum quota_resource resource = call->method.method->charges;

        if (!server_permit(call->connection->server, call, call->request))
                return false;
        call->begun = resource == QUOTA_NONE || quota_charge(account, resource, 1, &call->charge) >= 0;
        if (call->begun)
                return true;
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "too many %s at a time: %s may have %zu now",
                        quota_resource_name(resource), rpc_call_peer(call)->name,
                        quota_share(account, resource));
        return false;
}

static void on_end(struct http2_stream *stream _unused_, void *userdata) {
        struct rpc_call *call = userdata;

        if (call->finished)
                return;
        if (!message_reader_is_between(&call->reader)) {
                rpc_call_break_off(call, RPC_INTERNAL, "The request ends in the middle of a message");
                return;
        }
        if (request_is_stream(call)) {
                if (call->ops && call->ops->half_closed)
                        call->ops->half_closed(call, call->userdata);
                return;
        }
        if (!call->request) {
                rpc_call_break_off(call, RPC_UNIMPLEMENTED, "%s takes one request message, none came",
                                rpc_call_method(call));
                return;
        }
        if (begin(call))
                call->method.method->handle(call, call->request, call->method.userdata);
}

static void on_writable(struct http2_stream *stream _unused_, void *userdata) {
        struct rpc_call *call = userdata;

        if (call->ops && call->ops->writable)
                call->ops->writable(call, call->userdata);
}

static void on_closed(struct http2_stream *stream _unused_, uint32_t error _unused_, void *userdata) {
        struct rpc_call *call = userdata;
        const struct rpc_call_ops *ops = call->ops;

        call_log(call, RPC_CANCELLED, "given up by the caller");
        call_release(call, RPC_CANCELLED);
        tell_gone(call, ops);
}

static const struct http2_stream_ops stream_ops = {
        .data = on_data,
        .end = on_end,
        .writable = on_writable,
        .closed = on_closed,
};

bool call_review(struct http2_stream *stream, void *userdata) {
        const uint64_t *review = userdata;
        struct rpc_call *call = stream->userdata;

        if (stream->ops != &stream_ops || !call->begun || call->review == *review ||
                        !(request_is_stream(call) || call->method.method->streams_response))
                return true;
        call->review = *review;
        return server_may_go_on(call->connection->server, call, call->request);
}

/* ---- the opening ---- */

/* Not gRPC at all: an HTTP status, as PROTOCOL-HTTP2 "Requests" asks. */
static void refuse_http(struct http2_stream *stream, const char *status) {
        const nghttp2_nv nv[] = { NV(":status", status) };

        if (http2_stream_respond(stream, nv, ELEMENTSOF(nv), true) < 0)
                http2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
}

static bool is_grpc(const char *content_type) {
        const char *rest = content_type ? startswith(content_type, "application/grpc") : NULL;

        return rest &&
                        (rest[0] == '\0' || rest[0] == ';' || streq(rest, "+proto") ||
                                        startswith(rest, "+proto;"));
}

/* Everything that can be wrong with the headers of a gRPC request. False: the call has been ended. */
static bool check_headers(struct rpc_call *call) {
        struct http2_stream *stream = call->stream;
        const char *encoding = http2_stream_header(stream, "grpc-encoding");
        const char *timeout = http2_stream_header(stream, "grpc-timeout");
        uint64_t usec;

        if (stream->headers_overflow) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "The request's headers are larger than %u bytes",
                                (unsigned) HTTP2_HEADER_BYTES);
                return false;
        }
        if (!call->method.service || !call->method.method) {
                rpc_call_fail(call, RPC_UNIMPLEMENTED, "%.200s is not offered here", call->path);
                return false;
        }
        /* PROTOCOL-HTTP2 "Requests": what we could read is named. */
        if (encoding && !streq(encoding, "identity")) {
                (void) add_nv(call, &call->headers, &call->n_headers, "grpc-accept-encoding", "identity");
                rpc_call_fail(call, RPC_UNIMPLEMENTED, "grpc-encoding %.50s is not supported", encoding);
                return false;
        }
        if (timeout) {
                if (timeout_parse(timeout, &usec) < 0) {
                        rpc_call_fail(call, RPC_INTERNAL, "grpc-timeout is malformed");
                        return false;
                }
                call->deadline_usec = usec_add(call->begin_usec, usec);
        }
        if (http2_out_bytes(call->connection->http2) > UNREAD_MAX) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "Read the answers to earlier calls first");
                return false;
        }
        return true;
}

void call_open(struct server_connection *connection, struct http2_stream *stream) {
        const struct rpc_server_limits *limits = &connection->server->limits;
        const char *method = http2_stream_header(stream, ":method");
        struct rpc_call *call;

        if (!method || !streq(method, "POST")) {
                refuse_http(stream, "405");
                return;
        }
        if (!stream->headers_overflow && !is_grpc(http2_stream_header(stream, "content-type"))) {
                refuse_http(stream, "415");
                return;
        }
        call = arena_alloc0(&stream->arena, sizeof(*call));
        if (!call) {
                http2_stream_reset(stream, NGHTTP2_ENHANCE_YOUR_CALM);
                return;
        }
        call->connection = connection;
        call->stream = stream;
        call->path = http2_stream_header(stream, ":path") ?: "/";
        call->begin_usec = now_usec(CLOCK_MONOTONIC);
        call->deadline_usec = USEC_INFINITY;
        message_reader_init(&call->reader, limits->message_bytes, http2_budget(connection->http2));
        stream->ops = &stream_ops;
        stream->userdata = call;
        server_call_begun(connection);

        (void) server_find_method(connection->server, call->path, &call->method);
        if (!check_headers(call))
                return;
        if (call->deadline_usec != USEC_INFINITY &&
                        deadline_arm(connection->server->event, &call->deadline_source, call->deadline_usec,
                                        on_deadline, call) < 0) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "Out of memory");
                return;
        }
        if (request_is_stream(call) && begin(call))
                call->method.method->open(call, call->method.userdata);
}
