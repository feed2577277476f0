/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names in a certificate: also in one that is refused, which anybody may have made. */
#include "fuzz.h"

#include "status.h"
#include "text.h"
#include "tls-internal.h"

#include <sys/mman.h>

/* As PEM has it, it says the same. */
static void check_pem(const struct tls_identity *identity, const uint8_t *der, size_t n) {
        _cleanup_(freep) char *base64 = rpc_base64_encode(der, n), *path = NULL, *error = NULL;
        _cleanup_(tls_certificate_clear) struct tls_certificate certificate = TLS_CERTIFICATE_NULL;
        static int fd = -1;

        if (fd < 0)
                fd = memfd_create("certificate", MFD_CLOEXEC);
        must(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0, "a file can be written");
        dprintf(fd, "-----BEGIN CERTIFICATE-----\n");
        for (size_t i = 0, all = strlen(base64); i < all; i += 64)
                dprintf(fd, "%.64s\n", base64 + i);
        dprintf(fd, "-----END CERTIFICATE-----\n");
        path = text_printf("/proc/self/fd/%i", fd);
        if (tls_certificate_read(&certificate, path, &error) < 0) {
                must(error != NULL, "what is wrong with it is said");
                return;
        }
        must(certificate.subject && certificate.issuer, "a certificate has a subject");
        must(streq(strempty(certificate.identity.name), strempty(identity->name)) &&
                                        streq(certificate.identity.serial, identity->serial) &&
                                        certificate.identity.n_ips == identity->n_ips,
                        "it is who it is");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct tls_identity identity = {};
        size_t n = 0;

        if (tls_identity_from_der(&identity, data, size) < 0)
                return 0;
        for (char **name = identity.names; name && *name; name++, n++)
                must(text_is_host_name(*name), "what is no host name is left out");
        must(n <= TLS_IDENTITY_NAMES && identity.n_ips <= TLS_IDENTITY_NAMES, "names have a bound");
        must((identity.name != NULL) == (n > 0), "the first name is the name");
        for (size_t i = 0; i < identity.n_ips; i++) {
                const struct tls_ip *ip = &identity.ips[i];

                must(ip->length == 4 || ip->length == 16, "an IP address has 4 or 16 bytes");
                must(tls_identity_has_ip(&identity, ip->bytes, ip->length), "what is listed is found");
        }
        must(identity.serial, "a certificate has a serial number");
        check_pem(&identity, data, size);
        tls_identity_clear(&identity);
        return 0;
}
