/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"
#include "tls-internal.h"

#include <limits.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/openssl/evp.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfio.h>

/*
 * Records that go out without having been asked for by the owner: the handshake's, alerts, answers to
 * KeyUpdate. A peer that asks for keys without end, and does not read, is refused beyond this (RFC 8446
 * section 4.6.3 sets no limit).
 */
#define UNASKED_MAX ((size_t) 64 * 1024)

/* What the output is made to hold when the first full record goes into it: what bytestream.h lets be queued.
 */
#define OUTPUT_BULK ((size_t) 4 * (TLS_RECORD_MAX + 256) + 1024)

#define RECORD_HEADER 5
#define LARGE_RECORD  (8 * 1024)

/* The first byte of any TLS record: RFC 8446 section 5.1, ContentType. */
enum {
        CONTENT_FIRST = 20,
        CONTENT_LAST = 23,
};

struct tls_session {
        struct tls_context *context;
        struct tls_scratch *scratch; /* the context's */
        WOLFSSL *ssl;
        WOLFSSL_X509 *certificate; /* the peer's, inside of ssl; NULL before it has come */
        struct tls_aes aes;
        struct buffer *output; /* the owner's */
        struct buffer input;   /* read from the socket, saved out of the scratch memory for another session's
                                  sake */
        struct tls_identity identity; /* verified */
        struct tls_identity claim;    /* of a certificate that was refused */
        char *server_name;            /* NULL: we are the server */
        char *reason;                 /* on the heap; NULL: reason_text */
        const char *reason_text;
        size_t unasked; /* bytes put into the output that the owner did not ask for, since it was empty */
        int fd;
        int error;        /* of the socket or the scratch memory: tells more than wolfSSL's */
        bool begun : 1;   /* something has come */
        bool not_tls : 1; /* and that was no TLS */
        bool drained : 1; /* the socket has nothing more, so far as we know */
        bool ended : 1;   /* the peer's end of the connection, with or without close_notify */
        bool writing : 1; /* inside of wolfSSL_write() */
        bool established : 1;
};

/* The input in the scratch memory is another session's: let it have it in memory of its own. */
static void release_input(struct tls_scratch *scratch) {
        struct tls_session *owner = scratch->input_owner;

        scratch->input_owner = NULL;
        if (!owner || scratch->input_start == scratch->input_end)
                return;
        if (buffer_append(&owner->input, scratch->input + scratch->input_start,
                            scratch->input_end - scratch->input_start) < 0)
                owner->error = -ENOMEM;
        scratch->input_start = scratch->input_end = 0;
}

/* What was read already, at most n bytes. */
static size_t take_input(struct tls_session *session, void *p, size_t n) {
        struct tls_scratch *scratch = session->scratch;

        if (buffer_length(&session->input) > 0) {
                n = MIN(n, buffer_length(&session->input));
                memcpy(p, buffer_bytes(&session->input), n);
                buffer_consume(&session->input, n);
                return n;
        }
        if (scratch->input_owner != session)
                return 0;
        n = MIN(n, scratch->input_end - scratch->input_start);
        memcpy(p, scratch->input + scratch->input_start, n);
        scratch->input_start += n;
        return n;
}

static void look_at_first(struct tls_session *session, const void *p) {
        uint8_t type = *(const uint8_t *) p;

        session->begun = true;
        session->not_tls = type < CONTENT_FIRST || type > CONTENT_LAST;
}

/*
 * wolfSSL asks for the five bytes of a record's header and then for its rest. What it asks for goes where it
 * wants it, and whatever else the socket has, into the scratch memory: one call instead of two a record, or
 * far fewer where records are small. Of large ones no more than the next one's header is taken along: to
 * copy them from there costs more than the call.
 */
static int on_receive(WOLFSSL *ssl, char *p, int n, void *userdata) {
        struct tls_session *session = userdata;
        struct tls_scratch *scratch = session->scratch;
        struct iovec iov[] = {
                { .iov_base = p, .iov_len = (size_t) n },
                { .iov_base = scratch->input,
                                .iov_len = n < LARGE_RECORD ? sizeof(scratch->input) : RECORD_HEADER },
        };
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = ELEMENTSOF(iov) };
        size_t taken;
        ssize_t k;

        if (session->error < 0)
                return WOLFSSL_CBIO_ERR_GENERAL;
        taken = take_input(session, p, (size_t) n);
        if (taken > 0)
                return (int) taken;
        if (session->drained)
                return WOLFSSL_CBIO_ERR_WANT_READ;

        if (scratch->input_owner != session)
                release_input(scratch);
        do
                k = recvmsg(session->fd, &message, MSG_DONTWAIT);
        while (k < 0 && errno == EINTR);
        if (k < 0 && errno == EAGAIN) {
                session->drained = true;
                return WOLFSSL_CBIO_ERR_WANT_READ;
        }
        if (k < 0) {
                session->error = -errno;
                return WOLFSSL_CBIO_ERR_GENERAL;
        }
        if (k == 0) {
                session->ended = true;
                return WOLFSSL_CBIO_ERR_CONN_CLOSE;
        }

        if (!session->begun)
                look_at_first(session, p);
        session->drained = (size_t) k < (size_t) n + iov[1].iov_len;
        if (k <= n)
                return (int) k;
        scratch->input_owner = session;
        scratch->input_start = 0;
        scratch->input_end = (size_t) (k - n);
        return n;
}

static int on_send(WOLFSSL *ssl, char *p, int n, void *userdata) {
        struct tls_session *session = userdata;
        struct buffer *output = session->output;

        if (!session->writing) {
                if (buffer_length(output) == 0)
                        session->unasked = 0;
                session->unasked += (size_t) n;
                if (session->unasked > UNASKED_MAX) {
                        session->error = -EPROTO;
                        session->reason_text = "peer has us send without end and reads nothing";
                        return WOLFSSL_CBIO_ERR_GENERAL;
                }
        }
        /* A full record is rarely the only one: room for all that may come before the flush, at once. */
        if (!output->data && n >= TLS_RECORD_MAX && !buffer_reserve(output, OUTPUT_BULK)) {
                session->error = -ENOMEM;
                return WOLFSSL_CBIO_ERR_GENERAL;
        }
        if (buffer_append(output, p, (size_t) n) < 0) {
                session->error = -ENOMEM;
                return WOLFSSL_CBIO_ERR_GENERAL;
        }
        return n;
}

static int check_name(struct tls_session *session) {
        for (char **name = session->identity.names; *name; name++)
                if (streq(*name, session->server_name))
                        return 0;
        session->reason = text_printf("server's certificate names %s, not %s as expected",
                        session->identity.name ?: "nobody", session->server_name);
        return -EKEYREJECTED;
}

/* What the peer's own certificate says: it comes first in its message (RFC 8446 section 4.4.2). */
static int read_identity(WOLFSSL_X509_STORE_CTX *store, struct tls_identity *ret) {
        tls_identity_clear(ret);
        return store->totalCerts > 0
                        ? tls_identity_from_der(ret, store->certs[0].buffer, store->certs[0].length)
                        : -EBADMSG;
}

/*
 * Once for every certificate of the peer's chain, its own last; what is refused here makes wolfSSL send an
 * alert. Our own demands come on top of its verification (preverify), whose result stands.
 */
static int on_verify(int preverify, WOLFSSL_X509_STORE_CTX *store) {
        struct tls_session *session = store->userCtx;

        if (!preverify) {
                (void) read_identity(store, &session->claim);
                return 0;
        }
        if (store->error_depth != 0)
                return 1;

        session->certificate = store->current_cert;
        if (read_identity(store, &session->identity) < 0) {
                session->reason_text = "the names in the peer's certificate cannot be read";
                return 0;
        }
        return !session->server_name || check_name(session) == 0;
}

/* A client that offers no ALPN at all passes for wolfSSL; RFC 7301 section 3.2 has the alert, in clear at
 * this point. */
static int on_hello(WOLFSSL *ssl, void *userdata) {
        static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, no_application_protocol };
        struct tls_session *session = userdata;
        uint16_t n;
        char *name;

        if (wolfSSL_ALPN_GetProtocol(ssl, &name, &n) == WOLFSSL_SUCCESS)
                return 0;
        if (buffer_append(session->output, alert, sizeof(alert)) < 0)
                return MEMORY_E;
        return UNKNOWN_ALPN_PROTOCOL_NAME_E;
}

static int set_up(struct tls_session *session, bool server) {
        static char h2[] = "h2";
        const char *name = session->server_name;

        wolfSSL_SSLSetIORecv(session->ssl, on_receive);
        wolfSSL_SSLSetIOSend(session->ssl, on_send);
        wolfSSL_SetIOReadCtx(session->ssl, session);
        wolfSSL_SetIOWriteCtx(session->ssl, session);
        wolfSSL_set_verify(session->ssl,
                        WOLFSSL_VERIFY_PEER | (server ? WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), on_verify);
        wolfSSL_SetCertCbCtx(session->ssl, session);
        if (wolfSSL_UseALPN(session->ssl, h2, strlen(h2), WOLFSSL_ALPN_FAILED_ON_MISMATCH) !=
                        WOLFSSL_SUCCESS)
                return -ENOMEM;
        if (server)
                return wolfDTLS_SetChGoodCb(session->ssl, on_hello, session) == WOLFSSL_SUCCESS ? 0
                                                                                                : -ENOMEM;
        if (wolfSSL_UseSNI(session->ssl, WOLFSSL_SNI_HOST_NAME, name, (unsigned short) strlen(name)) !=
                        WOLFSSL_SUCCESS)
                return -ENOMEM;
        return wolfSSL_UseKeyShare(session->ssl, WOLFSSL_ECC_X25519) == WOLFSSL_SUCCESS ? 0 : -ENOMEM;
}

int tls_session_new(struct tls_session **ret, struct tls_context *context, int fd, struct buffer *output,
                const char *server_name) {
        _cleanup_(tls_session_freep) struct tls_session *session = NULL;
        bool server = !server_name;
        int r;

        if (server_name && !text_is_host_name(server_name))
                return -EINVAL;
        session = calloc(1, sizeof(*session));
        if (!session)
                return -ENOMEM;
        session->context = tls_context_ref(context);
        session->output = output;
        session->fd = fd;
        session->scratch = tls_context_scratch(context);
        session->ssl = wolfSSL_new(tls_context_wolfssl(context, server));
        session->server_name = server ? NULL : strdup(server_name);
        if (!session->scratch || !session->ssl || (!server && !session->server_name))
                return -ENOMEM;
        r = set_up(session, server);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(session);
        return 0;
}

struct tls_session *tls_session_free(struct tls_session *session) {
        if (!session)
                return NULL;
        if (session->scratch && session->scratch->input_owner == session)
                session->scratch->input_owner = NULL;
        if (session->scratch && session->scratch->plain_owner == session) {
                explicit_bzero(session->scratch->plain, session->scratch->n_plain);
                session->scratch->plain_owner = NULL;
                session->scratch->n_plain = 0;
        }
        wolfSSL_free(session->ssl);
        tls_aes_clear(&session->aes);
        buffer_clear(&session->input);
        tls_identity_clear(&session->identity);
        tls_identity_clear(&session->claim);
        free(session->server_name);
        free(session->reason);
        tls_context_unref(session->context);
        free(session);
        return NULL;
}

/* Finds the words for why wolfSSL stopped, and the errno. Our own reasons and the peer's come before
 * wolfSSL's. */
static int find_reason(struct tls_session *session, int wolfssl_error) {
        WOLFSSL_ALERT_HISTORY alerts = {};
        int error;

        if (session->reason || session->reason_text)
                return session->error < 0 ? session->error : -EKEYREJECTED;
        if (session->error < 0)
                return session->error;
        wolfSSL_get_alert_history(session->ssl, &alerts);
        if (alerts.last_rx.code > 0) {
                session->reason = text_printf("peer refused us: alert %s (%d)",
                                tls_alert_name(alerts.last_rx.code), alerts.last_rx.code);
                return -ECONNABORTED;
        }
        if (session->ended) {
                session->reason_text = session->established
                                ? "connection ended without TLS close_notify"
                                : "peer closed the connection during the handshake";
                return -ECONNRESET;
        }
        if (session->not_tls) {
                session->reason_text = "peer does not speak TLS (plain text?)";
                return -EPROTO;
        }
        session->reason_text = tls_reason(wolfssl_error, &error);
        if (!session->reason_text)
                session->reason = text_printf(
                                "TLS: %s", wolfSSL_ERR_reason_error_string((unsigned long) wolfssl_error));
        return error;
}

/* A session that has failed stays so. */
static int explain(struct tls_session *session) {
        int wolfssl_error = wolfSSL_get_error(session->ssl, 0);

        wolfSSL_ERR_clear_error();
        return session->error = find_reason(session, wolfssl_error);
}

static int check_alpn(struct tls_session *session) {
        uint16_t n = 0;
        char *name;

        if (wolfSSL_ALPN_GetProtocol(session->ssl, &name, &n) == WOLFSSL_SUCCESS && n == 2 &&
                        memcmp(name, "h2", 2) == 0)
                return 0;
        session->reason_text = "peer did not choose h2 (ALPN)";
        return session->error = -EPROTO;
}

/*
 * wolfSSL keeps the peer's certificate as long as the connection, with its key taken apart: 20 KB that
 * nobody asks for any more. An empty key, shared by all, takes its place.
 */
static void forget_peer_key(struct tls_session *session) {
        WOLFSSL_EVP_PKEY *key;

        if (!session->certificate)
                return;
        key = wolfSSL_X509_PUBKEY_get(wolfSSL_X509_get_X509_PUBKEY(session->certificate));
        if (!key)
                return;
        if (wolfSSL_EVP_PKEY_base_id(key) == EVP_PKEY_EC)
                (void) wolfSSL_EVP_PKEY_set1_EC_KEY(key, tls_context_no_key(session->context));
        wolfSSL_EVP_PKEY_free(key);
}

void tls_session_begins(struct tls_session *session, sd_event *event) {
        tls_context_handshake_begins(session->context, event);
}

int tls_session_handshake(struct tls_session *session) {
        int r;

        tls_aes_enter(&session->aes);
        r = wolfSSL_negotiate(session->ssl);
        if (r != WOLFSSL_SUCCESS)
                return wolfSSL_get_error(session->ssl, r) == WOLFSSL_ERROR_WANT_READ ? -EAGAIN
                                                                                     : explain(session);
        /* A wolfSSL that calls on_verify() only about errors would leave the peer unknown, and its name
         * unchecked. */
        if (!session->identity.names) {
                session->reason_text = "this wolfSSL does not show the peer's certificate "
                                       "(WOLFSSL_ALWAYS_VERIFY_CB)";
                return session->error = -EOPNOTSUPP;
        }
        r = check_alpn(session);
        if (r < 0)
                return r;
        session->established = true;
        wolfSSL_FreeHandshakeResources(session->ssl);
        forget_peer_key(session);
        return 0;
}

ssize_t tls_session_read(struct tls_session *session, void *p, size_t n) {
        int r;

        if (n == 0)
                return -EINVAL;
        /* Nothing there: known without asking wolfSSL, which makes a text of each such finding. */
        if (session->drained && !tls_session_has_input(session))
                return -EAGAIN;

        tls_aes_enter(&session->aes);
        r = wolfSSL_read(session->ssl, p, (int) MIN(n, (size_t) INT_MAX));
        if (r > 0)
                return r;
        switch (wolfSSL_get_error(session->ssl, r)) {
        case WOLFSSL_ERROR_WANT_READ:
                return -EAGAIN;
        case WOLFSSL_ERROR_ZERO_RETURN:
                session->ended = true;
                return 0;
        default:
                return explain(session);
        }
}

/* Makes records of n bytes of plain text. */
static int make_records(struct tls_session *session, const void *p, size_t n) {
        int r;

        tls_aes_enter(&session->aes);
        session->writing = true;
        r = wolfSSL_write(session->ssl, p, (int) n);
        session->writing = false;
        if (r == (int) n)
                return 0;
        return explain(session);
}

int tls_session_seal(struct tls_session *session) {
        struct tls_scratch *scratch = session->scratch;
        size_t n = scratch->n_plain;
        int r;

        if (session->error < 0)
                return session->error;
        if (scratch->plain_owner != session)
                return 0;
        scratch->plain_owner = NULL;
        scratch->n_plain = 0;
        r = make_records(session, scratch->plain, n);
        explicit_bzero(scratch->plain, n);
        return r;
}

int tls_session_write(struct tls_session *session, const void *p, size_t n) {
        struct tls_scratch *scratch = session->scratch;
        const uint8_t *bytes = p;
        int r;

        if (session->error < 0)
                return session->error;
        /* Another's plain text: a record of its own. If that fails, it is that session's failure, found by
         * its next call. */
        if (scratch->plain_owner && scratch->plain_owner != session)
                (void) tls_session_seal(scratch->plain_owner);

        while (n > 0) {
                size_t k;

                if (scratch->n_plain == 0 && n >= TLS_RECORD_MAX) {
                        k = TLS_RECORD_MAX;
                        r = make_records(session, bytes, k);
                        if (r < 0)
                                return r;
                } else {
                        k = MIN(n, TLS_RECORD_MAX - scratch->n_plain);
                        memcpy(scratch->plain + scratch->n_plain, bytes, k);
                        scratch->n_plain += k;
                        scratch->plain_owner = session;
                        if (scratch->n_plain == TLS_RECORD_MAX) {
                                r = tls_session_seal(session);
                                if (r < 0)
                                        return r;
                        }
                }
                bytes += k;
                n -= k;
        }
        return 0;
}

size_t tls_session_waiting(const struct tls_session *session) {
        return session->scratch->plain_owner == session ? session->scratch->n_plain : 0;
}

void tls_session_socket_readable(struct tls_session *session) {
        session->drained = false;
}

bool tls_session_has_input(const struct tls_session *session) {
        const struct tls_scratch *scratch = session->scratch;

        return buffer_length(&session->input) > 0 || wolfSSL_pending(session->ssl) > 0 ||
                        session->error < 0 ||
                        (scratch->input_owner == session && scratch->input_start < scratch->input_end);
}

void tls_session_end(struct tls_session *session) {
        if (!session->established || tls_session_seal(session) < 0)
                return;
        tls_aes_enter(&session->aes);
        wolfSSL_shutdown(session->ssl);
        wolfSSL_ERR_clear_error();
}

int tls_session_update_keys(struct tls_session *session) {
        int r = tls_session_seal(session);

        if (r < 0)
                return r;
        tls_aes_enter(&session->aes);
        return wolfSSL_update_keys(session->ssl) == WOLFSSL_SUCCESS ? 0 : explain(session);
}

const struct tls_identity *tls_session_identity(const struct tls_session *session) {
        return session->established ? &session->identity : NULL;
}

const struct tls_identity *tls_session_claim(const struct tls_session *session) {
        return session->claim.names ? &session->claim : &session->identity;
}

const char *tls_session_reason(const struct tls_session *session) {
        if (session->reason)
                return session->reason;
        if (session->reason_text)
                return session->reason_text;
        return session->error < 0 ? strerror(-session->error) : "TLS failed";
}
