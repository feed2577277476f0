/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A message that peers can cause, limited for each peer by itself: one that floods does not hide what
 * another does.
 */

#include "ratelimit.h"

/* Peers told apart in a minute. Those past that share one limit: who comes under many names (one network of
 * IPv6 has more addresses than anybody counts) gets no more for it. */
#define PEER_LIMIT_PEERS 64

struct peer_limit {
        unsigned burst; /* messages about one peer in a minute; 0: enough to see a cause and its repetition
                         */
        struct peer_limit_slot {
                uint64_t peer; /* hash of its name; 0: free */
                struct ratelimit limit;
        } slots[PEER_LIMIT_PEERS];
        struct ratelimit others; /* those for whom there is no slot */
};

#define PEER_LIMIT_NULL ((struct peer_limit){})

/* True if a message about the peer of that name may pass now. *ret_suppressed as in ratelimit_pass();
 * of those that share a limit nobody is told. */
bool peer_limit_pass(struct peer_limit *limit, const char *peer, unsigned *ret_suppressed);
