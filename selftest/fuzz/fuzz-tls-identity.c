/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names in a certificate: also in one that is refused, which anybody may have made. */
#include "fuzz.h"

#include "text.h"
#include "tls-internal.h"

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
        tls_identity_clear(&identity);
        return 0;
}
