/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Who is it, and may they: asked once for every call, before its handler. The peer's certificate must name it (a DNS
 * name in the subjectAltName) and, on TCP, hold the address from which it speaks.
 */

#include "call.h"

struct access_guard;

struct access_guard_config {
        bool tls; /* false (no TLS): peers have no identity, and nothing of the above is asked */
};

int access_guard_new(struct access_guard **ret, const struct access_guard_config *config);
struct access_guard *access_guard_free(struct access_guard *guard);
DEFINE_CLEANUP(struct access_guard, access_guard_free)

/* For rpc_server_ops: ends the call with UNAUTHENTICATED or PERMISSION_DENIED, logs why, and returns false; or true. */
bool access_guard_permit(struct rpc_call *call, const ProtobufCMessage *request, struct access_guard *guard);
/* For rpc_server_ops.peer_connected: logs, once per connection, what makes it unacceptable. */
void access_guard_peer(const struct rpc_peer *peer, struct access_guard *guard);
