/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Mutual TLS 1.3 (RFC 8446) by wolfSSL: a context holds a certificate, its key and the CA that peers must be
 * certified by. No session tickets: every connection shows its certificate.
 */

#include "util.h"

struct tls_context;

/* Who the peer of a connection is, as its certificate (verified by then) says. */
struct tls_identity {
        char *name;   /* the first DNS name in subjectAltName; NULL: it has none */
        char **names; /* every DNS name, NULL-terminated */
        /* IP addresses in subjectAltName */
        struct tls_ip {
                uint8_t bytes[16];
                uint8_t length; /* 4 or 16 */
        } * ips;
        size_t n_ips;
        char *serial; /* hexadecimal, for the log */
};

/*
 * Reads three PEM files. Checked here and now: that they parse, that key and certificate belong together,
 * and that key_path is not readable or writable by others. On failure *ret_error (the caller's) names the
 * file and what is wrong with it.
 */
int tls_context_new(struct tls_context **ret, const char *ca_path, const char *cert_path,
                const char *key_path, char **ret_error);
struct tls_context *tls_context_ref(struct tls_context *context);
struct tls_context *tls_context_unref(struct tls_context *context);
DEFINE_CLEANUP(struct tls_context, tls_context_unref)

/* Our own certificate's identity, owned by the context. */
const struct tls_identity *tls_context_identity(struct tls_context *context);

void tls_identity_clear(struct tls_identity *identity);
/* Whether the address (4 or 16 bytes) is among the identity's. */
bool tls_identity_has_ip(const struct tls_identity *identity, const uint8_t *ip, size_t n);

/* What a certificate says of itself, for people; not whether it is to be believed. */
struct tls_certificate {
        char *subject, *issuer;        /* "/CN=net-vm" */
        int64_t not_before, not_after; /* seconds since 1970 */
        struct tls_identity identity;
};

#define TLS_CERTIFICATE_NULL ((struct tls_certificate){})

/* Reads the first certificate in a PEM file. On failure *ret_error (the caller's) names the file and what is
 * wrong with it. In either case tls_certificate_clear() is due. */
int tls_certificate_read(struct tls_certificate *ret, const char *path, char **ret_error);
void tls_certificate_clear(struct tls_certificate *certificate);
