/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A message that peers can cause, or what else they may do so often and no more, limited for each peer by
 * itself: one that floods does not hide what another does, nor keeps it from doing it. What did not pass is
 * counted, and told of when the minute is over.
 */

#include "ratelimit.h"

#include <systemd/sd-event.h>

/* Peers told apart in a minute. Those past that share one limit: who comes under many names (one network of
 * IPv6 has more addresses than anybody counts) gets no more for it. */
#define PEER_LIMIT_PEERS 64

/* n > 0 messages about that peer did not pass; NULL: about several, who share a limit. */
typedef void (*peer_limit_rest_t)(const char *peer, unsigned n, void *userdata);

struct peer_limit {
        unsigned burst; /* messages about one peer in a minute; 0: enough to see a cause and its repetition
                         */
        /* The line about those that did not pass: "7 more refused connections of net-vm were not logged."
         */
        const char *more; /* NULL: none */
        const char *message_id;
        int priority;
        struct peer_limit_slot {
                uint64_t peer; /* hash of its name; 0: free */
                char *name;    /* while there is a rest; NULL: not known */
                struct ratelimit limit;
        } slots[PEER_LIMIT_PEERS];
        struct ratelimit others; /* those for whom there is no slot */
        sd_event_source *timer;  /* runs while there is a rest; NULL: nobody is told */
        peer_limit_rest_t rest;  /* NULL: only the journal is */
        void *userdata;
};

#define PEER_LIMIT_NULL ((struct peer_limit){})

/* Has the line logged and rest() called, once for each minute and peer of whom something did not pass.
 * rest() must not clear the limit, which may not move any more. 0 or a negative errno. */
int peer_limit_watch(struct peer_limit *limit, sd_event *event, peer_limit_rest_t rest, void *userdata);
/* Of what there is still to be told nobody is. */
void peer_limit_clear(struct peer_limit *limit);

/* True if a message about the peer of that name may pass now. */
bool peer_limit_pass(struct peer_limit *limit, const char *peer);
