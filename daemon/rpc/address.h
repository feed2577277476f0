/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Where a socket is: TCP over IPv4 or IPv6, Unix (path or abstract), vsock. */

#include "util.h"

#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

struct rpc_address {
        union {
                struct sockaddr any;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
                struct sockaddr_un un;
                struct sockaddr_vm vm;
        };
        socklen_t length;
};

/*
 * Reads "IP:PORT", "[IP6]:PORT", "/path", "unix:/path", "@abstract" or "vsock:CID:PORT" (CID a number,
 * "any", "host" or "local"). Host names are not looked up: that would wait. 0, or -EINVAL with *ret_error
 * (static text) saying what is allowed.
 */
int rpc_address_parse(struct rpc_address *address, const char *text, const char **ret_error);

/* From the fields of a TransportConfig: protocol tcp, vsock, unix or abstract. */
int rpc_address_from_transport(struct rpc_address *address, const char *protocol, const char *where,
                const char *port, const char **ret_error);

/* What rpc_address_parse() would read, on the heap; NULL: ENOMEM. Unnamed Unix sockets are "unix:". */
char *rpc_address_format(const struct rpc_address *address);

/* Without the port: for TCP the IP ("192.168.100.5"; IPv4 mapped into IPv6 as IPv4), for vsock "vsock:" and
 * the CID; else the same as rpc_address_format(). */
char *rpc_address_format_host(const struct rpc_address *address);

/*
 * The 4 or 16 bytes of the IP (IPv4 mapped into IPv6 counts as IPv4) into ip; returns their number, or 0
 * where the address is not TCP.
 */
size_t rpc_address_ip(const struct rpc_address *address, uint8_t ip[16]);
