/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "channel-internal.h"

#include "defer.h"
#include "text.h"
#include "timeout.h"

#include <stdio.h>

/* Headers of a request besides the caller's metadata. */
#define REQUEST_HEADERS 7
#define METADATA_MAX    16

/* The strings last until http2_request() returns: nghttp2 copies. */
#define NV(name_text, value_text)                                                                           \
        (nghttp2_nv) {                                                                                      \
                .name = (uint8_t *) (name_text), .namelen = strlen(name_text),                              \
                .value = (uint8_t *) (value_text), .valuelen = strlen(value_text),                          \
        }

static void free_chunks(struct http2_chunk *chunk) {
        while (chunk) {
                struct http2_chunk *next = chunk->next;

                http2_chunk_free(chunk);
                chunk = next;
        }
}

static void call_free(struct rpc_client_call *call) {
        list_remove(&call->link);
        sd_event_source_disable_unref(call->deadline_source);
        message_reader_clear(&call->reader);
        call->channel->budget.used -= call->unary_arena.allocated;
        arena_clear(&call->unary_arena);
        free_chunks(call->queued);
        for (char **m = call->metadata; m && *m; m++)
                free(*m);
        free(call->metadata);
        free(call->path);
        free(call->error_message);
        channel_unref(call->channel);
        free(call);
}

/* Around every callback: leaving returns whether the call still runs; if not, it may be freed by now. */
static void call_enter(struct rpc_client_call *call) {
        call->inside++;
}

static bool call_leave(struct rpc_client_call *call) {
        call->inside--;
        if (!call->finished)
                return true;
        if (call->inside == 0)
                call_free(call);
        return false;
}

/* Lets go of the wire: the stream, if it still stands, is reset unless both sides are done with it. */
static void detach(struct rpc_client_call *call) {
        struct http2_stream *stream = TAKE_PTR(call->stream);

        if (!stream)
                return;
        message_reader_clear(&call->reader);
        if (!stream->end_received || !stream->out_end)
                http2_stream_reset(stream, NGHTTP2_CANCEL);
        http2_stream_forget(stream);
}

/* ---- the end ---- */

static void finish(struct rpc_client_call *call, const struct rpc_status *status) {
        struct rpc_status s = *status;

        if (call->finished)
                return;
        list_remove(&call->link);
        call->deadline_source = sd_event_source_disable_unref(call->deadline_source);
        if (call->unary_done && s.code == RPC_OK && !call->unary_response)
                s = (struct rpc_status){ .code = RPC_INTERNAL,
                        .message = "The server answered OK without an answer" };

        call_enter(call);
        call->finished = true;
        if (call->unary_done)
                call->unary_done(&s, s.code == RPC_OK ? call->unary_response : NULL, call->userdata);
        else if (call->ops)
                call->ops->finished(call, &s, call->userdata);
        detach(call);
        (void) call_leave(call);
}

void client_call_fail(struct rpc_client_call *call, enum rpc_code code, const char *message) {
        /* The text may belong to what the callback frees. */
        _cleanup_(freep) char *copy = strdup(message);

        finish(call, &(struct rpc_status){ .code = code, .message = strempty(copy) });
}

static void set_error(struct rpc_client_call *call, enum rpc_code code, const char *message) {
        if (call->error != RPC_OK)
                return;
        call->error = code;
        call->error_message = strdup(message);
}

void client_call_fail_later(struct rpc_client_call *call, enum rpc_code code, const char *message) {
        struct rpc_channel *channel = call->channel;

        set_error(call, code, message);
        list_remove(&call->link);
        list_append(&channel->deferred, &call->link);
        defer_again(&channel->deferred_source, client_call_on_deferred);
}

/* One, as the callback may take its time. */
int client_call_on_deferred(sd_event_source *source _unused_, void *userdata) {
        struct rpc_channel *channel = channel_ref(userdata);
        struct rpc_client_call *call = LIST_FIRST(&channel->deferred, struct rpc_client_call, link);

        if (call)
                client_call_fail(call, call->error, strempty(call->error_message));
        if (!list_is_empty(&channel->deferred))
                defer_again(&channel->deferred_source, client_call_on_deferred);
        channel_unref(channel);
        return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        struct rpc_client_call *call = userdata;
        const char *reason = rpc_channel_reason(call->channel);
        _cleanup_(freep) char *message = NULL;

        if (!deadline_has_passed(source, &call->deadline_usec, &call->deadline_jumped))
                return 0;
        if (!call->stream && !isempty(reason))
                message = text_printf("No connection before the deadline: %s", reason);
        client_call_fail(call, RPC_DEADLINE_EXCEEDED, message ?: "No answer before the deadline");
        return 0;
}

/* gRPC "HTTP to gRPC Status Code Mapping", for answers that are not gRPC's. */
static enum rpc_code code_of_http(const char *status) {
        static const struct {
                const char *http;
                enum rpc_code code;
        } table[] = {
                { "400", RPC_INTERNAL },
                { "401", RPC_UNAUTHENTICATED },
                { "403", RPC_PERMISSION_DENIED },
                { "404", RPC_UNIMPLEMENTED },
                { "429", RPC_UNAVAILABLE },
                { "502", RPC_UNAVAILABLE },
                { "503", RPC_UNAVAILABLE },
                { "504", RPC_UNAVAILABLE },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(status, table[i].http))
                        return table[i].code;
        return RPC_UNKNOWN;
}

/* PROTOCOL-HTTP2 "Errors": what a reset stream means. */
static enum rpc_code code_of_http2(uint32_t error) {
        switch (error) {
        case HTTP2_STREAM_LOST:
        case NGHTTP2_REFUSED_STREAM:
                return RPC_UNAVAILABLE;
        case NGHTTP2_CANCEL:
                return RPC_CANCELLED;
        case NGHTTP2_ENHANCE_YOUR_CALM:
                return RPC_RESOURCE_EXHAUSTED;
        case NGHTTP2_INADEQUATE_SECURITY:
                return RPC_PERMISSION_DENIED;
        default:
                return RPC_INTERNAL;
        }
}

/* The status in the trailers. False: there is none that can be read. */
static bool finish_by_trailers(struct rpc_client_call *call) {
        const char *code_text = http2_stream_header(call->stream, "grpc-status");
        const char *message_text = http2_stream_header(call->stream, "grpc-message");
        const char *details_text = http2_stream_header(call->stream, "grpc-status-details-bin");
        _cleanup_(freep) char *message = NULL;
        _cleanup_(freep) uint8_t *details = NULL;
        size_t n_details = 0;
        uint64_t code;

        if (!code_text || text_to_uint(code_text, UINT32_MAX, &code) < 0)
                return false;
        if (message_text)
                message = rpc_status_message_decode(message_text, strlen(message_text));
        if (details_text)
                (void) rpc_base64_decode(details_text, strlen(details_text), &details, &n_details);
        finish(call,
                        &(struct rpc_status){
                                        .code = code < _RPC_CODE_MAX ? (enum rpc_code) code : RPC_UNKNOWN,
                                        .message = strempty(message),
                                        .details = details,
                                        .n_details = n_details,
                        });
        return true;
}

/* ---- what comes in ---- */

static void on_headers(struct http2_stream *stream, void *userdata) {
        struct rpc_client_call *call = userdata;
        const char *status = http2_stream_header(stream, ":status");
        const char *encoding = http2_stream_header(stream, "grpc-encoding");
        const char *type = http2_stream_header(stream, "content-type");

        if (status && !streq(status, "200") && !http2_stream_header(stream, "grpc-status")) {
                _cleanup_(freep) char *message =
                                text_printf("The server answered with HTTP status %s", status);

                set_error(call, code_of_http(status), strempty(message));
        } else if (type && !startswith(type, "application/grpc")) {
                _cleanup_(freep) char *message =
                                text_printf("The server answered with %.100s, not gRPC", type);

                set_error(call, RPC_UNKNOWN, strempty(message));
        } else if (encoding && !streq(encoding, "identity"))
                set_error(call, RPC_INTERNAL, "The server compresses, unasked");
        else if (stream->headers_overflow)
                set_error(call, RPC_RESOURCE_EXHAUSTED, "The answer's headers are too large");
        if (call->error != RPC_OK)
                client_call_fail(call, call->error, strempty(call->error_message));
        else if (!http2_stream_header(stream, "grpc-status") && call->ops && call->ops->accepted) {
                call_enter(call);
                call->ops->accepted(call, call->userdata);
                (void) call_leave(call);
        }
}

/*
 * The answer of a unary call. It is kept decoded until the trailers are here, which may be never: till then
 * it takes of the channel's budget, and its bytes no longer do.
 */
static int take_answer(struct rpc_client_call *call, const uint8_t *bytes, size_t n) {
        struct message_budget *budget = &call->channel->budget;
        int r;

        if (call->unary_response)
                return -ENOTUNIQ;
        arena_init(&call->unary_arena, budget->limit - (budget->used - call->reader.charged));
        r = message_decode(call->method->output, bytes, n, &call->unary_arena, &call->unary_response);
        message_reader_drop(&call->reader);
        budget->used += call->unary_arena.allocated;
        return r;
}

static int decode_message(struct rpc_client_call *call, const uint8_t *bytes, size_t n) {
        struct arena arena;
        ProtobufCMessage *message;
        int r;

        if (call->unary_done)
                return take_answer(call, bytes, n);
        arena_init(&arena, call->channel->budget.limit);
        r = message_decode(call->method->output, bytes, n, &arena, &message);
        if (r == 0 && call->ops->message)
                call->ops->message(call, message, call->userdata);
        arena_clear(&arena);
        return r;
}

static void fail_framing(struct rpc_client_call *call, int error) {
        switch (error) {
        case -EMSGSIZE:
                client_call_fail(call, RPC_RESOURCE_EXHAUSTED, "The answer is larger than the limit");
                return;
        case -ENOBUFS:
        case -ENOMEM:
                client_call_fail(call, RPC_RESOURCE_EXHAUSTED, "The answer takes too much memory");
                return;
        case -ENOTUNIQ:
                client_call_fail(call, RPC_INTERNAL, "The server sent more than one answer");
                return;
        default:
                client_call_fail(call, RPC_INTERNAL, "The answer is malformed");
                return;
        }
}

static size_t on_data(struct http2_stream *stream _unused_, const uint8_t *p, size_t n, void *userdata) {
        struct rpc_client_call *call = userdata;
        size_t taken = 0;

        call_enter(call);
        while (taken < n && !call->finished && !call->reading_off) {
                const uint8_t *message;
                size_t length, part;
                int r;

                r = message_reader_feed(&call->reader, p + taken, n - taken, &part, &message, &length);
                taken += part;
                if (r > 0)
                        r = decode_message(call, message, length);
                if (r < 0 && !call->finished)
                        fail_framing(call, r);
        }
        return call_leave(call) ? taken : n;
}

static void on_end(struct http2_stream *stream _unused_, void *userdata) {
        struct rpc_client_call *call = userdata;

        if (!message_reader_is_between(&call->reader))
                client_call_fail(call, RPC_INTERNAL, "The answer ends in the middle of a message");
        else if (!finish_by_trailers(call))
                client_call_fail(call, RPC_UNKNOWN, "The server ended the call without a status");
}

static void on_writable(struct http2_stream *stream _unused_, void *userdata) {
        struct rpc_client_call *call = userdata;

        call_enter(call);
        if (call->ops && call->ops->writable)
                call->ops->writable(call, call->userdata);
        (void) call_leave(call);
}

static void on_closed(struct http2_stream *stream, uint32_t error, void *userdata) {
        struct rpc_client_call *call = userdata;
        _cleanup_(freep) char *message = NULL;

        call->stream = NULL;
        message_reader_clear(&call->reader);
        if (error != HTTP2_STREAM_LOST)
                message = text_printf("The server reset the stream: %s", nghttp2_http2_strerror(error));
        else if (stream->lost_reason)
                message = text_printf("The connection was lost: %s", stream->lost_reason);
        client_call_fail(call, code_of_http2(error), message ?: "The connection was lost");
}

static const struct http2_stream_ops stream_ops = {
        .headers = on_headers,
        .data = on_data,
        .end = on_end,
        .writable = on_writable,
        .closed = on_closed,
};

/* ---- the beginning ---- */

static size_t request_headers(
                const struct rpc_client_call *call, nghttp2_nv *nv, char timeout[static TIMEOUT_TEXT_MAX]) {
        size_t n = 0;

        nv[n++] = NV(":method", "POST");
        nv[n++] = NV(":scheme", call->channel->tls ? "https" : "http");
        nv[n++] = NV(":path", call->path);
        nv[n++] = NV(":authority", call->channel->authority);
        nv[n++] = NV("te", "trailers");
        if (call->deadline_usec != USEC_INFINITY) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);

                timeout_format(call->deadline_usec > now ? call->deadline_usec - now : 1, timeout);
                nv[n++] = NV("grpc-timeout", timeout);
        }
        nv[n++] = NV("content-type", "application/grpc");
        for (char **m = call->metadata; m && *m; m += 2)
                nv[n++] = NV(m[0], m[1]);
        return n;
}

void client_call_begin(struct rpc_client_call *call, struct http2 *http2) {
        nghttp2_nv nv[REQUEST_HEADERS + METADATA_MAX];
        char timeout[TIMEOUT_TEXT_MAX];
        struct http2_chunk *chunk;
        size_t n;
        int r;

        list_remove(&call->link);
        n = request_headers(call, nv, timeout);
        r = http2_request(http2, nv, n, &stream_ops, call, &call->stream);
        if (r < 0) {
                client_call_fail_later(call, r == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_UNAVAILABLE,
                                r == -ENOMEM ? "Out of memory" : "The server is going away");
                return;
        }
        list_append(&call->channel->running, &call->link);
        message_reader_init(&call->reader, call->channel->message_bytes, &call->channel->budget);
        if (call->reading_off)
                http2_stream_set_reading(call->stream, false);
        while ((chunk = call->queued)) {
                call->queued = chunk->next;
                chunk->next = NULL;
                (void) http2_stream_queue(call->stream, chunk);
        }
        call->queued_last = &call->queued;
        call->queued_bytes = 0;
        if (call->half_closed)
                http2_stream_end(call->stream, NULL, 0);
}

static char **copy_metadata(const char *const *metadata) {
        size_t n = 0;
        char **copy;

        while (metadata[n])
                n++;
        if (n % 2 != 0 || n / 2 > METADATA_MAX) {
                errno = EINVAL;
                return NULL;
        }
        copy = calloc(n + 1, sizeof(*copy));
        for (size_t i = 0; copy && i < n; i++) {
                copy[i] = strdup(metadata[i]);
                if (!copy[i]) {
                        while (i > 0)
                                free(copy[--i]);
                        free(copy);
                        copy = NULL;
                }
        }
        return copy;
}

static int call_new(struct rpc_client_call **ret, struct rpc_channel *channel,
                const ProtobufCServiceDescriptor *service, const char *method,
                const struct rpc_client_options *options) {
        const ProtobufCMethodDescriptor *descriptor;
        struct rpc_client_call *call;
        int r = 0;

        descriptor = protobuf_c_service_descriptor_get_method_by_name(service, method);
        if (!descriptor)
                return -EINVAL;
        if (channel->freed)
                return -ECANCELED;
        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        list_init(&call->link);
        call->channel = channel_ref(channel);
        call->method = descriptor;
        call->queued_last = &call->queued;
        call->deadline_usec = USEC_INFINITY;
        call->path = text_printf("/%s/%s", service->name, method);
        if (!call->path)
                r = -ENOMEM;
        if (r == 0 && options && options->metadata) {
                call->metadata = copy_metadata(options->metadata);
                r = call->metadata ? 0 : -errno;
        }
        if (r == 0 && options && options->deadline_usec > 0 && options->deadline_usec != USEC_INFINITY) {
                call->deadline_usec = options->deadline_usec;
                r = deadline_arm(channel->event, &call->deadline_source, call->deadline_usec, on_deadline,
                                call);
        }
        if (r < 0) {
                call_free(call);
                return r;
        }
        call->wait_for_ready = options && options->wait_for_ready;
        *ret = call;
        return 0;
}

int rpc_channel_call(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
                const char *method, const struct rpc_client_options *options,
                const struct rpc_client_ops *ops, void *userdata, struct rpc_client_call **ret) {
        struct rpc_client_call *call;
        int r;

        r = call_new(&call, channel, service, method, options);
        if (r < 0)
                return r;
        call->ops = ops;
        call->userdata = userdata;
        channel_submit(channel, call);
        *ret = call;
        return 0;
}

int rpc_channel_unary(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
                const char *method, const ProtobufCMessage *request,
                const struct rpc_client_options *options, rpc_unary_done_t done, void *userdata,
                struct rpc_client_call **ret) {
        struct rpc_client_call *call;
        int r;

        r = call_new(&call, channel, service, method, options);
        if (r < 0)
                return r;
        call->unary_done = done;
        call->userdata = userdata;
        r = rpc_client_send(call, request);
        if (r < 0) {
                call_free(call);
                return r;
        }
        rpc_client_half_close(call);
        channel_submit(channel, call);
        if (ret)
                *ret = call;
        return 0;
}

/* ---- what the caller may do ---- */

int rpc_client_send(struct rpc_client_call *call, const ProtobufCMessage *message) {
        size_t n = protobuf_c_message_get_packed_size(message);
        struct http2_chunk *chunk;

        if (call->half_closed || call->finished)
                return 0;
        if (n > call->channel->message_bytes)
                return -EMSGSIZE;
        chunk = message_pack_chunk(message, n);
        if (!chunk)
                return -ENOMEM;
        if (call->stream)
                return http2_stream_queue(call->stream, chunk);
        *call->queued_last = chunk;
        call->queued_last = &chunk->next;
        call->queued_bytes += chunk->length;
        return call->queued_bytes > HTTP2_STREAM_HIGH;
}

void rpc_client_half_close(struct rpc_client_call *call) {
        if (call->half_closed)
                return;
        call->half_closed = true;
        if (call->stream)
                http2_stream_end(call->stream, NULL, 0);
}

struct rpc_client_call *rpc_client_cancel(struct rpc_client_call *call) {
        if (!call || call->finished)
                return NULL;
        call_enter(call);
        call->finished = true;
        detach(call);
        (void) call_leave(call);
        return NULL;
}

void rpc_client_set_reading(struct rpc_client_call *call, bool on) {
        call->reading_off = !on;
        if (call->stream)
                http2_stream_set_reading(call->stream, on);
}

size_t rpc_client_queued(const struct rpc_client_call *call) {
        return call->stream ? call->stream->out_bytes : call->queued_bytes;
}

const char *rpc_client_metadata(const struct rpc_client_call *call, const char *key) {
        return call->stream ? http2_stream_header(call->stream, key) : NULL;
}
