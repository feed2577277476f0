/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bytestream.h"

#include "buffer.h"
#include "defer.h"
#include "tls-internal.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>

/* A reader gets this much in one turn of the loop, then others have theirs. */
#define TURN_BYTES ((size_t) 256 * 1024)

/* Data in flight that nobody acknowledges: a pulled cable, a machine that was killed. In milliseconds. */
#define TCP_UNACKNOWLEDGED_MAX_MSEC 20000

/* How late a timeout may be, for the sake of waking up once for several. */
#define TIMEOUT_ACCURACY_USEC (10 * USEC_PER_MSEC)

enum stream_state {
        STREAM_CONNECTING,
        STREAM_HANDSHAKE,
        STREAM_OPEN,
        STREAM_FAILED, /* closed() is to come */
        STREAM_CLOSED, /* it has been told */
};

struct bytestream {
        const struct bytestream_ops *ops;
        void *userdata;
        sd_event *event;
        sd_event_source *io, *deferred, *timeout;
        struct tls_session *session; /* NULL: in clear */
        struct buffer output;        /* to be sent */
        struct buffer unread;        /* given back by the owner */
        const char *reason;          /* static, or the session's */
        size_t turn;                 /* bytes that may be read in this turn */
        struct rpc_address peer;
        enum stream_state state;
        uint32_t armed; /* what io waits for; 0: switched off */
        int error;
        int fd;
        bool reading : 1;
        bool ended : 1;         /* read() has said 0 */
        bool drained : 1;       /* in clear: a read came back short, so the socket is empty */
        bool tell_writable : 1; /* the queue has been at or above LOW */
        bool tell_empty : 1;    /* the owner has asked to be told when it is empty */
        bool answered : 1;      /* in the handshake, something was sent */
        bool calling : 1;       /* inside of a callback: free() leaves the struct to whoever called it */
        bool freed : 1;
};

static void set_armed(struct bytestream *stream, uint32_t events) {
        if (events == stream->armed || !stream->io)
                return;
        /* Off, rather than waiting for nothing: a hang-up cannot be masked and would wake us without end. */
        if (events == 0)
                sd_event_source_set_enabled(stream->io, SD_EVENT_OFF);
        else {
                sd_event_source_set_io_events(stream->io, events);
                if (stream->armed == 0)
                        sd_event_source_set_enabled(stream->io, SD_EVENT_ON);
        }
        stream->armed = events;
}

/* Waits for what there is to wait for. */
static void arm(struct bytestream *stream) {
        uint32_t out = buffer_length(&stream->output) > 0 ? EPOLLOUT : 0;

        switch (stream->state) {
        case STREAM_CONNECTING:
                set_armed(stream, EPOLLOUT);
                break;
        case STREAM_HANDSHAKE:
                set_armed(stream, EPOLLIN | out);
                break;
        case STREAM_OPEN:
                set_armed(stream, (stream->reading && !stream->ended ? EPOLLIN : 0) | out);
                break;
        case STREAM_FAILED:
        case STREAM_CLOSED:
                set_armed(stream, 0);
                break;
        }
}

static int on_deferred(sd_event_source *source, void *userdata);

static void call_later(struct bytestream *stream) {
        defer_again(&stream->deferred, on_deferred);
}

/* There is something to read that the socket does not wake us for. */
static bool has_input(const struct bytestream *stream) {
        return stream->reading && !stream->ended &&
                        (buffer_length(&stream->unread) > 0 ||
                                        (stream->session && tls_session_has_input(stream->session)));
}

/* Returns the error. Nobody is called from in here: closed() follows from the loop. */
static int fail(struct bytestream *stream, int error, const char *reason) {
        if (stream->state >= STREAM_FAILED)
                return stream->error;
        stream->state = STREAM_FAILED;
        stream->error = error;
        stream->reason = reason;
        stream->timeout = sd_event_source_disable_unref(stream->timeout);
        arm(stream);
        call_later(stream);
        return error;
}

static int fail_errno(struct bytestream *stream, int error) {
        return fail(stream, error, strerrordesc_np(-error) ?: "unknown error");
}

static int fail_tls(struct bytestream *stream, int error) {
        return fail(stream, error, tls_session_reason(stream->session));
}

/* Sends once what is queued: what the socket takes less than all, it will not take more of now. 0 or a
 * negative errno. */
static int send_output(struct bytestream *stream) {
        ssize_t n;

        if (buffer_length(&stream->output) == 0)
                return 0;
        do
                n = send(stream->fd, buffer_bytes(&stream->output), buffer_length(&stream->output),
                                MSG_NOSIGNAL | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
        buffer_consume(&stream->output, (size_t) n);
        return 0;
}

/* Whether writable() is to be told. */
static bool owes_writable(const struct bytestream *stream) {
        size_t pending = bytestream_pending(stream);

        return (stream->tell_writable && pending < BYTESTREAM_LOW) || (stream->tell_empty && pending == 0);
}

/* Sends, and waits for the rest to go. False: the stream has failed. */
static bool flush_output(struct bytestream *stream) {
        int r;

        if (stream->state >= STREAM_FAILED)
                return false;
        r = send_output(stream);
        if (r < 0) {
                fail_errno(stream, r);
                return false;
        }
        arm(stream);
        if (owes_writable(stream))
                call_later(stream);
        return true;
}

/*
 * The last words: an alert, close_notify, whatever is queued. What the peer has sent meanwhile is thrown
 * away, as far as it is here: a socket closed with unread bytes in it is reset (RFC 1122 section 4.2.2.13),
 * and the words are lost.
 */
static void hang_up(struct bytestream *stream) {
        char discarded[4096];

        if (send_output(stream) < 0 || shutdown(stream->fd, SHUT_WR) < 0)
                return;
        for (int i = 0; i < 16; i++)
                if (recv(stream->fd, discarded, sizeof(discarded), MSG_DONTWAIT) <= 0)
                        return;
}

void bytestream_set_priority(struct bytestream *stream, int64_t priority) {
        if (stream->io)
                (void) sd_event_source_set_priority(stream->io, priority);
        if (stream->deferred)
                (void) sd_event_source_set_priority(stream->deferred, priority);
}

/* --- told to the owner --- */

static void release(struct bytestream *stream) {
        stream->io = sd_event_source_disable_unref(stream->io);
        stream->deferred = sd_event_source_disable_unref(stream->deferred);
        stream->timeout = sd_event_source_disable_unref(stream->timeout);
        stream->session = tls_session_free(stream->session);
        stream->event = sd_event_unref(stream->event);
        buffer_clear(&stream->output);
        buffer_clear(&stream->unread);
        stream->fd = close_fd(stream->fd);
}

/* After a callback: false if it has freed the stream. */
static bool still_there(struct bytestream *stream) {
        stream->calling = false;
        if (!stream->freed)
                return true;
        free(stream);
        return false;
}

static bool tell(struct bytestream *stream, void (*callback)(struct bytestream *stream, void *userdata)) {
        stream->calling = true;
        callback(stream, stream->userdata);
        return still_there(stream);
}

static bool tell_readable(struct bytestream *stream) {
        if (stream->state != STREAM_OPEN || !stream->reading || stream->ended)
                return true;
        stream->turn = TURN_BYTES;
        if (!tell(stream, stream->ops->readable))
                return false;
        /* Reading makes TLS answer, too: a KeyUpdate is one such question. */
        if (buffer_length(&stream->output) > 0 && !flush_output(stream))
                return true;
        if (has_input(stream))
                call_later(stream);
        return true;
}

static bool tell_writable(struct bytestream *stream) {
        if (stream->state != STREAM_OPEN || !owes_writable(stream))
                return true;
        stream->tell_writable = false;
        stream->tell_empty = stream->tell_empty && bytestream_pending(stream) > 0;
        return tell(stream, stream->ops->writable);
}

static void tell_ready(struct bytestream *stream) {
        stream->state = STREAM_OPEN;
        stream->timeout = sd_event_source_disable_unref(stream->timeout);
        bytestream_set_priority(stream, SD_EVENT_PRIORITY_NORMAL);
        arm(stream);
        if (tell(stream, stream->ops->ready) && has_input(stream))
                call_later(stream);
}

/* --- what the loop says --- */

static void shake_hands(struct bytestream *stream) {
        int r;

        r = tls_session_handshake(stream->session);
        if (r < 0 && r != -EAGAIN) {
                hang_up(stream);
                fail_tls(stream, r);
                return;
        }
        stream->answered = stream->answered || bytestream_pending(stream) > 0;
        if (flush_output(stream) && r == 0)
                tell_ready(stream);
}

/* Connected. */
static void begin(struct bytestream *stream) {
        if (!stream->session) {
                tell_ready(stream);
                return;
        }
        stream->state = STREAM_HANDSHAKE;
        shake_hands(stream);
}

static void finish_connecting(struct bytestream *stream) {
        socklen_t n = sizeof(int);
        int error = 0;

        if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
                error = errno;
        if (error != 0) {
                fail_errno(stream, -error);
                return;
        }
        if (stream->session)
                tls_session_begins(stream->session, stream->event);
        begin(stream);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct bytestream *stream = userdata;

        if (stream->state == STREAM_CONNECTING) {
                finish_connecting(stream);
                return 0;
        }
        if ((events & EPOLLOUT) && !flush_output(stream))
                return 0;
        if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                return 0;
        stream->drained = false;
        if (stream->session)
                tls_session_socket_readable(stream->session);
        if (stream->state == STREAM_HANDSHAKE)
                begin(stream);
        else
                tell_readable(stream);
        return 0;
}

static int on_deferred(sd_event_source *source, void *userdata) {
        struct bytestream *stream = userdata;

        if (stream->state == STREAM_FAILED) {
                stream->state = STREAM_CLOSED;
                stream->calling = true;
                stream->ops->closed(stream, stream->error, stream->reason, stream->userdata);
                still_there(stream);
                return 0;
        }
        if (stream->state == STREAM_CONNECTING || stream->state == STREAM_HANDSHAKE) {
                begin(stream);
                return 0;
        }
        if (tell_writable(stream) && has_input(stream))
                tell_readable(stream);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        struct bytestream *stream = userdata;

        fail(stream, -ETIMEDOUT,
                        stream->state == STREAM_CONNECTING ? "connecting timed out" : "handshake timed out");
        return 0;
}

/* --- life --- */

/* Small answers must not wait for a delayed acknowledgement, and a dead peer must be found. A socket without
 * TCP: no. */
static void set_tcp_options(int fd, const struct rpc_address *peer) {
        int on = 1, limit = TCP_UNACKNOWLEDGED_MAX_MSEC;

        if (peer->any.sa_family != AF_INET && peer->any.sa_family != AF_INET6)
                return;
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit));
}

/* A stream that waits for nothing but its timeout; owns nothing of what it is given. */
static int stream_new(struct bytestream **ret, sd_event *event, uint64_t timeout_usec,
                const struct bytestream_ops *ops, void *userdata) {
        _cleanup_(bytestream_freep) struct bytestream *stream = NULL;
        int r;

        stream = calloc(1, sizeof(*stream));
        if (!stream)
                return -ENOMEM;
        stream->ops = ops;
        stream->userdata = userdata;
        stream->event = sd_event_ref(event);
        stream->fd = -1;
        stream->reading = true;
        stream->turn = TURN_BYTES;
        stream->state = STREAM_HANDSHAKE;

        r = sd_event_add_defer(event, &stream->deferred, on_deferred, stream);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(stream->deferred, SD_EVENT_OFF);
        if (r < 0)
                return r;
        if (timeout_usec != USEC_INFINITY) {
                r = sd_event_add_time_relative(event, &stream->timeout, CLOCK_MONOTONIC, timeout_usec,
                                TIMEOUT_ACCURACY_USEC, on_timeout, stream);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(stream);
        return 0;
}

static int attach(struct bytestream *stream, struct tls_context *tls, const char *server_name) {
        int r;

        set_tcp_options(stream->fd, &stream->peer);
        if (tls) {
                r = tls_session_new(&stream->session, tls, stream->fd, &stream->output, server_name);
                if (r < 0)
                        return r;
                /* An attempt to connect is none, and may be made again and again for as long as nobody is
                 * there. */
                if (stream->state != STREAM_CONNECTING)
                        tls_session_begins(stream->session, stream->event);
        }
        r = sd_event_add_io(stream->event, &stream->io, stream->fd, EPOLLIN, on_io, stream);
        if (r < 0)
                return r;
        stream->armed = EPOLLIN;
        return 0;
}

int bytestream_new_accepted(struct bytestream **ret, sd_event *event, int fd, struct tls_context *tls,
                uint64_t handshake_usec, const struct bytestream_ops *ops, void *userdata) {
        _cleanup_(bytestream_freep) struct bytestream *stream = NULL;
        _cleanup_(closep) int owned = fd;
        int r;

        r = stream_new(&stream, event, handshake_usec, ops, userdata);
        if (r < 0)
                return r;
        stream->fd = TAKE_FD(owned);
        stream->peer.length = offsetof(struct rpc_address, length);
        if (getpeername(fd, &stream->peer.any, &stream->peer.length) < 0)
                return -errno;
        r = attach(stream, tls, NULL);
        if (r < 0)
                return r;
        arm(stream);
        bytestream_set_priority(stream, BYTESTREAM_HANDSHAKE_PRIORITY);
        if (!tls) /* ready() is told later, as everything */
                call_later(stream);
        *ret = TAKE_PTR(stream);
        return 0;
}

/* 0, or what keeps us from connecting at all. */
static int start_connecting(struct bytestream *stream) {
        stream->fd = socket(stream->peer.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (stream->fd < 0)
                return -errno;
        if (connect(stream->fd, &stream->peer.any, stream->peer.length) < 0) {
                if (errno != EINPROGRESS)
                        return -errno;
                stream->state = STREAM_CONNECTING;
        }
        return 0;
}

int bytestream_new_connecting(struct bytestream **ret, sd_event *event, const struct rpc_address *address,
                struct tls_context *tls, const char *server_name, uint64_t timeout_usec,
                const struct bytestream_ops *ops, void *userdata) {
        _cleanup_(bytestream_freep) struct bytestream *stream = NULL;
        int r;

        if (tls && !server_name)
                return -EINVAL;
        r = stream_new(&stream, event, timeout_usec, ops, userdata);
        if (r < 0)
                return r;
        stream->peer = *address;
        r = start_connecting(stream);
        if (r < 0)
                fail_errno(stream, r);
        else {
                r = attach(stream, tls, server_name);
                if (r < 0)
                        return r;
                arm(stream);
                if (stream->state != STREAM_CONNECTING)
                        call_later(stream);
        }
        *ret = TAKE_PTR(stream);
        return 0;
}

struct bytestream *bytestream_free(struct bytestream *stream) {
        if (!stream)
                return NULL;
        if (stream->state == STREAM_OPEN) {
                if (stream->session)
                        tls_session_end(stream->session);
                hang_up(stream);
        }
        release(stream);
        if (stream->calling)
                stream->freed = true;
        else
                free(stream);
        return NULL;
}

/* --- bytes --- */

static ssize_t read_clear(struct bytestream *stream, void *p, size_t n) {
        ssize_t k;

        if (stream->drained)
                return -EAGAIN;
        do
                k = recv(stream->fd, p, n, MSG_DONTWAIT);
        while (k < 0 && errno == EINTR);
        if (k < 0 && errno != EAGAIN)
                return -errno;
        stream->drained = k < (ssize_t) n;
        return k < 0 ? -EAGAIN : k;
}

static ssize_t read_unread(struct bytestream *stream, void *p, size_t n) {
        n = MIN(n, buffer_length(&stream->unread));
        memcpy(p, buffer_bytes(&stream->unread), n);
        buffer_consume(&stream->unread, n);
        return (ssize_t) n;
}

int bytestream_unread(struct bytestream *stream, const void *p, size_t n) {
        int r;

        if (stream->state >= STREAM_FAILED)
                return stream->error;
        /* They were its first ones. */
        if (buffer_length(&stream->unread) > 0) {
                buffer_restore(&stream->unread, n);
                return 0;
        }
        r = buffer_append(&stream->unread, p, n);
        return r < 0 ? fail_errno(stream, r) : 0;
}

size_t bytestream_unread_bytes(const struct bytestream *stream) {
        return buffer_length(&stream->unread);
}

ssize_t bytestream_read(struct bytestream *stream, void *p, size_t n) {
        ssize_t k;

        if (stream->state >= STREAM_FAILED)
                return stream->error;
        if (stream->state != STREAM_OPEN)
                return -EAGAIN;
        if (stream->ended)
                return 0;
        if (stream->turn == 0) {
                if (has_input(stream))
                        call_later(stream);
                return -EAGAIN;
        }

        n = MIN(n, stream->turn);
        if (buffer_length(&stream->unread) > 0)
                k = read_unread(stream, p, n);
        else if (!stream->session)
                k = read_clear(stream, p, n);
        else
                k = tls_session_read(stream->session, p, n);
        if (k > 0) {
                stream->turn -= (size_t) k;
                return k;
        }
        if (k == 0) {
                stream->ended = true;
                arm(stream);
                return 0;
        }
        if (k == -EAGAIN)
                return k;
        if (!stream->session)
                return fail_errno(stream, (int) k);
        hang_up(stream);
        return fail_tls(stream, (int) k);
}

void bytestream_set_reading(struct bytestream *stream, bool on) {
        if (stream->reading == on)
                return;
        stream->reading = on;
        if (stream->state != STREAM_OPEN)
                return;
        arm(stream);
        if (has_input(stream))
                call_later(stream);
}

int bytestream_write(struct bytestream *stream, const void *p, size_t n) {
        int r;

        if (stream->state >= STREAM_FAILED)
                return stream->error;
        if (stream->state != STREAM_OPEN)
                return -ENOTCONN;
        if (!stream->session) {
                r = buffer_append(&stream->output, p, n);
                if (r < 0)
                        return fail_errno(stream, r);
        } else {
                r = tls_session_write(stream->session, p, n);
                if (r < 0)
                        return fail_tls(stream, r);
        }
        if (bytestream_pending(stream) >= BYTESTREAM_LOW)
                stream->tell_writable = true;
        return 0;
}

int bytestream_flush(struct bytestream *stream) {
        int r;

        if (stream->state >= STREAM_FAILED)
                return stream->error;
        if (stream->state != STREAM_OPEN)
                return 0;
        if (stream->session) {
                r = tls_session_seal(stream->session);
                if (r < 0)
                        return fail_tls(stream, r);
        }
        return flush_output(stream) ? 0 : stream->error;
}

size_t bytestream_pending(const struct bytestream *stream) {
        return buffer_length(&stream->output) + (stream->session ? tls_session_waiting(stream->session) : 0);
}

void bytestream_tell_empty(struct bytestream *stream) {
        stream->tell_empty = true;
        if (stream->state == STREAM_OPEN && owes_writable(stream))
                call_later(stream);
}

const struct tls_identity *bytestream_peer_identity(const struct bytestream *stream) {
        return stream->session ? tls_session_identity(stream->session) : NULL;
}

const struct tls_identity *bytestream_peer_claim(const struct bytestream *stream) {
        return stream->session ? tls_session_claim(stream->session) : NULL;
}

bool bytestream_has_answered(const struct bytestream *stream) {
        return stream->answered;
}

int bytestream_fd(const struct bytestream *stream) {
        return stream->fd;
}
