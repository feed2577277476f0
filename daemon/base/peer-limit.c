/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "peer-limit.h"

#include "log.h"

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

/* ---- what did not pass ---- */

static uint64_t end_usec(const struct ratelimit *rate) {
        return rate->begin_usec + rate->interval_usec;
}

static unsigned count_rest(const struct ratelimit *rate) {
        return rate->n > rate->burst ? rate->n - rate->burst : 0;
}

static void schedule(struct peer_limit *limit) {
        uint64_t next = count_rest(&limit->others) > 0 ? end_usec(&limit->others) : USEC_INFINITY;

        for (size_t i = 0; i < ELEMENTSOF(limit->slots); i++)
                if (count_rest(&limit->slots[i].limit) > 0)
                        next = MIN(next, end_usec(&limit->slots[i].limit));
        if (next == USEC_INFINITY)
                return;
        (void) sd_event_source_set_time(limit->timer, next);
        (void) sd_event_source_set_enabled(limit->timer, SD_EVENT_ONESHOT);
}

/* slot NULL: of the others. */
static void tell(struct peer_limit *limit, struct peer_limit_slot *slot, unsigned n) {
        _cleanup_(freep) char *peer = slot && n > 0 ? TAKE_PTR(slot->name) : NULL;
        const struct log_fields fields = { .message_id = limit->message_id, .peer = peer };

        if (n == 0 || !limit->timer)
                return;
        if (limit->more)
                log_event(limit->priority, &fields, "%u more %s %s were not logged.", n, limit->more,
                                peer ?: "others");
        if (limit->rest)
                limit->rest(peer, n, limit->userdata);
}

/* If its minute is over. */
static void tell_rest(struct peer_limit *limit, struct ratelimit *rate, struct peer_limit_slot *slot) {
        unsigned n = count_rest(rate);

        if (n == 0 || now_usec(CLOCK_MONOTONIC) < end_usec(rate))
                return;
        rate->n = 0;
        tell(limit, slot, n);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        struct peer_limit *limit = userdata;

        for (size_t i = 0; i < ELEMENTSOF(limit->slots); i++)
                tell_rest(limit, &limit->slots[i].limit, &limit->slots[i]);
        tell_rest(limit, &limit->others, NULL);
        schedule(limit);
        return 0;
}

int peer_limit_watch(struct peer_limit *limit, sd_event *event, peer_limit_rest_t rest, void *userdata) {
        int r;

        r = sd_event_add_time(event, &limit->timer, CLOCK_MONOTONIC, 0, 0, on_timer, limit);
        if (r < 0)
                return r;
        limit->rest = rest;
        limit->userdata = userdata;
        r = sd_event_source_set_enabled(limit->timer, SD_EVENT_OFF);
        return r < 0 ? r : 0;
}

void peer_limit_clear(struct peer_limit *limit) {
        sd_event_source_disable_unref(limit->timer);
        for (size_t i = 0; i < ELEMENTSOF(limit->slots); i++)
                free(limit->slots[i].name);
        *limit = PEER_LIMIT_NULL;
}

/* ---- what may ---- */

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
        tell_rest(limit, &oldest->limit, oldest);
        *oldest = (struct peer_limit_slot){ .peer = peer };
        return oldest;
}

bool peer_limit_pass(struct peer_limit *limit, const char *peer) {
        struct peer_limit_slot *slot = find_slot(limit, hash_name(peer));
        struct ratelimit *rate = slot ? &slot->limit : &limit->others;
        unsigned suppressed;
        bool pass;

        rate->interval_usec = INTERVAL_USEC;
        rate->burst = limit->burst ?: MESSAGES_PER_INTERVAL;
        pass = ratelimit_pass(rate, &suppressed);
        tell(limit, slot, suppressed);
        if (limit->timer && count_rest(rate) == 1) {
                if (slot)
                        slot->name = strdup(peer);
                schedule(limit);
        }
        return pass;
}
