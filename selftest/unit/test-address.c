/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "address.h"

#include <criterion/criterion.h>

static void check(const char *text, const char *formatted, const char *host) {
        _cleanup_(freep) char *f = NULL, *h = NULL;
        struct rpc_address address;
        const char *error = NULL;

        cr_assert(rpc_address_parse(&address, text, &error) == 0, "%s: %s", text, error);
        f = rpc_address_format(&address);
        h = rpc_address_format_host(&address);
        cr_assert_str_eq(f, formatted);
        cr_assert_str_eq(h, host);
}

Test(address, what_is_read_is_written_again) {
        check("192.168.100.5:9001", "192.168.100.5:9001", "192.168.100.5");
        check("0.0.0.0:0", "0.0.0.0:0", "0.0.0.0");
        check("[::1]:65535", "[::1]:65535", "::1");
        check("[::]:9000", "[::]:9000", "::");
        check("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", "10.0.0.1");
        check("/run/givc.sock", "/run/givc.sock", "/run/givc.sock");
        check("unix:/run/givc.sock", "/run/givc.sock", "/run/givc.sock");
        check("@givc/admin", "@givc/admin", "@givc/admin");
        check("vsock:3:9000", "vsock:3:9000", "vsock:3");
        check("vsock:any:9000", "vsock:any:9000", "vsock:any");
        check("vsock:host:1", "vsock:2:1", "vsock:2");
        check("vsock:local:1", "vsock:1:1", "vsock:1");
        check("vsock:4294967295:4294967295", "vsock:any:4294967295", "vsock:any");
}

Test(address, what_is_no_address_is_refused_with_a_reason) {
        static const char *const bad[] = {
                "",
                ":",
                "9000",
                "localhost:9000",
                "127.0.0.1",
                "127.0.0.1:",
                "127.0.0.1:65536",
                "127.0.0.1:-1",
                "127.0.0.1:9000x",
                "127.0.0.1: 9000",
                "127.1:80",
                "::1:9000",
                "[::1]",
                "[::1]9000",
                "[::1]:",
                "[127.0.0.1]:80",
                "[fe80::1%eth0]:80",
                "[::1",
                "unix:",
                "unix:run/x",
                "@",
                "vsock:",
                "vsock:3",
                "vsock:3:",
                "vsock::3",
                "vsock:x:1",
                "vsock:4294967296:1",
                "vsock:3:4294967296",
                "vsock:3:1:1",
                "000000000000000000000000000000000000000000000000000000:1",
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct rpc_address address;
                const char *error = NULL;

                cr_assert(rpc_address_parse(&address, bad[i], &error) == -EINVAL, "%s", bad[i]);
                cr_assert(error && *error);
        }
}

Test(address, the_longest_names_fit_and_longer_ones_do_not) {
        char path[110];
        struct rpc_address address;
        const char *error;

        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[107] = '\0';
        cr_assert(rpc_address_parse(&address, path, &error) == 0);
        path[107] = 'x';
        path[108] = '\0';
        cr_assert(rpc_address_parse(&address, path, &error) == -EINVAL);
        path[0] = '@';
        cr_assert(rpc_address_parse(&address, path, &error) == 0);
        path[108] = 'x';
        path[109] = '\0';
        cr_assert(rpc_address_parse(&address, path, &error) == -EINVAL);
}

static void check_transport(
                const char *protocol, const char *where, const char *port, const char *formatted) {
        _cleanup_(freep) char *f = NULL;
        struct rpc_address address;
        const char *error = NULL;
        int r;

        r = rpc_address_from_transport(&address, protocol, where, port, &error);
        if (!formatted) {
                cr_assert(r == -EINVAL && error, "%s %s %s", protocol, where, port);
                return;
        }
        cr_assert(r == 0, "%s", error);
        f = rpc_address_format(&address);
        cr_assert_str_eq(f, formatted);
}

Test(address, transports_of_the_wire_are_addresses) {
        check_transport("tcp", "192.168.101.2", "9000", "192.168.101.2:9000");
        check_transport("tcp", "fd00::2", "9000", "[fd00::2]:9000");
        check_transport("vsock", "5", "9000", "vsock:5:9000");
        check_transport("unix", "/run/x", "", "/run/x");
        check_transport("abstract", "x", "", "@x");
        check_transport("abstract", "@x", "", "@x");
        check_transport("tcp", "admin-vm", "9000", NULL);
        check_transport("tcp", "10.0.0.1", "", NULL);
        check_transport("udp", "10.0.0.1", "1", NULL);
        check_transport("", "", "", NULL);
        check_transport("unix", "x", "", NULL);
}

Test(address, names_that_the_kernel_hands_over) {
        struct rpc_address unnamed = { .un.sun_family = AF_UNIX, .length = sizeof(sa_family_t) };
        struct rpc_address odd = { .un.sun_family = AF_UNIX, .length = sizeof(sa_family_t) + 4 };
        _cleanup_(freep) char *a = NULL, *b = NULL;

        a = rpc_address_format(&unnamed);
        cr_assert_str_eq(a, "unix:");
        memcpy(odd.un.sun_path, "\0a\n\0", 4);
        b = rpc_address_format_host(&odd);
        cr_assert_str_eq(b, "@a\\x0a\\x00");
}

Test(address, only_tcp_has_an_ip) {
        struct rpc_address address;
        const char *error;
        uint8_t ip[16];

        cr_assert(rpc_address_parse(&address, "10.1.2.3:1", &error) == 0);
        cr_assert(rpc_address_ip(&address, ip) == 4 && memcmp(ip, "\x0a\x01\x02\x03", 4) == 0);
        cr_assert(rpc_address_parse(&address, "[::ffff:10.1.2.3]:1", &error) == 0);
        cr_assert(rpc_address_ip(&address, ip) == 4 && memcmp(ip, "\x0a\x01\x02\x03", 4) == 0);
        cr_assert(rpc_address_parse(&address, "[::1]:1", &error) == 0);
        cr_assert(rpc_address_ip(&address, ip) == 16 && ip[15] == 1);
        cr_assert(rpc_address_parse(&address, "vsock:2:1", &error) == 0);
        cr_assert(rpc_address_ip(&address, ip) == 0);
        cr_assert(rpc_address_parse(&address, "/x", &error) == 0);
        cr_assert(rpc_address_ip(&address, ip) == 0);
}
