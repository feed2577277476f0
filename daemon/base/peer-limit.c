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

/* NULL: all are of peers that were heard in this interval. */
static struct peer_limit_slot *find_slot(struct peer_limit *limit, uint64_t peer) {
        struct peer_limit_slot *oldest = &limit->slots[0];

        for (size_t i = 0; i < ELEMENTSOF(limit->slots); i++) {
                if (limit->slots[i].peer == peer)
                        return &limit->slots[i];
                if (limit->slots[i].limit.begin_usec < oldest->limit.begin_usec)
                        oldest = &limit->slots[i];
        }
        if (oldest->peer != 0 && now_usec(CLOCK_MONOTONIC) - oldest->limit.begin_usec < INTERVAL_USEC)
                return NULL;
        *oldest = (struct peer_limit_slot){ .peer = peer };
        return oldest;
}

bool peer_limit_pass(struct peer_limit *limit, const char *peer, unsigned *ret_suppressed) {
        struct peer_limit_slot *slot = find_slot(limit, hash_name(peer));
        struct ratelimit *rate = slot ? &slot->limit : &limit->others;

        rate->interval_usec = INTERVAL_USEC;
        rate->burst = limit->burst ?: MESSAGES_PER_INTERVAL;
        if (slot)
                return ratelimit_pass(rate, ret_suppressed);
        if (ret_suppressed)
                *ret_suppressed = 0;
        return ratelimit_pass(rate, NULL);
}
