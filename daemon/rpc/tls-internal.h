/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the TLS files and bytestream.c share. A session is one connection's TLS: it reads the socket itself,
 * and appends the records it makes to its owner's output. wolfSSL's own headers are for the .c files alone.
 */

#include "buffer.h"
#include "tls.h"

#include <sys/types.h>
#include <systemd/sd-event.h>

/* Largest PEM file: a chain of a few certificates, a CA bundle of some. */
#define TLS_PEM_MAX ((size_t) 256 * 1024)

/* --- tls-identity.c --- */

/*
 * The identity that the certificate of n bytes of DER carries (RFC 5280 sections 4.1, 4.2.1.6). DNS names
 * that are not host names are left out. Trusts no length in it. 0, -EBADMSG (not a certificate, or one that
 * names more than TLS_IDENTITY_NAMES), -ENOMEM.
 */
int tls_identity_from_der(struct tls_identity *ret, const uint8_t *der, size_t n);
/* Of either kind of name: a VM has one and a few, and a certificate must fit into a handshake. */
#define TLS_IDENTITY_NAMES 64

/* --- tls-reason.c --- */

/* What wolfSSL's error means, as a text for the log, and as a negative errno. */
const char *tls_reason(int wolfssl_error, int *ret_error);
/* The name of an alert (RFC 8446 section 6), or "unknown". */
const char *tls_alert_name(int alert);

/* --- tls-aes.c --- */

/* The AES keys of one session in libgcrypt's form: [0] decrypts, [1] encrypts. */
struct tls_aes {
        struct tls_aes_key {
                struct gcry_cipher_handle *handle; /* gcry_cipher_hd_t; NULL: none yet */
                uint8_t key[32];                   /* which key the handle has */
                uint32_t n_key;
        } keys[2];
};

#ifdef TLS_AES_GCRYPT
/* What to give to wolfSSL_CTX_SetDevId(); the same each time. A negative errno where libgcrypt cannot be
 * used. */
int tls_aes_device(void);
/*
 * Whether wolfSSL may make a table of each curve point that is used a second time: that costs 5 ms, and each
 * use from then on takes 0.1 ms instead of 0.6. At first it may not.
 */
void tls_aes_allow_tables(bool allow);
/* Until the next call, what wolfSSL en- and decrypts is this session's. */
void tls_aes_enter(struct tls_aes *aes);
void tls_aes_clear(struct tls_aes *aes);
#else
static inline void tls_aes_enter(struct tls_aes *aes) {
}
static inline void tls_aes_clear(struct tls_aes *aes) {
}
static inline void tls_aes_allow_tables(bool allow) {
}
#endif

/* --- tls.c --- */

struct tls_session;

/* What one read from a socket takes at most: several records (RFC 8446 section 5.2), so that calls are few.
 */
#define TLS_INPUT_MAX (64 * 1024)
/* Plain text of a record: section 5.1. */
#define TLS_RECORD_MAX (16 * 1024)

/*
 * Memory that the sessions of a context share, so that one that is idle holds none: each is lent to one
 * session at a time, and what the last one has in it moves to that session's own before the next one gets
 * it.
 */
struct tls_scratch {
        struct tls_session *input_owner; /* whose records are input[input_start … input_end) */
        size_t input_start, input_end;
        struct tls_session *plain_owner; /* whose plain text, not yet a record, is plain[0 … n_plain) */
        size_t n_plain;
        uint8_t input[TLS_INPUT_MAX];
        uint8_t plain[TLS_RECORD_MAX];
};

/* The WOLFSSL_CTX for either side, and the scratch memory. */
struct WOLFSSL_CTX *tls_context_wolfssl(struct tls_context *context, bool server);
struct tls_scratch *tls_context_scratch(struct tls_context *context);
/* A key that is none, to put in the place of one that is no longer needed. */
struct WOLFSSL_EC_KEY *tls_context_no_key(struct tls_context *context);

/*
 * A handshake begins. When none has for a while, what wolfSSL keeps to make the next one quicker (tables of
 * the curve's points: megabytes, a sixth of the time) is given back.
 */
void tls_context_handshake_begins(struct tls_context *context, sd_event *event);

/* --- tls-session.c --- */

/*
 * fd and output must outlive the session, which references context. As client, server_name is sent as SNI
 * and must be among the names of the server's certificate; NULL: we are the server.
 */
int tls_session_new(struct tls_session **ret, struct tls_context *context, int fd, struct buffer *output,
                const char *server_name);
struct tls_session *tls_session_free(struct tls_session *session);
DEFINE_CLEANUP(struct tls_session, tls_session_free)

/* There is a connection, and the handshake begins: see tls_context_handshake_begins(). */
void tls_session_begins(struct tls_session *session, sd_event *event);
/* 0: done, the peer is who its certificate says; -EAGAIN: send the output, and call again when there is
 * input. */
int tls_session_handshake(struct tls_session *session);
/* As bytestream_read(); never -EINTR. What it has to send in answer is in the output. */
ssize_t tls_session_read(struct tls_session *session, void *p, size_t n);
/* Takes all of it: as records into the output, or as plain text that waits for more until
 * tls_session_seal(). */
int tls_session_write(struct tls_session *session, const void *p, size_t n);
int tls_session_seal(struct tls_session *session);
/* Bytes of plain text that wait. */
size_t tls_session_waiting(const struct tls_session *session);

/* The socket has something again: without this, a socket found empty is not asked again. */
void tls_session_socket_readable(struct tls_session *session);
/* Whether a read may give something although the socket has nothing. */
bool tls_session_has_input(const struct tls_session *session);
/* Puts close_notify into the output. */
void tls_session_end(struct tls_session *session);
/* Asks for new keys on both sides (RFC 8446 section 4.6.3); the record is in the output. */
int tls_session_update_keys(struct tls_session *session);

/* Valid after the handshake, as long as the session. */
const struct tls_identity *tls_session_identity(const struct tls_session *session);
/* What the peer's certificate says where the handshake has failed, whoever it is of; without names: nothing.
 */
const struct tls_identity *tls_session_claim(const struct tls_session *session);
/* Why the last call failed: lasts as long as the session. */
const char *tls_session_reason(const struct tls_session *session);
