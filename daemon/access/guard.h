/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Who is it, and may they: asked once for every call, before its handler. The peer's certificate must name
 * it (a DNS name in the subjectAltName) and, on TCP, hold the address from which it speaks; then, where
 * there are rules, one of them must permit the call.
 */

#include "call.h"
#include "openmetrics.h"

#include "access.pb-c.h"

struct access_guard;
struct access_rules;

struct access_guard_config {
        bool tls;             /* false (no TLS): peers have no identity, and nothing of the above is asked */
        const char *rules;    /* a file of Cedar policies; NULL: every peer may make every call */
        const char *entities; /* and one of entities; NULL: there are none */
        bool audit_permits;   /* a line in the journal for what is permitted, too */
        const char *denial;   /* how a denial begins; static text */
};

/*
 * Reads the rules, and again whenever their file changes: one that cannot be read leaves the former in
 * force, which is logged. 0; or a negative errno, which has been logged: there is no guard without its
 * rules, nor rules without TLS.
 */
int access_guard_new(struct access_guard **ret, sd_event *event, const struct access_guard_config *config);
struct access_guard *access_guard_free(struct access_guard *guard);
DEFINE_CLEANUP(struct access_guard, access_guard_free)

/* Another configuration, or the same files read anew: all of it or, on failure, which has been logged,
 * nothing. */
int access_guard_configure(struct access_guard *guard, const struct access_guard_config *config);

/* Calls changed() when the rules in force have become others, in the loop's next turn. */
void access_guard_set_changed(struct access_guard *guard, void (*changed)(void *userdata), void *userdata);

/* Those in force, until the loop's next turn; NULL: access control is off. */
const struct access_rules *access_guard_rules(const struct access_guard *guard);

/*
 * Calls told() for every denial, and every permit if permits, that it would tell the journal of if it was
 * asked to, and for every peer whose connection or certificate is refused: within the same limits, and of
 * how many were past them. Nothing of *item, which is no Source, lasts, and where that was is not in it.
 * NULL: not any more.
 */
void access_guard_listen(struct access_guard *guard,
                void (*told)(Access__WatchDecisionsItem *item, void *userdata), bool permits,
                void *userdata);

/* For rpc_server_ops: ends the call with UNAUTHENTICATED or PERMISSION_DENIED, logs why, and returns false;
 * or true. */
bool access_guard_permit(struct rpc_call *call, const ProtobufCMessage *request, struct access_guard *guard);
/* For rpc_server_ops.review: the same of what was permitted under other rules. */
bool access_guard_review(struct rpc_call *call, const ProtobufCMessage *request, struct access_guard *guard);
/* For rpc_server_ops.peer_connected: logs, once per connection, what makes it unacceptable. */
void access_guard_peer(const struct rpc_peer *peer, struct access_guard *guard);
/* For rpc_server_ops.refused and refused_more: tell who listens. */
void access_guard_refused(const struct rpc_refused *refused, struct access_guard *guard);
void access_guard_refused_more(const char *host, unsigned n, struct access_guard *guard);

/* Adds what the rules have decided. */
void access_guard_write_metrics(const struct access_guard *guard, struct openmetrics *metrics);
