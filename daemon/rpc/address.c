/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "address.h"

#include "text.h"

#include <arpa/inet.h>
#include <stdio.h>

static const char allowed[] =
                "an address is IP:PORT, [IPv6]:PORT, /path, unix:/path, @abstract or vsock:CID:PORT";

static int refuse(const char **ret_error, const char *error) {
        *ret_error = error;
        return -EINVAL;
}

/* n bytes of text as a string of its own, where there is room for it. */
static bool copy_text(char *to, size_t size, const char *from, size_t n) {
        if (n >= size)
                return false;
        memcpy(to, from, n);
        to[n] = '\0';
        return true;
}

static int set_tcp(struct rpc_address *address, const char *ip, const char *port, const char **ret_error) {
        uint64_t number;

        if (text_to_uint(port, UINT16_MAX, &number) < 0)
                return refuse(ret_error, "a TCP port is a number from 0 to 65535");

        *address = (struct rpc_address){};
        if (inet_pton(AF_INET, ip, &address->in.sin_addr) == 1) {
                address->in.sin_family = AF_INET;
                address->in.sin_port = htons((uint16_t) number);
                address->length = sizeof(address->in);
                return 0;
        }
        if (inet_pton(AF_INET6, ip, &address->in6.sin6_addr) == 1) {
                address->in6.sin6_family = AF_INET6;
                address->in6.sin6_port = htons((uint16_t) number);
                address->length = sizeof(address->in6);
                return 0;
        }
        return refuse(ret_error, "not an IP address (host names are not looked up)");
}

static int set_unix(struct rpc_address *address, const char *path, const char **ret_error) {
        size_t n = strlen(path);

        if (path[0] != '/')
                return refuse(ret_error, "the path of a Unix socket begins with /");
        if (n >= sizeof(address->un.sun_path))
                return refuse(ret_error, "the path of a Unix socket has at most 107 bytes");

        *address = (struct rpc_address){ .un.sun_family = AF_UNIX };
        memcpy(address->un.sun_path, path, n + 1);
        address->length = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n + 1);
        return 0;
}

static int set_abstract(struct rpc_address *address, const char *name, const char **ret_error) {
        size_t n = strlen(name);

        if (n == 0 || n >= sizeof(address->un.sun_path))
                return refuse(ret_error, "the name of an abstract Unix socket has 1 to 107 bytes");

        *address = (struct rpc_address){ .un.sun_family = AF_UNIX };
        memcpy(address->un.sun_path + 1, name, n);
        address->length = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + n);
        return 0;
}

static int set_vsock(
                struct rpc_address *address, const char *cid, const char *port, const char **ret_error) {
        uint64_t cid_number, port_number;

        if (streq(cid, "any"))
                cid_number = VMADDR_CID_ANY;
        else if (streq(cid, "host"))
                cid_number = VMADDR_CID_HOST;
        else if (streq(cid, "local"))
                cid_number = VMADDR_CID_LOCAL;
        else if (text_to_uint(cid, UINT32_MAX, &cid_number) < 0)
                return refuse(ret_error, "a vsock CID is a number, any, host or local");
        if (text_to_uint(port, UINT32_MAX, &port_number) < 0)
                return refuse(ret_error, "a vsock port is a number below 2^32");

        *address = (struct rpc_address){
                .vm = { .svm_family = AF_VSOCK,
                                .svm_cid = (unsigned) cid_number,
                                .svm_port = (unsigned) port_number },
                .length = sizeof(address->vm),
        };
        return 0;
}

int rpc_address_parse(struct rpc_address *address, const char *text, const char **ret_error) {
        char host[INET6_ADDRSTRLEN];
        const char *rest, *colon;

        if (text[0] == '/')
                return set_unix(address, text, ret_error);
        if (text[0] == '@')
                return set_abstract(address, text + 1, ret_error);
        rest = startswith(text, "unix:");
        if (rest)
                return set_unix(address, rest, ret_error);

        rest = startswith(text, "vsock:");
        if (rest) {
                colon = strchr(rest, ':');
                if (!colon || !copy_text(host, sizeof(host), rest, (size_t) (colon - rest)))
                        return refuse(ret_error, allowed);
                return set_vsock(address, host, colon + 1, ret_error);
        }

        if (text[0] == '[') {
                const char *end = strchr(text, ']');

                if (!end || end[1] != ':' ||
                                !copy_text(host, sizeof(host), text + 1, (size_t) (end - text - 1)) ||
                                !strchr(host, ':'))
                        return refuse(ret_error, allowed);
                return set_tcp(address, host, end + 2, ret_error);
        }

        colon = strchr(text, ':');
        if (!colon || strchr(colon + 1, ':') ||
                        !copy_text(host, sizeof(host), text, (size_t) (colon - text)))
                return refuse(ret_error, allowed);
        return set_tcp(address, host, colon + 1, ret_error);
}

int rpc_address_from_transport(struct rpc_address *address, const char *protocol, const char *where,
                const char *port, const char **ret_error) {
        if (streq(protocol, "tcp"))
                return set_tcp(address, where, port, ret_error);
        if (streq(protocol, "vsock"))
                return set_vsock(address, where, port, ret_error);
        if (streq(protocol, "unix"))
                return set_unix(address, where, ret_error);
        if (streq(protocol, "abstract"))
                return set_abstract(address, where[0] == '@' ? where + 1 : where, ret_error);
        return refuse(ret_error, "the protocol of a transport is tcp, vsock, unix or abstract");
}

static char *format_unix(const struct rpc_address *address) {
        size_t n = address->length > offsetof(struct sockaddr_un, sun_path)
                        ? address->length - offsetof(struct sockaddr_un, sun_path)
                        : 0;
        const char *path = address->un.sun_path;
        _cleanup_(freep) char *name = NULL;

        if (n == 0)
                return strdup("unix:");
        if (path[0] != '\0') {
                n = strnlen(path, n);
                return text_printf("%.*s", (int) n, path);
        }
        /* Abstract names may hold anything, NUL included. */
        name = text_escape(path + 1, n - 1, sizeof(address->un.sun_path));
        return name ? text_printf("@%s", name) : NULL;
}

/* The text of an IP address: IPv4 mapped into IPv6 as IPv4. */
static void format_ip(const struct rpc_address *address, char text[static INET6_ADDRSTRLEN]) {
        uint8_t ip[16];
        size_t n = rpc_address_ip(address, ip);

        inet_ntop(n == 4 ? AF_INET : AF_INET6, ip, text, INET6_ADDRSTRLEN);
}

char *rpc_address_format(const struct rpc_address *address) {
        char ip[INET6_ADDRSTRLEN];

        switch (address->any.sa_family) {
        case AF_INET:
                format_ip(address, ip);
                return text_printf("%s:%u", ip, ntohs(address->in.sin_port));
        case AF_INET6:
                inet_ntop(AF_INET6, &address->in6.sin6_addr, ip, sizeof(ip));
                return text_printf("[%s]:%u", ip, ntohs(address->in6.sin6_port));
        case AF_VSOCK:
                if (address->vm.svm_cid == VMADDR_CID_ANY)
                        return text_printf("vsock:any:%u", address->vm.svm_port);
                return text_printf("vsock:%u:%u", address->vm.svm_cid, address->vm.svm_port);
        case AF_UNIX:
                return format_unix(address);
        default:
                return text_printf("family-%u:", address->any.sa_family);
        }
}

char *rpc_address_format_host(const struct rpc_address *address) {
        char ip[INET6_ADDRSTRLEN];

        switch (address->any.sa_family) {
        case AF_INET:
        case AF_INET6:
                format_ip(address, ip);
                return strdup(ip);
        case AF_VSOCK:
                if (address->vm.svm_cid == VMADDR_CID_ANY)
                        return strdup("vsock:any");
                return text_printf("vsock:%u", address->vm.svm_cid);
        default:
                return rpc_address_format(address);
        }
}

size_t rpc_address_ip(const struct rpc_address *address, uint8_t ip[16]) {
        switch (address->any.sa_family) {
        case AF_INET:
                memcpy(ip, &address->in.sin_addr, 4);
                return 4;
        case AF_INET6:
                if (IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr)) {
                        memcpy(ip, address->in6.sin6_addr.s6_addr + 12, 4);
                        return 4;
                }
                memcpy(ip, &address->in6.sin6_addr, 16);
                return 16;
        default:
                return 0;
        }
}
