/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "credential.h"
#include "log.h"
#include "text.h"
#include "tls-internal.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>

#include <wolfssl/options.h>

#include <wolfssl/openssl/ec.h>
#include <wolfssl/openssl/evp.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/ecc.h>

/* Without a handshake for this long, none is expected soon. */
#define REST_USEC (3 * USEC_PER_SEC)

/* Handshakes with less rest between them before tables of curve points pay: see tls_aes_allow_tables(). */
#define HANDSHAKES_FEW 8

/*
 * As server ours decides: AES-128-GCM first, which is quickest here and strong enough for what P-256
 * certificates protect; deployed peers offer all three.
 */
static const char cipher_suites[] =
                "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256";

struct tls_context {
        unsigned n_ref;
        WOLFSSL_CTX *server, *client;
        WOLFSSL_EC_KEY *no_key; /* empty: see tls_context_no_key() */
        struct tls_identity identity;
        struct tls_scratch *scratch; /* NULL until the first session */
        sd_event_source *rest_source;
        unsigned n_handshakes; /* since the last rest */
};

/* The three files, read. */
struct pem_files {
        struct pem {
                const char *path;
                char *data;
                size_t n;
        } ca, certificate, key;
};

static void pem_files_clear(struct pem_files *files) {
        free(files->ca.data);
        free(files->certificate.data);
        if (files->key.data)
                explicit_bzero(files->key.data, files->key.n);
        free(files->key.data);
}

static int fail(char **ret_error, int error, const char *path, const char *what) {
        *ret_error = text_printf("%s: %s", path, what);
        return *ret_error ? error : -ENOMEM;
}

static int fail_errno(char **ret_error, int error, const char *path) {
        return fail(ret_error, error, path, strerror(-error));
}

/* wolfSSL's error in its own words, for what is wrong inside of a file. */
static int fail_wolfssl(char **ret_error, const char *path, const char *what, int wolfssl_error) {
        *ret_error = text_printf("%s: %s (%s)", path, what,
                        wolfSSL_ERR_reason_error_string((unsigned long) wolfssl_error));
        return *ret_error ? -EBADMSG : -ENOMEM;
}

static int read_pem(struct pem *pem, const char *path, char **ret_error) {
        int r;

        pem->path = path;
        r = text_read_file(path, TLS_PEM_MAX, &pem->data, &pem->n);
        return r < 0 ? fail_errno(ret_error, r, path) : 0;
}

/* Apart from read_pem(), so that no copy of the key stays behind in freed memory, and that its mode is the
 * opened file's. */
static int read_key(struct pem *pem, const char *path, char **ret_error) {
        _cleanup_(closep) int fd = -1;
        struct stat st;

        pem->path = path;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return fail_errno(ret_error, -errno, path);
        if (fstat(fd, &st) < 0)
                return fail_errno(ret_error, -errno, path);
        if (!S_ISREG(st.st_mode))
                return fail(ret_error, -EBADF, path, "is not a regular file");
        if (credential_is_exposed(path, &st))
                return fail(ret_error, -EKEYREJECTED, path, CREDENTIAL_EXPOSED);
        if (st.st_size <= 0 || (size_t) st.st_size > TLS_PEM_MAX)
                return fail(ret_error, -EBADMSG, path, "is empty, or too large for a private key");

        pem->data = malloc((size_t) st.st_size);
        if (!pem->data)
                return -ENOMEM;
        while (pem->n < (size_t) st.st_size) {
                ssize_t n = read(fd, pem->data + pem->n, (size_t) st.st_size - pem->n);

                if (n < 0)
                        return fail_errno(ret_error, -errno, path);
                if (n == 0)
                        return fail(ret_error, -EIO, path, "became shorter while it was read");
                pem->n += (size_t) n;
        }
        return 0;
}

static int load_files(WOLFSSL_CTX *ctx, const struct pem_files *files, char **ret_error) {
        int r;

        r = wolfSSL_CTX_load_verify_buffer(
                        ctx, (const uint8_t *) files->ca.data, (long) files->ca.n, WOLFSSL_FILETYPE_PEM);
        if (r != WOLFSSL_SUCCESS)
                return fail_wolfssl(ret_error, files->ca.path, "no usable CA certificate in PEM", r);
        r = wolfSSL_CTX_use_certificate_chain_buffer(
                        ctx, (const uint8_t *) files->certificate.data, (long) files->certificate.n);
        if (r != WOLFSSL_SUCCESS)
                return fail_wolfssl(ret_error, files->certificate.path, "no usable certificate in PEM", r);
        r = wolfSSL_CTX_use_PrivateKey_buffer(
                        ctx, (const uint8_t *) files->key.data, (long) files->key.n, WOLFSSL_FILETYPE_PEM);
        if (r != WOLFSSL_SUCCESS)
                return fail_wolfssl(ret_error, files->key.path, "no usable private key in PEM", r);
        return 0;
}

static int set_policy(WOLFSSL_CTX *ctx, bool server) {
        int groups[] = { WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1 };

        if (wolfSSL_CTX_set_cipher_list(ctx, cipher_suites) != WOLFSSL_SUCCESS ||
                        wolfSSL_CTX_set_groups(ctx, groups, ELEMENTSOF(groups)) != WOLFSSL_SUCCESS)
                return -EOPNOTSUPP;
        /* Every connection shows its certificate: nothing is resumed. */
        wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
        wolfSSL_CTX_set_verify(
                        ctx, WOLFSSL_VERIFY_PEER | (server ? WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
        return !server || wolfSSL_CTX_no_ticket_TLSv13(ctx) == 0 ? 0 : -EOPNOTSUPP;
}

/* Whose AES it is: see tls-aes.c. */
static int set_device(WOLFSSL_CTX *ctx) {
#ifdef TLS_AES_GCRYPT
        int device = tls_aes_device();

        if (device < 0)
                return device;
        return wolfSSL_CTX_SetDevId(ctx, device) == WOLFSSL_SUCCESS ? 0 : -EOPNOTSUPP;
#else
        return 0;
#endif
}

static int new_side(WOLFSSL_CTX **ret, bool server, const struct pem_files *files, char **ret_error) {
        WOLFSSL_CTX *ctx;
        int r;

        ctx = wolfSSL_CTX_new(server ? wolfTLSv1_3_server_method() : wolfTLSv1_3_client_method());
        if (!ctx)
                return -ENOMEM;
        /* The device last: keys that are loaded after it are taken for the device's own, and not checked. */
        r = load_files(ctx, files, ret_error);
        if (r == 0) {
                r = set_policy(ctx, server);
                if (r == 0)
                        r = set_device(ctx);
                if (r < 0)
                        r = fail(ret_error, r, "wolfSSL", "lacks TLS 1.3, X25519, P-256 or AES-GCM");
        }
        if (r < 0) {
                wolfSSL_CTX_free(ctx);
                return r;
        }
        *ret = ctx;
        return 0;
}

/* Not fatal: the clock of a machine that has just booted may be the one that is wrong. */
static void warn_of_dates(WOLFSSL_X509 *x509, const char *path) {
        if (wolfSSL_X509_cmp_current_time(wolfSSL_X509_get_notBefore(x509)) > 0)
                log_warning("%s: our certificate is not yet valid: peers will refuse it.", path);
        if (wolfSSL_X509_cmp_current_time(wolfSSL_X509_get_notAfter(x509)) < 0)
                log_warning("%s: our certificate has expired: peers will refuse it.", path);
}

static int read_identity(struct tls_identity *ret, WOLFSSL_X509 *x509, const char *path, char **ret_error) {
        const uint8_t *der;
        int n, r;

        der = wolfSSL_X509_get_der(x509, &n);
        r = der && n > 0 ? tls_identity_from_der(ret, der, (size_t) n) : -EBADMSG;
        return r == -EBADMSG ? fail(ret_error, r, path, "the names in the certificate cannot be read") : r;
}

/*
 * Whether the private key's point on the curve is the public one. wolfSSL_CTX_check_private_key() of 5.5.4
 * does not look: it says yes to any two keys of the same curve. The point is the one that the file brings
 * along (RFC 5915, publicKey): to compute it is a fifth of what a run of givcctl takes, and keys without it
 * are nothing to wolfSSL's EC_KEY.
 */
static bool is_pair(const WOLFSSL_EC_KEY *public, const WOLFSSL_EC_KEY *private) {
        const WOLFSSL_EC_POINT *wanted = wolfSSL_EC_KEY_get0_public_key(public);
        const WOLFSSL_EC_POINT *brought = wolfSSL_EC_KEY_get0_public_key(private);

        return wanted && brought &&
                        wolfSSL_EC_POINT_cmp(wolfSSL_EC_KEY_get0_group(private), brought, wanted, NULL) == 0;
}

static int check_key(WOLFSSL_CTX *ctx, WOLFSSL_X509 *x509, const struct pem *key, char **ret_error) {
        WOLFSSL_EVP_PKEY *public, *private;
        WOLFSSL_BIO *bio;
        bool pair;

        bio = wolfSSL_BIO_new_mem_buf(key->data, (int) key->n);
        private = bio ? wolfSSL_PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
        public = wolfSSL_X509_get_pubkey(x509);
        if (!public || !private || wolfSSL_EVP_PKEY_base_id(public) != wolfSSL_EVP_PKEY_base_id(private))
                pair = false;
        else if (wolfSSL_EVP_PKEY_base_id(public) == EVP_PKEY_EC)
                pair = is_pair(wolfSSL_EVP_PKEY_get0_EC_KEY(public), wolfSSL_EVP_PKEY_get0_EC_KEY(private));
        else
                pair = wolfSSL_CTX_check_private_key(ctx) == WOLFSSL_SUCCESS;
        wolfSSL_EVP_PKEY_free(public);
        wolfSSL_EVP_PKEY_free(private);
        wolfSSL_BIO_free(bio);
        return pair ? 0 : fail(ret_error, -EBADMSG, key->path, "is not the key of the certificate");
}

static int load_wolfssl(struct tls_context *context, const struct pem_files *files, char **ret_error) {
        WOLFSSL_X509 *x509;
        int r;

        r = new_side(&context->server, true, files, ret_error);
        if (r < 0)
                return r;
        r = new_side(&context->client, false, files, ret_error);
        if (r < 0)
                return r;

        x509 = wolfSSL_X509_load_certificate_buffer((const uint8_t *) files->certificate.data,
                        (int) files->certificate.n, WOLFSSL_FILETYPE_PEM);
        if (!x509)
                return fail(ret_error, -EBADMSG, files->certificate.path, "no usable certificate in PEM");
        r = check_key(context->client, x509, &files->key, ret_error);
        if (r == 0)
                r = read_identity(&context->identity, x509, files->certificate.path, ret_error);
        if (r == 0)
                warn_of_dates(x509, files->certificate.path);
        wolfSSL_X509_free(x509);
        return r;
}

static int load(struct tls_context *context, struct pem_files *files, const char *ca_path,
                const char *cert_path, const char *key_path, char **ret_error) {
        int r;

        r = read_pem(&files->ca, ca_path, ret_error);
        if (r < 0)
                return r;
        r = read_pem(&files->certificate, cert_path, ret_error);
        if (r < 0)
                return r;
        r = read_key(&files->key, key_path, ret_error);
        if (r < 0)
                return r;
        return load_wolfssl(context, files, ret_error);
}

int tls_context_new(struct tls_context **ret, const char *ca_path, const char *cert_path,
                const char *key_path, char **ret_error) {
        _cleanup_(tls_context_unrefp) struct tls_context *context = NULL;
        struct pem_files files = {};
        int r;

        *ret_error = NULL;
        if (wolfSSL_Init() != WOLFSSL_SUCCESS)
                return -ENOMEM;
        context = calloc(1, sizeof(*context));
        if (!context) {
                wolfSSL_Cleanup();
                return -ENOMEM;
        }
        context->n_ref = 1;
        context->no_key = wolfSSL_EC_KEY_new();
        if (!context->no_key)
                return -ENOMEM;

        r = load(context, &files, ca_path, cert_path, key_path, ret_error);
        pem_files_clear(&files);
        wolfSSL_ERR_clear_error();
        if (r == -ENOMEM && !*ret_error)
                *ret_error = strdup("out of memory");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(context);
        return 0;
}

struct tls_context *tls_context_ref(struct tls_context *context) {
        context->n_ref++;
        return context;
}

struct tls_context *tls_context_unref(struct tls_context *context) {
        if (!context || --context->n_ref > 0)
                return NULL;
        sd_event_source_disable_unref(context->rest_source);
        wolfSSL_CTX_free(context->server);
        wolfSSL_CTX_free(context->client);
        wolfSSL_EC_KEY_free(context->no_key);
        tls_identity_clear(&context->identity);
        if (context->scratch)
                explicit_bzero(context->scratch->plain, sizeof(context->scratch->plain));
        free(context->scratch);
        free(context);
        wolfSSL_Cleanup();
        return NULL;
}

const struct tls_identity *tls_context_identity(struct tls_context *context) {
        return &context->identity;
}

struct WOLFSSL_CTX *tls_context_wolfssl(struct tls_context *context, bool server) {
        return server ? context->server : context->client;
}

struct WOLFSSL_EC_KEY *tls_context_no_key(struct tls_context *context) {
        return context->no_key;
}

struct tls_scratch *tls_context_scratch(struct tls_context *context) {
        if (!context->scratch)
                context->scratch = calloc(1, sizeof(struct tls_scratch));
        return context->scratch;
}

static int on_rest(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        struct tls_context *context = userdata;

        context->n_handshakes = 0;
        wc_ecc_fp_free();
        (void) malloc_trim(0);
        return 0;
}

void tls_context_handshake_begins(struct tls_context *context, sd_event *event) {
        if (context->n_handshakes < HANDSHAKES_FEW)
                context->n_handshakes++;
        tls_aes_allow_tables(context->n_handshakes >= HANDSHAKES_FEW);

        if (!context->rest_source) {
                (void) sd_event_add_time_relative(event, &context->rest_source, CLOCK_MONOTONIC, REST_USEC,
                                USEC_PER_SEC, on_rest, context);
                return;
        }
        (void) sd_event_source_set_time_relative(context->rest_source, REST_USEC);
        (void) sd_event_source_set_enabled(context->rest_source, SD_EVENT_ONESHOT);
}
