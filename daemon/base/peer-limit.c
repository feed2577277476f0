/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "peer-limit.h"

/* Enough to see a cause and its repetition, too few to fill a journal. */
#define MESSAGES_PER_INTERVAL 3
#define INTERVAL_USEC         (60 * USEC_PER_SEC)

/* FNV-1a. A collision makes two peers share a limit, no more than that. */
static uint64_t hash_name(const char *name) {
        uint64_t hash = UINT64_C(14695981039346656037);

        for (const char *p = name; *p; p++)
                hash = (hash ^ (unsigned char) *p) * UINT64_C(1099511628211);
        return hash ?: 1;
}

static struct peer_limit_slot *find_slot(struct peer_limit *limit, uint64_t peer) {
        struct peer_limit_slot *oldest = &limit->slots[0];

        for (size_t i = 0; i < ELEMENTSOF(limit->slots); i++) {
                if (limit->slots[i].peer == peer)
                        return &limit->slots[i];
                if (limit->slots[i].limit.begin_usec < oldest->limit.begin_usec)
                        oldest = &limit->slots[i];
        }
        *oldest = (struct peer_limit_slot){
                .peer = peer,
                .limit = { .interval_usec = INTERVAL_USEC, .burst = limit->burst ?: MESSAGES_PER_INTERVAL },
        };
        return oldest;
}

bool peer_limit_pass(struct peer_limit *limit, const char *peer, unsigned *ret_suppressed) {
        return ratelimit_pass(&find_slot(limit, hash_name(peer))->limit, ret_suppressed);
}
