/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What peers take of a server, charged to an account each: its identity's, or its address's as long as it
 * has none. Of every resource there is so much for all; one peer gets at most half of what the others leave,
 * and never more than is good for one, so that whoever comes next finds room.
 */

#include "peer-limit.h"
#include "ratelimit.h"

enum quota_resource {
        QUOTA_NONE,
        QUOTA_CONNECTIONS, /* those in their handshake included */
        QUOTA_HANDSHAKES,
        QUOTA_STREAMS, /* calls under way, or answered and not yet read */
        QUOTA_BYTES,   /* of headers, requests, and answers that wait to be read */
        QUOTA_NAMES,   /* that somebody has registered, and keeps when he has gone */
        /* What calls take besides, by their method (server.h) */
        QUOTA_WATCHERS,
        QUOTA_MONITORS,
        QUOTA_LOGS,
        QUOTA_COMMANDS, /* programs that run for somebody */
        QUOTA_OPERATIONS,
        QUOTA_RELAYS, /* streams that are passed on */
        QUOTA_LOOKS,  /* calls that are passed on to many, one each */
        _QUOTA_RESOURCE_MAX,
};

struct quota_limit {
        size_t all, each;
};

struct quota;
struct quota_account;

/* What an account was charged; all zero: nothing. */
struct quota_charge {
        struct quota_account *account;
        enum quota_resource resource;
        size_t n;
};

/* How often more was refused than is logged is told from event; NULL: nowhere. 0 or a negative errno. */
int quota_new(struct quota **ret, sd_event *event,
                const struct quota_limit limits[static _QUOTA_RESOURCE_MAX]);
/* Accounts that are still referred to last on. */
struct quota *quota_unref(struct quota *quota);

/*
 * The peer of this name, in place of the last, may take seven eighths of what the others leave, and is never
 * put behind them: for one through whom everybody's calls come. Copied; NULL: none. 0 or -ENOMEM.
 */
int quota_trust(struct quota *quota, const char *name);

/*
 * A reference to the account of that name; names of identities and of addresses are apart. That of an
 * identity is kept for a while after the last reference has gone: who leaves and comes again is no other. 0
 * or -ENOMEM.
 */
int quota_account_get(struct quota *quota, const char *name, bool identified, struct quota_account **ret);
struct quota_account *quota_account_unref(struct quota_account *account);

/*
 * Makes *charge, which is all zero or was charged to this account, n units. 0, or -EDQUOT, when that is told
 * in the journal and *charge is as before. Less is always granted.
 */
int quota_charge(struct quota_account *account, enum quota_resource resource, size_t n,
                struct quota_charge *charge);
void quota_release(struct quota_charge *charge);

/* What the account may have now, all in all. */
size_t quota_share(const struct quota_account *account, enum quota_resource resource);
size_t quota_used(const struct quota *quota, enum quota_resource resource);
size_t quota_account_used(const struct quota_account *account, enum quota_resource resource);
/* How often a charge was refused, since start. */
uint64_t quota_refused(const struct quota *quota, enum quota_resource resource);
const char *quota_resource_name(enum quota_resource resource);

/* How far a peer stands back: others go first, and of those that do so who has taken less. */
enum quota_rank {
        QUOTA_RANK_FIRST,
        QUOTA_RANK_SECOND,
        QUOTA_RANK_LAST,
};
/* Counts time of the loop that is spent on the peer. Where it stands by what it has taken lately. */
enum quota_rank quota_account_spend(struct quota_account *account, uint64_t usec);

/* So many, in so much time. */
#define QUOTA_RESETS      500
#define QUOTA_RESETS_USEC (10 * USEC_PER_SEC)
/*
 * RFC 9113, 10.5: streams that end in an error, which are a flood when there are many, on all connections of
 * an identity. NULL: it is an address's account, and each of its connections counts by itself.
 */
struct ratelimit *quota_account_resets(struct quota_account *account);
