/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A certificate, told to people. */
#include "text.h"
#include "tls-internal.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

static char *name_text(WOLFSSL_X509_NAME *name) {
        char *line = name ? wolfSSL_X509_NAME_oneline(name, NULL, 0) : NULL, *copy;

        if (!line)
                return NULL;
        copy = strdup(line);
        XFREE(line, NULL, DYNAMIC_TYPE_OPENSSL);
        return copy;
}

/* RFC 5280 section 4.1.2.5: in UTC. */
static bool read_time(const WOLFSSL_ASN1_TIME *time, int64_t *ret) {
        struct tm tm = {};

        if (!time || wolfSSL_ASN1_TIME_to_tm(time, &tm) != WOLFSSL_SUCCESS)
                return false;
        *ret = timegm(&tm);
        return true;
}

static int read_certificate(struct tls_certificate *ret, WOLFSSL_X509 *x509) {
        const uint8_t *der;
        int n;

        ret->subject = name_text(wolfSSL_X509_get_subject_name(x509));
        ret->issuer = name_text(wolfSSL_X509_get_issuer_name(x509));
        der = wolfSSL_X509_get_der(x509, &n);
        if (!ret->subject || !ret->issuer || !der || n <= 0 ||
                        !read_time(wolfSSL_X509_get_notBefore(x509), &ret->not_before) ||
                        !read_time(wolfSSL_X509_get_notAfter(x509), &ret->not_after))
                return -EBADMSG;
        return tls_identity_from_der(&ret->identity, der, (size_t) n);
}

static int read_pem(struct tls_certificate *ret, const char *path) {
        _cleanup_(freep) char *text = NULL;
        WOLFSSL_X509 *x509;
        size_t n;
        int r;

        r = text_read_file(path, TLS_PEM_MAX, &text, &n);
        if (r < 0)
                return r;
        x509 = wolfSSL_X509_load_certificate_buffer((const uint8_t *) text, (int) n, WOLFSSL_FILETYPE_PEM);
        if (!x509)
                return -EBADMSG;
        r = read_certificate(ret, x509);
        wolfSSL_X509_free(x509);
        return r;
}

int tls_certificate_read(struct tls_certificate *ret, const char *path, char **ret_error) {
        int r;

        *ret = TLS_CERTIFICATE_NULL;
        *ret_error = NULL;
        if (wolfSSL_Init() != WOLFSSL_SUCCESS)
                return -ENOMEM;
        r = read_pem(ret, path);
        wolfSSL_Cleanup();
        if (r < 0)
                *ret_error = text_printf("%s: %s", path,
                                r == -EBADMSG ? "no usable certificate in PEM" : strerror(-r));
        return r;
}

void tls_certificate_clear(struct tls_certificate *certificate) {
        free(certificate->subject);
        free(certificate->issuer);
        tls_identity_clear(&certificate->identity);
        *certificate = TLS_CERTIFICATE_NULL;
}
