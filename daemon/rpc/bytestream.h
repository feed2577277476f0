/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One connection as two streams of bytes, in clear or under TLS: connecting, the handshake, and records are
 * its business; what the bytes mean is not. Never blocks.
 */

#include "address.h"
#include "tls.h"

#include <systemd/sd-event.h>

struct bytestream;

struct bytestream_ops {
        /* Connected and, under TLS, authenticated. Once, before any of the following but closed. */
        void (*ready)(struct bytestream *stream, void *userdata);
        /* There is something to read, or the end: call bytestream_read() until it says -EAGAIN, or later. */
        void (*readable)(struct bytestream *stream, void *userdata);
        /* What is queued has fallen below BYTESTREAM_LOW after a bytestream_pending() at or above it. */
        void (*writable)(struct bytestream *stream, void *userdata);
        /*
         * The connection has failed: error is a negative errno, reason a text for the log ("certificate
         * expired", "peer sent no certificate", …). The last callback; the owner frees the stream, in here
         * or later.
         */
        void (*closed)(struct bytestream *stream, int error, const char *reason, void *userdata);
};

/* Above HIGH nobody should write more; under LOW writable() is told. Two TLS records, half of one. */
#define BYTESTREAM_HIGH (64 * 1024)
#define BYTESTREAM_LOW  (32 * 1024)

/*
 * Takes over fd, a connected socket, which becomes the stream's even on failure. tls NULL: in clear. As
 * server under TLS, requires the client's certificate. handshake_usec: how long the handshake may take. ALPN
 * is "h2": refused without it.
 */
int bytestream_new_accepted(struct bytestream **ret, sd_event *event, int fd, struct tls_context *tls,
                uint64_t handshake_usec, const struct bytestream_ops *ops, void *userdata);

/*
 * Connects to address. server_name: what is sent as SNI and must be among the DNS names of the server's
 * certificate. timeout_usec covers connecting and the handshake. An error that is known at once is told by
 * closed(), later.
 */
int bytestream_new_connecting(struct bytestream **ret, sd_event *event, const struct rpc_address *address,
                struct tls_context *tls, const char *server_name, uint64_t timeout_usec,
                const struct bytestream_ops *ops, void *userdata);

/* Closes at once (TLS close_notify is attempted); may be called from within a callback. Returns NULL. */
struct bytestream *bytestream_free(struct bytestream *stream);
DEFINE_CLEANUP(struct bytestream, bytestream_free)

/*
 * Bytes read into p; 0: the peer has ended its side, under TLS with close_notify; -EAGAIN; or another
 * negative errno (closed() follows): -ECONNRESET where a TLS connection ends without close_notify, and may
 * have been cut short. -EAGAIN also comes after a while although there is more, so that others have their
 * turn: readable() is told again.
 */
ssize_t bytestream_read(struct bytestream *stream, void *p, size_t n);
/* Gives back the last of what was just read: it comes again, first, when readable() is told again. 0 or
 * -ENOMEM. */
int bytestream_unread(struct bytestream *stream, const void *p, size_t n);
/* Bytes given back, and not read again. */
size_t bytestream_unread_bytes(const struct bytestream *stream);
/* While off, readable() is not told and no more is read from the socket: how a reader stops its writer. */
void bytestream_set_reading(struct bytestream *stream, bool on);

/*
 * Queues n bytes (all of them), as TLS records where there is TLS; small pieces share a record until the
 * flush. 0; -ENOTCONN before ready(); or another negative errno (closed() follows).
 */
int bytestream_write(struct bytestream *stream, const void *p, size_t n);
/* Hands what is queued to the socket; whatever it does not take now goes when it can. */
int bytestream_flush(struct bytestream *stream);
/* Bytes queued and not yet taken by the socket. */
size_t bytestream_pending(const struct bytestream *stream);
/* Tells writable() once, later, when nothing is pending. */
void bytestream_tell_empty(struct bytestream *stream);

/* A handshake costs as much as a hundred calls: whoever has its own behind it does not wait for others'. */
#define BYTESTREAM_HANDSHAKE_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 1)
/* In the loop's order (sd_event_source_set_priority()) from now on: BYTESTREAM_HANDSHAKE_PRIORITY when it is
 * accepted, SD_EVENT_PRIORITY_NORMAL when it is ready. */
void bytestream_set_priority(struct bytestream *stream, int64_t priority);

/* The identity in the peer's certificate: NULL without TLS or before ready(). */
const struct tls_identity *bytestream_peer_identity(const struct bytestream *stream);
/* In closed(): what was said by the certificate of a peer that never got as far as ready(), whoever it is
 * of. NULL: without TLS. */
const struct tls_identity *bytestream_peer_claim(const struct bytestream *stream);
/* Whether a handshake has come so far that something went out: a server's, that it was asked for what it
 * offers. */
bool bytestream_has_answered(const struct bytestream *stream);
int bytestream_fd(const struct bytestream *stream);
