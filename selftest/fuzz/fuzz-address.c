/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses as configuration and TransportConfig write them: protocol, where and port, one a line, or all in
 * one. */
#include "fuzz.h"

#include "address.h"
#include "text.h"

static void look_at(const struct rpc_address *address) {
        _cleanup_(freep) char *text = rpc_address_format(address), *host = rpc_address_format_host(address),
                              *again_text = NULL;
        struct rpc_address again;
        const char *error;
        uint8_t ip[16];
        size_t n_ip = rpc_address_ip(address, ip);

        must(text && host, "there is memory");
        must(n_ip == 0 || n_ip == 4 || n_ip == 16, "an IP address has 4 or 16 bytes");
        must(address->length <= sizeof(address->un), "an address has a length");
        /* In an abstract name, what is not printable was escaped. */
        if (strchr(text, '\\'))
                return;
        must(rpc_address_parse(&again, text, &error) == 0, "what we write we can read");
        again_text = rpc_address_format(&again);
        must(streq(text, again_text), "and it is the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *) data, size);
        struct rpc_address address;
        const char *error = NULL;
        char *where, *port;

        if (rpc_address_parse(&address, text, &error) == 0)
                look_at(&address);
        else
                must(error && error[0], "an error says what is allowed");

        where = strchr(text, '\n');
        port = where ? strchr(where + 1, '\n') : NULL;
        if (!port)
                return 0;
        *where++ = '\0';
        *port++ = '\0';
        error = NULL;
        if (rpc_address_from_transport(&address, text, where, port, &error) == 0)
                look_at(&address);
        else
                must(error && error[0], "an error says what is allowed");
        return 0;
}
