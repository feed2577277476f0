/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"
#include "tls-internal.h"

/*
 * The names in a certificate, read from its DER (X.690): of one that wolfSSL has verified, and of one that
 * it has refused, which anybody may have made. wolfSSL keeps names as C strings, in which "a\0b" passes for
 * "a", and not in their order.
 */

enum {
        /* Tags: X.690 section 8.1.2, X.680 section 8.4 */
        DER_BOOLEAN = 0x01,
        DER_INTEGER = 0x02,
        DER_OCTET_STRING = 0x04,
        DER_OID = 0x06,
        DER_SEQUENCE = 0x30,
        /* TBSCertificate: RFC 5280 section 4.1 */
        DER_VERSION = 0xA0,
        DER_EXTENSIONS = 0xA3,
        /* GeneralName: RFC 5280 section 4.2.1.6 */
        DER_DNS_NAME = 0x82,
        DER_IP_ADDRESS = 0x87,
};

struct der {
        const uint8_t *at, *end;
};

/* Takes one element off the front: its tag, its content, and whether there was one that fits. */
static bool der_next(struct der *in, uint8_t *ret_tag, struct der *ret) {
        const uint8_t *p = in->at;
        size_t n;
        uint8_t tag;

        if (in->end - p < 2)
                return false;
        tag = *p++;
        n = *p++;
        if ((tag & 0x1F) == 0x1F) /* a tag of several bytes: X.509 has none */
                return false;
        if (n & 0x80) {
                size_t more = n & 0x7F;

                if (more == 0 || more > 3 ||
                                (size_t) (in->end - p) < more) /* indefinite, or 16 MiB and more */
                        return false;
                for (n = 0; more > 0; more--)
                        n = n << 8 | *p++;
        }
        if ((size_t) (in->end - p) < n)
                return false;

        *ret_tag = tag;
        *ret = (struct der){ .at = p, .end = p + n };
        in->at = p + n;
        return true;
}

/* Takes one element of the given tag. */
static bool der_take(struct der *in, uint8_t tag, struct der *ret) {
        uint8_t found;

        return der_next(in, &found, ret) && found == tag;
}

static bool der_equals(const struct der *element, const void *bytes, size_t n) {
        return (size_t) (element->end - element->at) == n && memcmp(element->at, bytes, n) == 0;
}

static int set_serial(struct tls_identity *identity, const struct der *serial) {
        static const char digits[] = "0123456789abcdef";
        size_t n = (size_t) (serial->end - serial->at);
        char *p;

        if (n == 0 || n > 21) /* RFC 5280 section 4.1.2.2: at most 20, and a zero that keeps it positive */
                return -EBADMSG;
        p = identity->serial = malloc(n * 2 + 1);
        if (!p)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                *p++ = digits[serial->at[i] >> 4];
                *p++ = digits[serial->at[i] & 0xF];
        }
        *p = '\0';
        return 0;
}

static int add_name(struct tls_identity *identity, size_t *n_names, const struct der *text) {
        size_t n = (size_t) (text->end - text->at);
        char *name;

        if (memchr(text->at, '\0', n))
                return 0;
        name = strndup((const char *) text->at, n);
        if (!name)
                return -ENOMEM;
        if (!text_is_host_name(name)) {
                free(name);
                return 0;
        }
        identity->names[(*n_names)++] = name;
        return 0;
}

static void add_ip(struct tls_identity *identity, const struct der *bytes) {
        size_t n = (size_t) (bytes->end - bytes->at);
        struct tls_ip *ip;

        if (n != 4 && n != 16)
                return;
        ip = &identity->ips[identity->n_ips++];
        ip->length = (uint8_t) n;
        memcpy(ip->bytes, bytes->at, n);
}

/* How many elements of the tag there are. */
static size_t der_count(struct der in, uint8_t tag) {
        struct der element;
        uint8_t found;
        size_t n = 0;

        while (der_next(&in, &found, &element))
                n += found == tag;
        return n;
}

static int read_names(struct tls_identity *identity, struct der extension) {
        size_t max_names, max_ips, n_names = 0;
        struct der names, name;
        uint8_t tag;

        if (!der_take(&extension, DER_SEQUENCE, &names) || extension.at != extension.end)
                return -EBADMSG;
        max_names = der_count(names, DER_DNS_NAME);
        max_ips = der_count(names, DER_IP_ADDRESS);
        if (max_names > TLS_IDENTITY_NAMES || max_ips > TLS_IDENTITY_NAMES)
                return -EBADMSG;

        identity->names = calloc(max_names + 1, sizeof(char *));
        identity->ips = calloc(MAX(max_ips, (size_t) 1), sizeof(struct tls_ip));
        if (!identity->names || !identity->ips)
                return -ENOMEM;

        while (names.at < names.end) {
                int r = 0;

                if (!der_next(&names, &tag, &name))
                        return -EBADMSG;
                if (tag == DER_DNS_NAME)
                        r = add_name(identity, &n_names, &name);
                else if (tag == DER_IP_ADDRESS)
                        add_ip(identity, &name);
                if (r < 0)
                        return r;
        }
        identity->name = identity->names[0];
        return 0;
}

/* Extensions (RFC 5280 section 4.1): a SEQUENCE of { OID, critical BOOLEAN DEFAULT FALSE, value OCTET STRING
 * }. */
static int read_extensions(struct tls_identity *identity, struct der in) {
        static const uint8_t subject_alt_name[] = { 0x55, 0x1D, 0x11 }; /* 2.5.29.17 */
        struct der extensions;

        if (!der_take(&in, DER_SEQUENCE, &extensions) || in.at != in.end)
                return -EBADMSG;
        while (extensions.at < extensions.end) {
                struct der extension, oid, value;
                uint8_t tag;
                int r;

                if (!der_take(&extensions, DER_SEQUENCE, &extension) ||
                                !der_take(&extension, DER_OID, &oid) || !der_next(&extension, &tag, &value))
                        return -EBADMSG;
                if (tag == DER_BOOLEAN && !der_next(&extension, &tag, &value))
                        return -EBADMSG;
                if (tag != DER_OCTET_STRING)
                        return -EBADMSG;
                if (!der_equals(&oid, subject_alt_name, sizeof(subject_alt_name)))
                        continue;
                if (identity->names) /* section 4.2: not twice */
                        return -EBADMSG;
                r = read_names(identity, value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_certificate(struct tls_identity *identity, struct der in) {
        struct der certificate, tbs, element;
        uint8_t tag;
        int r;

        if (!der_take(&in, DER_SEQUENCE, &certificate) || !der_take(&certificate, DER_SEQUENCE, &tbs))
                return -EBADMSG;
        if (!der_next(&tbs, &tag, &element))
                return -EBADMSG;
        if (tag == DER_VERSION && !der_next(&tbs, &tag, &element))
                return -EBADMSG;
        if (tag != DER_INTEGER)
                return -EBADMSG;
        r = set_serial(identity, &element);
        if (r < 0)
                return r;

        /* signature, issuer, validity, subject, key and two identifiers that are no longer used */
        while (tbs.at < tbs.end) {
                if (!der_next(&tbs, &tag, &element))
                        return -EBADMSG;
                if (tag != DER_EXTENSIONS)
                        continue;
                r = read_extensions(identity, element);
                if (r < 0)
                        return r;
        }
        if (identity->names)
                return 0;
        identity->names = calloc(1, sizeof(char *));
        return identity->names ? 0 : -ENOMEM;
}

int tls_identity_from_der(struct tls_identity *ret, const uint8_t *der, size_t n) {
        struct tls_identity identity = {};
        int r;

        r = read_certificate(&identity, (struct der){ .at = der, .end = der + n });
        if (r < 0) {
                tls_identity_clear(&identity);
                return r;
        }
        *ret = identity;
        return 0;
}

void tls_identity_clear(struct tls_identity *identity) {
        for (char **name = identity->names; name && *name; name++)
                free(*name);
        free(identity->names);
        free(identity->ips);
        free(identity->serial);
        *identity = (struct tls_identity){};
}

bool tls_identity_has_ip(const struct tls_identity *identity, const uint8_t *ip, size_t n) {
        for (size_t i = 0; i < identity->n_ips; i++)
                if (identity->ips[i].length == n && memcmp(identity->ips[i].bytes, ip, n) == 0)
                        return true;
        return false;
}
