/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What http2.c (connection) and http2-stream.c (streams, nghttp2's callbacks about them) share. */

#include "http2.h"

/* One TLS record's worth of plaintext (RFC 8446, 5.1): frames are gathered into as few records as they fit
 * in. */
#define GATHER_BYTES (16 * 1024)

/* RFC 9113, 6.8: two GOAWAYs, a round trip apart, so that no request under way is lost between them. */
enum http2_drain {
        HTTP2_DRAIN_NONE,
        HTTP2_DRAIN_NOTICE,
        HTTP2_DRAIN_LAST,
        HTTP2_DRAIN_EMPTY, /* all is said; the socket has yet to take it */
};

struct http2 {
        unsigned n_refs; /* one for the owner, one for each function of ours that runs on it */
        sd_event *event;
        struct http2_config config;
        bool server;
        struct bytestream *bytes;
        nghttp2_session *session;
        sd_event_source *flush_source, *keepalive_source;
        struct list streams;
        size_t n_streams;
        struct message_budget budget;
        struct quota_account *account; /* NULL: not accounted */
        struct quota_charge bytes_charge, streams_charge;
        enum quota_rank rank;   /* how many go first */
        size_t header_bytes;    /* of all streams */
        size_t block_bytes;     /* of the header block that is coming in */
        size_t data_left;       /* of the DATA frame that is coming in */
        size_t out_bytes;       /* queued on all streams */
        size_t held_bytes;      /* in all streams' held buffers */
        size_t withheld_window; /* of the connection's, not given back while too much is held */

        char *gather; /* while a batch is sent, and wiped when it is */
        size_t n_gathered, most_gathered;

        bool receiving, flushing;
        bool failed;    /* the bytestream has: its closed() follows */
        bool starved;   /* nghttp2 could not note down something to be said: the next flush ends it */
        bool abandoned; /* the owner has called http2_abandon(), and hears nothing any more */
        bool closed;    /* the owner has heard closed(), or has called http2_free() */
        bool goaway_told;
        enum http2_drain draining;
        char *reason;            /* why we terminated */
        const char *lost_reason; /* while the streams hear that the connection is lost */

        uint64_t received_usec; /* CLOCK_MONOTONIC of the last bytes from the peer */
        uint64_t ping_usec;     /* and of our last PING */
        unsigned pings;         /* unanswered */
        struct ratelimit idle_frames, own_resets;
        struct ratelimit *resets; /* those, or the account's */
};

/* Sends what there is: at the end of the current wake-up, or at the end of the receiving function. */
void http2_want_flush(struct http2 *h);
/*
 * For what nghttp2_submit_*() and the like return: out of memory, the peer would wait for ever for what was
 * to be said, so the connection ends at the next flush.
 */
void http2_submitted(struct http2 *h, int r);
/* A PING was answered. */
void http2_pong(struct http2 *h);
struct http2 *http2_ref(struct http2 *h);
struct http2 *http2_unref(struct http2 *h);

/* Collects bytes for the wire; they go as they fill a record, and at the flush's end. 0 or a negative errno.
 */
int http2_gather(struct http2 *h, const void *p, size_t n);

/* Registers the callbacks about streams. */
void http2_stream_set_callbacks(nghttp2_session_callbacks *callbacks);
/* Tells the owner closed() and frees. */
void http2_stream_close(struct http2_stream *stream, uint32_t error);
