/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * HTTP/2 (RFC 9113) on a bytestream, as server or client: nghttp2 keeps the protocol, this keeps its
 * streams, their bytes in both directions, the bounds, and the signs of life.
 */

#include "arena.h"
#include "buffer.h"
#include "bytestream.h"
#include "list.h"
#include "message.h"
#include "quota.h"
#include "ratelimit.h"

#include <nghttp2/nghttp2.h>

struct http2;

struct http2_header {
        const char *name, *value;
        size_t n_name;
};

/* Bytes on their way out; made by http2_chunk_new(), which leaves data[] to the caller to fill. */
struct http2_chunk {
        struct http2_chunk *next;
        size_t length, sent;
        uint8_t data[];
};

struct http2_stream {
        struct http2 *connection; /* NULL once the stream is closed */
        struct list link;
        int32_t id;
        const struct http2_stream_ops *ops;
        void *userdata;

        /* everything of the stream's, freed with it: headers, and what the owner puts there */
        struct arena arena;
        size_t charged;               /* of the connection's budget, by http2_stream_charge() */
        struct http2_header *headers; /* in the order received; trailers follow */
        size_t n_headers, header_bytes, kept_header_bytes;
        bool headers_overflow; /* more than HTTP2_HEADER_BYTES or HTTP2_HEADERS: the rest was dropped */

        /* incoming */
        struct buffer held; /* received while reading is off */
        bool held_inside;   /* being given out */
        bool reading_off, end_received, end_told;
        bool lingers; /* closed on the wire, whole, and not yet read: no longer in the connection's list */

        /* outgoing */
        struct http2_chunk *out_first, **out_last;
        size_t out_bytes;
        bool out_full; /* told so by http2_stream_queue(): writable() is owed */
        bool out_open; /* headers submitted */
        bool out_end;  /* nothing more will be queued */
        bool out_deferred;
        const nghttp2_nv *trailers;
        size_t n_trailers;
        const char *lost_reason; /* in closed() */
        unsigned inside; /* callbacks to the owner under way: whoever leaves the last one frees a closed
                            stream */
};

/* Callbacks about one stream. From closed() on the stream is gone; its owner's memory in the arena, too. */
struct http2_stream_ops {
        /* A header block is in: the response's, or trailers. */
        void (*headers)(struct http2_stream *stream, void *userdata);
        /* Returns how many it took: all, unless it has turned reading off. */
        size_t (*data)(struct http2_stream *stream, const uint8_t *p, size_t n, void *userdata);
        /* The peer's side has ended (END_STREAM). */
        void (*end)(struct http2_stream *stream, void *userdata);
        /* Less than HTTP2_STREAM_LOW is queued, after http2_stream_queue() had returned 1. */
        void (*writable)(struct http2_stream *stream, void *userdata);
        /*
         * Last: ended on both sides (NGHTTP2_NO_ERROR), reset by either, or lost with its connection. An
         * answer that has come in whole is given out first, even when its connection is lost meanwhile.
         */
        void (*closed)(struct http2_stream *stream, uint32_t error, void *userdata);
};

/* closed()'s error of a stream that was lost with its connection: no HTTP/2 code. stream->lost_reason says
 * more. */
#define HTTP2_STREAM_LOST UINT32_MAX

#define HTTP2_STREAM_HIGH (256 * 1024)
/* With this much queued on all streams together, a stream is full from HTTP2_STREAM_LOW on. */
#define HTTP2_CONNECTION_HIGH (4 * 1024 * 1024)
#define HTTP2_STREAM_LOW      (64 * 1024)
/* RFC 9113, 10.5.1: what a header list may take, counted as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
#define HTTP2_HEADER_BYTES (16 * 1024)
#define HTTP2_HEADERS      128

struct http2_ops {
        /* The connection stands. */
        void (*ready)(struct http2 *h, void *userdata);
        /* As server: a request's headers are in. Sets stream->ops, or resets the stream. */
        void (*request)(struct http2 *h, struct http2_stream *stream, void *userdata);
        /* As client: the peer takes no new streams (GOAWAY). */
        void (*goaway)(struct http2 *h, void *userdata);
        /* The connection is no more, for this reason; its streams have heard closed(). Call http2_free(). */
        void (*closed)(struct http2 *h, int error, const char *reason, void *userdata);
};

struct http2_config {
        uint64_t handshake_usec; /* as client: connecting included */
        uint64_t keepalive_usec; /* 0: no PINGs */
        uint64_t keepalive_timeout_usec;
        size_t streams; /* as server: concurrent ones */
        size_t message_bytes, connection_bytes;
        const struct http2_ops *ops;
        void *userdata;
};

int http2_new_server(struct http2 **ret, sd_event *event, int fd, struct tls_context *tls,
                const struct http2_config *config);
int http2_new_client(struct http2 **ret, sd_event *event, const struct rpc_address *address,
                struct tls_context *tls, const char *server_name, const struct http2_config *config);
/* Ends it at once: streams hear closed(), the connection's owner hears nothing. Only http2_free() may
 * follow. */
void http2_abandon(struct http2 *h);
/* Abandons and frees. From any callback, too. */
struct http2 *http2_free(struct http2 *h);

struct bytestream *http2_bytestream(struct http2 *h);
struct message_budget *http2_budget(struct http2 *h);
/* From now on what the connection takes is charged to the account (which must outlive it). */
void http2_set_account(struct http2 *h, struct quota_account *account);
/* Charges what the connection holds, and n bytes that are about to be queued. 0 or -EDQUOT. */
int http2_charge(struct http2 *h, size_t n);

/* The streams that stand, in the order of their coming, as long as each() returns true: it may do to the
 * connection what it wants when it returns false. What the last one returned. */
bool http2_foreach_stream(
                struct http2 *h, bool (*each)(struct http2_stream *stream, void *userdata), void *userdata);

/* Bytes queued on all streams together. */
size_t http2_out_bytes(const struct http2 *h);

/* Graceful end (RFC 9113, 6.8): GOAWAY; closed() with error 0 follows when the last stream has ended. */
void http2_drain(struct http2 *h);
/* GOAWAY with this code, then closed() with -EPROTO and the reason. */
void http2_terminate(struct http2 *h, uint32_t code, const char *reason);

/* As client: opens a stream. 0, -ENOTCONN, -ENOMEM. */
int http2_request(struct http2 *h, const nghttp2_nv *headers, size_t n, const struct http2_stream_ops *ops,
                void *userdata, struct http2_stream **ret);

/* The last header of that name (trailers win), or NULL. */
const char *http2_stream_header(const struct http2_stream *stream, const char *name);

/*
 * Counts n bytes that the owner keeps for as long as the stream stands against the connection's budget.
 * False: with what others keep they are too many. Alone, a stream may keep what its arena gives.
 */
bool http2_stream_charge(struct http2_stream *stream, size_t n);

struct http2_chunk *http2_chunk_new(size_t length);
/* Wiped, as it may carry a password. */
void http2_chunk_free(struct http2_chunk *chunk);
/* Takes the chunk. 0; 1 when the stream is full now. */
int http2_stream_queue(struct http2_stream *stream, struct http2_chunk *chunk);
/* Forgets what is queued, but for the chunks of one frame. Before http2_stream_end(). */
void http2_stream_cut(struct http2_stream *stream);
/* As server: the response's header block; with end, there is nothing else. 0 or -ENOMEM. */
int http2_stream_respond(struct http2_stream *stream, const nghttp2_nv *headers, size_t n, bool end);
/* Ends our side when what is queued is sent, with trailers (which must last as long as the stream) if n > 0.
 */
void http2_stream_end(struct http2_stream *stream, const nghttp2_nv *trailers, size_t n);
void http2_stream_reset(struct http2_stream *stream, uint32_t code);
/*
 * While off, data() and end() are not called, and flow control stops the peer. Turning it on may call them,
 * and closed(), before it returns.
 */
void http2_stream_set_reading(struct http2_stream *stream, bool on);
/* No callback any more; the stream lives on until it is sent or reset. */
void http2_stream_forget(struct http2_stream *stream);
