/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http2-session.h"

/* What a peer may have under way towards us on one stream; also what one stream can make us hold. */
#define STREAM_WINDOW (1024 * 1024)
/* Given back as soon as bytes have come (unless too many are held): no stream stops the others. */
#define CONNECTION_WINDOW (4 * 1024 * 1024)
/* Fewer, larger frames for bulk; see DATA_FRAME_MAX. */
#define FRAME_MAX (64 * 1024)

/* What a stream takes besides its headers and messages: ours, nghttp2's, and the first block of its arena.
 */
#define STREAM_BYTES 2048

/* A peer gets so much of the loop's time in one go. */
#define TURN_USEC (1 * USEC_PER_MSEC)
/* For one that has taken much of it lately, less is read: what its turn leaves of that is kept. */
#define BUSY_BYTES 2048

/* Reads, and batches sent, in one wake-up before other connections get their turn. */
#define READS_MAX   64
#define BATCHES_MAX 4

/* What a peer sends is taken in by parts, for its turn to end between them: a dozen small calls, or, of what
 * is data for longer, so much. */
#define PART_BYTES      512
#define DATA_PART_BYTES 2048

/* Frames of a server's that wait to be sent, past which no more is read: each may have been called forth by
 * one of the client's that is far smaller, as streams beyond the limit are refused. */
#define WAITING_FRAMES_MAX 512

/* RFC 9113, 10.5: frames that carry nothing. Clients of gRPC send some as long as they receive much. */
#define IDLE_FRAMES_MAX  1000
#define IDLE_FRAMES_USEC (10 * USEC_PER_SEC)

/* How long a peer may take to answer the PING between the two GOAWAYs of a graceful end. */
#define DRAIN_PING_USEC (1 * USEC_PER_SEC)

struct http2 *http2_ref(struct http2 *h) {
        h->n_refs++;
        return h;
}

struct http2 *http2_unref(struct http2 *h) {
        if (--h->n_refs > 0)
                return NULL;
        nghttp2_session_del(h->session);
        free(h->reason);
        sd_event_unref(h->event);
        free(h);
        return NULL;
}

void http2_set_account(struct http2 *h, struct quota_account *account) {
        quota_release(&h->bytes_charge);
        quota_release(&h->streams_charge);
        h->account = account;
        h->resets = quota_account_resets(account) ?: &h->own_resets;
        (void) http2_charge(h, 0);
}

int http2_charge(struct http2 *h, size_t n) {
        size_t bytes = n + h->budget.used + h->held_bytes + h->out_bytes + h->header_bytes +
                        h->n_streams * STREAM_BYTES;
        int r;

        if (!h->account || h->closed)
                return 0;
        bytes += bytestream_unread_bytes(h->bytes);
        r = quota_charge(h->account, QUOTA_STREAMS, h->n_streams, &h->streams_charge);
        return r < 0 ? r : quota_charge(h->account, QUOTA_BYTES, bytes, &h->bytes_charge);
}

/* Detaches from the loop; tells the streams. After it nothing happens any more. A stream's owner may get
 * here again. */
static void shut(struct http2 *h) {
        struct http2_stream *stream;

        h->closed = true;
        h->flush_source = sd_event_source_disable_unref(h->flush_source);
        h->keepalive_source = sd_event_source_disable_unref(h->keepalive_source);
        while ((stream = LIST_FIRST(&h->streams, struct http2_stream, link)))
                http2_stream_close(stream, HTTP2_STREAM_LOST);
        quota_release(&h->bytes_charge);
        quota_release(&h->streams_charge);
}

static void end(struct http2 *h, int error, const char *reason) {
        if (h->closed)
                return;
        http2_ref(h);
        h->lost_reason = reason;
        shut(h);
        /* A stream's owner may have let go of the connection when it heard that. */
        if (!h->abandoned)
                h->config.ops->closed(h, error, reason, h->config.userdata);
        http2_unref(h);
}

bool http2_foreach_stream(
                struct http2 *h, bool (*each)(struct http2_stream *stream, void *userdata), void *userdata) {
        struct http2_stream *stream;

        LIST_FOREACH(stream, &h->streams, link)
                if (!each(stream, userdata))
                        return false;
        return true;
}

struct bytestream *http2_bytestream(struct http2 *h) {
        return h->bytes;
}

struct message_budget *http2_budget(struct http2 *h) {
        return &h->budget;
}

size_t http2_out_bytes(const struct http2 *h) {
        return h->out_bytes;
}

static int write_bytes(struct http2 *h, const void *p, size_t n) {
        int r = bytestream_write(h->bytes, p, n);

        h->failed = h->failed || r < 0;
        return r;
}

int http2_gather(struct http2 *h, const void *p, size_t n) {
        const char *at = p, *end = at + n;

        while (at < end) {
                size_t part = MIN((size_t) (end - at), GATHER_BYTES - h->n_gathered);
                /* What fills a record by itself is not copied. */
                const char *record = part == GATHER_BYTES ? at : h->gather;
                int r;

                if (record == h->gather)
                        memcpy(h->gather + h->n_gathered, at, part);
                at += part;
                h->n_gathered += part;
                h->most_gathered = MAX(h->most_gathered, h->n_gathered);
                if (h->n_gathered < GATHER_BYTES)
                        break;
                r = write_bytes(h, record, GATHER_BYTES);
                if (r < 0)
                        return r;
                h->n_gathered = 0;
        }
        return 0;
}

static ssize_t on_send(nghttp2_session *session _unused_, const uint8_t *data, size_t n, int flags _unused_,
                void *userdata) {
        struct http2 *h = userdata;

        if (h->closed)
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        if (bytestream_pending(h->bytes) >= BYTESTREAM_HIGH)
                return NGHTTP2_ERR_WOULDBLOCK;
        return http2_gather(h, data, n) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : (ssize_t) n;
}

/* As much as the bytestream wants to hold. */
static int send_batch(struct http2 *h) {
        char gather[GATHER_BYTES];
        int r;

        h->gather = gather;
        h->n_gathered = h->most_gathered = 0;
        r = nghttp2_session_send(h->session);
        if (r == 0 && !h->closed && h->n_gathered > 0)
                r = write_bytes(h, gather, h->n_gathered);
        explicit_bzero(gather, h->most_gathered); /* passwords are sent, too */
        h->gather = NULL;
        if (r == 0 && !h->closed) {
                r = bytestream_flush(h->bytes);
                h->failed = h->failed || r < 0;
        }
        return r;
}

/* A socket that takes all gets more at once: to be woken up for each batch takes longer than to send a small
 * one. */
static int send_frames(struct http2 *h) {
        int r = 0;

        for (unsigned i = 0; i < BATCHES_MAX && r == 0; i++) {
                r = send_batch(h);
                if (h->closed || bytestream_pending(h->bytes) > 0 || !nghttp2_session_want_write(h->session))
                        break;
        }
        return r;
}

static void keepalive_in(struct http2 *h, uint64_t usec) {
        (void) sd_event_source_set_time_relative(h->keepalive_source, usec);
        (void) sd_event_source_set_enabled(h->keepalive_source, SD_EVENT_ONESHOT);
}

/* Ends the connection when both sides have said all. */
static void end_if_done(struct http2 *h) {
        if (nghttp2_session_want_write(h->session))
                return;
        if (h->draining == HTTP2_DRAIN_LAST && h->n_streams == 0) {
                h->draining = HTTP2_DRAIN_EMPTY;
                keepalive_in(h, h->config.keepalive_timeout_usec);
                bytestream_tell_empty(h->bytes);
        }
        if (h->reason)
                end(h, -EPROTO, h->reason);
        else if (h->draining == HTTP2_DRAIN_EMPTY) {
                if (bytestream_pending(h->bytes) == 0)
                        end(h, 0, "drained");
        } else if (!nghttp2_session_want_read(h->session))
                end(h, h->goaway_told ? 0 : -EPROTO,
                                h->goaway_told ? "the peer has gone away" : "protocol error");
}

/* Whether the peer has to hear some of what there is to say before it may go on. As client, requests wait
 * for their turn in there, too. */
static bool has_much_to_say(const struct http2 *h) {
        return h->server && nghttp2_session_get_outbound_queue_size(h->session) > WAITING_FRAMES_MAX;
}

static void flush(struct http2 *h) {
        int r;

        if (h->closed || h->failed || !h->session || h->flushing)
                return;
        http2_ref(h);
        h->flushing = true;
        r = send_frames(h);
        if (h->starved)
                r = -ENOMEM;
        h->flushing = false;
        /* Of a failed bytestream on_closed() tells, and knows why. */
        if (r < 0 && !h->failed)
                end(h, -ENOMEM, "out of memory");
        if (r >= 0 && !h->closed)
                end_if_done(h);
        if (!h->closed)
                bytestream_set_reading(h->bytes, !has_much_to_say(h));
        (void) http2_charge(h, 0);
        http2_unref(h);
}

static int on_flush(sd_event_source *source _unused_, void *userdata) {
        flush(userdata);
        return 0;
}

void http2_want_flush(struct http2 *h) {
        if (!h->closed && !h->receiving && !h->flushing)
                (void) sd_event_source_set_enabled(h->flush_source, SD_EVENT_ONESHOT);
}

void http2_submitted(struct http2 *h, int r) {
        if (r != NGHTTP2_ERR_NOMEM)
                return;
        h->starved = true;
        http2_want_flush(h);
}

void http2_terminate(struct http2 *h, uint32_t code, const char *reason) {
        if (h->closed || h->reason)
                return;
        h->reason = strdup(reason);
        http2_submitted(h, nghttp2_session_terminate_session(h->session, code));
        keepalive_in(h, h->config.keepalive_timeout_usec);
        http2_want_flush(h);
}

void http2_abandon(struct http2 *h) {
        h->abandoned = true;
        /* nghttp2 must not send from inside of one of its callbacks: then the connection ends without
         * GOAWAY. */
        if (h->session && !h->closed && !h->flushing && !h->receiving) {
                http2_submitted(h, nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR));
                h->flushing = true;
                (void) send_frames(h);
                h->flushing = false;
        }
        shut(h);
}

struct http2 *http2_free(struct http2 *h) {
        if (!h)
                return NULL;
        http2_abandon(h);
        h->bytes = bytestream_free(h->bytes);
        return http2_unref(h);
}

/* ---- graceful end ---- */

/* The second GOAWAY: every stream that the peer had opened before it heard of the first one is known by now.
 */
static void drain_last(struct http2 *h) {
        h->draining = HTTP2_DRAIN_LAST;
        keepalive_in(h, h->config.keepalive_timeout_usec);
        http2_submitted(h,
                        nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                        nghttp2_session_get_last_proc_stream_id(h->session),
                                        NGHTTP2_NO_ERROR, NULL, 0));
        http2_want_flush(h);
}

void http2_drain(struct http2 *h) {
        if (h->closed || h->draining != HTTP2_DRAIN_NONE)
                return;
        if (!h->session) {
                end(h, 0, "drained");
                return;
        }
        h->draining = HTTP2_DRAIN_NOTICE;
        http2_submitted(h, nghttp2_submit_shutdown_notice(h->session));
        http2_submitted(h, nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL));
        keepalive_in(h, DRAIN_PING_USEC);
        http2_want_flush(h);
}

/* ---- signs of life ---- */

void http2_pong(struct http2 *h) {
        h->pings = 0;
        if (h->draining == HTTP2_DRAIN_NOTICE)
                drain_last(h);
        /* The timer waits for this answer: it need not wake us up to find that it has come. */
        else if (h->draining == HTTP2_DRAIN_NONE && !h->reason && h->config.keepalive_usec > 0)
                keepalive_in(h, h->config.keepalive_usec);
}

/*
 * One timer for the connection's whole life: it looks back at when the last byte came, rather than being set
 * again at each. A guest's clock may have jumped over a night's sleep of its host, so silence alone condemns
 * nobody: the peer is asked twice, and each time has the whole timeout to answer.
 */
static int on_keepalive(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        struct http2 *h = userdata;
        uint64_t now = now_usec(CLOCK_MONOTONIC), silent = now - MIN(now, h->received_usec);

        if (h->reason || h->draining == HTTP2_DRAIN_EMPTY) {
                end(h, h->reason ? -EPROTO : -ETIMEDOUT, h->reason ?: "the peer does not read");
                return 0;
        }
        if (h->draining == HTTP2_DRAIN_NOTICE) {
                drain_last(h);
                return 0;
        }
        if (h->config.keepalive_usec == 0)
                return 0;
        if (h->pings > 0 && h->received_usec > h->ping_usec)
                h->pings = 0;
        if (h->pings == 0 && silent < h->config.keepalive_usec) {
                keepalive_in(h, h->config.keepalive_usec - silent);
                return 0;
        }
        if (h->pings >= 2) {
                end(h, -ETIMEDOUT, "no answer to two PINGs");
                return 0;
        }
        h->pings++;
        h->ping_usec = now;
        http2_submitted(h, nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL));
        keepalive_in(h, h->config.keepalive_timeout_usec);
        http2_want_flush(h);
        return 0;
}

/* ---- the bytes ---- */

static nghttp2_session *session_new(struct http2 *h) {
        const nghttp2_settings_entry settings[] = {
                { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
                { NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_MAX },
                { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP2_HEADER_BYTES },
                h->server ? (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                            (uint32_t) h->config.streams }
                          : (nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        };
        nghttp2_session_callbacks *callbacks = NULL;
        nghttp2_session *session = NULL;
        nghttp2_option *option = NULL;
        int r;

        if (nghttp2_session_callbacks_new(&callbacks) < 0 || nghttp2_option_new(&option) < 0) {
                nghttp2_session_callbacks_del(callbacks);
                return NULL;
        }
        nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
        http2_stream_set_callbacks(callbacks);
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);

        r = h->server ? nghttp2_session_server_new2(&session, callbacks, h, option)
                      : nghttp2_session_client_new2(&session, callbacks, h, option);
        nghttp2_session_callbacks_del(callbacks);
        nghttp2_option_del(option);
        if (r < 0)
                return NULL;
        if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ELEMENTSOF(settings)) < 0 ||
                        nghttp2_session_set_local_window_size(
                                        session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) < 0) {
                nghttp2_session_del(session);
                return NULL;
        }
        return session;
}

static void on_ready(struct bytestream *bytes _unused_, void *userdata) {
        struct http2 *h = http2_ref(userdata);

        h->session = session_new(h);
        if (!h->session)
                end(h, -ENOMEM, "out of memory");
        else {
                h->received_usec = now_usec(CLOCK_MONOTONIC);
                if (h->config.keepalive_usec > 0)
                        keepalive_in(h, h->config.keepalive_usec);
                h->config.ops->ready(h, h->config.userdata);
                flush(h);
        }
        http2_unref(h);
}

static bool has_had_its_turn(const struct http2 *h) {
        return h->account && now_usec(CLOCK_MONOTONIC) - h->received_usec >= TURN_USEC;
}

/* What the loop did for the peer since begin_usec; where it is much, the peer stands back. */
static void count_time(struct http2 *h, uint64_t begin_usec) {
        enum quota_rank rank;
        int64_t priority;

        if (!h->account || h->closed)
                return;
        rank = quota_account_spend(h->account, now_usec(CLOCK_MONOTONIC) - begin_usec);
        if (rank == h->rank)
                return;
        h->rank = rank;
        priority = rank == QUOTA_RANK_FIRST ? SD_EVENT_PRIORITY_NORMAL
                                            : BYTESTREAM_HANDSHAKE_PRIORITY + (int64_t) rank;
        bytestream_set_priority(h->bytes, priority);
        (void) sd_event_source_set_priority(h->flush_source, priority);
}

/* The peer may have taken its part on other connections: then this one lets others go first from now on. */
static bool stands_back(struct http2 *h) {
        enum quota_rank before = h->rank;

        count_time(h, now_usec(CLOCK_MONOTONIC));
        return h->rank > before;
}

/* How much of the next n bytes is taken in without a look at the time. */
static size_t next_part(const struct http2 *h, size_t n) {
        size_t data = MIN(h->data_left, (size_t) DATA_PART_BYTES);

        return h->account ? MIN(n, MAX(data, (size_t) PART_BYTES)) : n;
}

/* Whether what more has come is for later. */
static bool leaves_rest(const struct http2 *h) {
        return has_had_its_turn(h) || has_much_to_say(h);
}

/* Takes bytes in, as many as the peer's turn allows, and what there is to say to them; the rest is for the
 * next one. */
static void take_in(struct http2 *h, const uint8_t *bytes, size_t n) {
        size_t at = 0;

        while (at < n && !h->closed) {
                size_t part = next_part(h, n - at);
                ssize_t taken = nghttp2_session_mem_recv(h->session, bytes + at, part);

                if (taken < 0 && !h->closed)
                        end(h, -EPROTO, nghttp2_strerror((int) taken));
                at += part;
                if (at < n && !h->closed && leaves_rest(h)) {
                        h->failed = h->failed || bytestream_unread(h->bytes, bytes + at, n - at) < 0;
                        return;
                }
        }
}

static void receive(struct http2 *h) {
        uint8_t piece[GATHER_BYTES];

        h->received_usec = now_usec(CLOCK_MONOTONIC);
        for (unsigned i = 0; i < READS_MAX && !h->closed && !h->failed && !leaves_rest(h); i++) {
                ssize_t n = bytestream_read(
                                h->bytes, piece, h->rank == QUOTA_RANK_LAST ? BUSY_BYTES : sizeof(piece));

                if (n == -EAGAIN)
                        return;
                if (n < 0) {
                        h->failed = true;
                        return;
                }
                if (n == 0) {
                        end(h, -ECONNRESET, "closed by the peer");
                        return;
                }
                take_in(h, piece, (size_t) n);
                explicit_bzero(piece, (size_t) n); /* passwords are sent, too */
        }
}

static void on_readable(struct bytestream *bytes _unused_, void *userdata) {
        struct http2 *h = http2_ref(userdata);
        uint64_t begin_usec = now_usec(CLOCK_MONOTONIC);

        if (stands_back(h)) {
                http2_unref(h);
                return;
        }
        h->receiving = true;
        receive(h);
        h->receiving = false;
        flush(h);
        count_time(h, begin_usec);
        http2_unref(h);
}

static void on_writable(struct bytestream *bytes _unused_, void *userdata) {
        struct http2 *h = http2_ref(userdata);
        uint64_t begin_usec = now_usec(CLOCK_MONOTONIC);

        flush(h);
        count_time(h, begin_usec);
        http2_unref(h);
}

static void on_closed(struct bytestream *bytes _unused_, int error, const char *reason, void *userdata) {
        struct http2 *h = http2_ref(userdata);

        end(h, error, reason);
        http2_unref(h);
}

static const struct bytestream_ops bytestream_ops = {
        .ready = on_ready,
        .readable = on_readable,
        .writable = on_writable,
        .closed = on_closed,
};

static int http2_new(struct http2 **ret, sd_event *event, bool server, const struct http2_config *config) {
        struct http2 *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        *h = (struct http2){
                .n_refs = 1,
                .event = sd_event_ref(event),
                .config = *config,
                .server = server,
                .budget.limit = config->connection_bytes,
                .idle_frames = { .interval_usec = IDLE_FRAMES_USEC, .burst = IDLE_FRAMES_MAX },
                .own_resets = { .interval_usec = QUOTA_RESETS_USEC, .burst = QUOTA_RESETS },
                .resets = &h->own_resets,
        };
        list_init(&h->streams);
        r = sd_event_add_defer(event, &h->flush_source, on_flush, h);
        if (r >= 0)
                r = sd_event_source_set_enabled(h->flush_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &h->keepalive_source, CLOCK_MONOTONIC, UINT64_MAX, 0,
                                on_keepalive, h);
        if (r >= 0)
                r = sd_event_source_set_enabled(h->keepalive_source, SD_EVENT_OFF);
        if (r < 0) {
                http2_free(h);
                return r;
        }
        *ret = h;
        return 0;
}

int http2_new_server(struct http2 **ret, sd_event *event, int fd, struct tls_context *tls,
                const struct http2_config *config) {
        struct http2 *h;
        int r;

        r = http2_new(&h, event, true, config);
        if (r < 0) {
                close_fd(fd);
                return r;
        }
        r = bytestream_new_accepted(&h->bytes, event, fd, tls, config->handshake_usec, &bytestream_ops, h);
        if (r < 0) {
                http2_free(h);
                return r;
        }
        *ret = h;
        return 0;
}

int http2_new_client(struct http2 **ret, sd_event *event, const struct rpc_address *address,
                struct tls_context *tls, const char *server_name, const struct http2_config *config) {
        struct http2 *h;
        int r;

        r = http2_new(&h, event, false, config);
        if (r < 0)
                return r;
        r = bytestream_new_connecting(&h->bytes, event, address, tls, server_name, config->handshake_usec,
                        &bytestream_ops, h);
        if (r < 0) {
                http2_free(h);
                return r;
        }
        *ret = h;
        return 0;
}
