/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quota.h"

#include "list.h"
#include "log.h"
#include "message-ids.h"

/*
 * Of the loop's time, one peer may take this much per period and still be served in its turn: all others
 * together wait no longer for it. Past the second it comes after who has taken no more than the first few.
 */
#define SPEND_PERIOD_USEC (100 * USEC_PER_MSEC)
#define SPEND_USEC        (5 * USEC_PER_MSEC)
#define SPEND_MUCH_USEC   (20 * USEC_PER_MSEC)

/* How long an identity is remembered after it has left: longer than anything that is counted over time. */
#define MEMORY_USEC (10 * USEC_PER_SEC)
/* Through the trusted one come the resets of many, who have their own limit where it takes them. */
#define TRUSTED_FACTOR 16

struct quota {
        unsigned n_refs; /* the owner's, and one for each account */
        struct quota_limit limits[_QUOTA_RESOURCE_MAX];
        size_t used[_QUOTA_RESOURCE_MAX];
        uint64_t refused[_QUOTA_RESOURCE_MAX];
        /* Not in the account: who leaves and comes again is no other. */
        struct peer_limit messages[_QUOTA_RESOURCE_MAX];
        struct list accounts;
        char *trusted;
};

struct quota_account {
        unsigned n_refs;
        struct quota *quota;
        struct list link;
        char *name;
        bool identified, trusted;
        size_t used[_QUOTA_RESOURCE_MAX];
        uint64_t period_usec, spent_usec; /* CLOCK_MONOTONIC of the period's begin; spent in it */
        enum quota_rank rank;             /* by the last period, or this one where that is worse */
        struct ratelimit resets;
        uint64_t left_usec; /* CLOCK_MONOTONIC: when the last reference went */
};

static const char *const resource_names[] = {
        [QUOTA_CONNECTIONS] = "connections",
        [QUOTA_HANDSHAKES] = "handshakes",
        [QUOTA_STREAMS] = "calls",
        [QUOTA_BYTES] = "bytes",
        [QUOTA_NAMES] = "names",
        [QUOTA_WATCHERS] = "watchers",
        [QUOTA_MONITORS] = "monitors",
        [QUOTA_LOGS] = "log streams",
        [QUOTA_COMMANDS] = "commands",
        [QUOTA_OPERATIONS] = "operations",
        [QUOTA_RELAYS] = "streams passed on",
        [QUOTA_LOOKS] = "looks at VMs",
};

static void on_refusals(const char *peer, unsigned n, void *userdata) {
        const struct log_fields fields = { .message_id = GIVC_MESSAGE_LIMIT, .peer = peer };
        const char *resource = userdata;

        log_event(LOG_WARNING, &fields, "More %s were refused to %s %u times that were not logged.",
                        resource, peer ?: "others", n);
}

int quota_new(struct quota **ret, sd_event *event,
                const struct quota_limit limits[static _QUOTA_RESOURCE_MAX]) {
        struct quota *quota = calloc(1, sizeof(*quota));

        if (!quota)
                return -ENOMEM;
        quota->n_refs = 1;
        memcpy(quota->limits, limits, sizeof(quota->limits));
        list_init(&quota->accounts);
        for (size_t i = 0; i < _QUOTA_RESOURCE_MAX && event; i++) {
                int r = peer_limit_watch(
                                &quota->messages[i], event, on_refusals, (char *) resource_names[i]);

                if (r < 0) {
                        quota_unref(quota);
                        return r;
                }
        }
        *ret = quota;
        return 0;
}

static void account_free(struct quota_account *account) {
        list_remove(&account->link);
        free(account->name);
        free(account);
}

struct quota *quota_unref(struct quota *quota) {
        struct quota_account *account;

        if (!quota || --quota->n_refs > 0)
                return NULL;
        while ((account = LIST_FIRST(&quota->accounts, struct quota_account, link)))
                account_free(account);
        for (size_t i = 0; i < _QUOTA_RESOURCE_MAX; i++)
                peer_limit_clear(&quota->messages[i]);
        free(quota->trusted);
        free(quota);
        return NULL;
}

static void set_trusted(struct quota_account *account) {
        const char *name = account->quota->trusted;

        account->trusted = account->identified && name && streq(account->name, name);
        account->resets.burst = account->trusted ? TRUSTED_FACTOR * QUOTA_RESETS : QUOTA_RESETS;
}

int quota_trust(struct quota *quota, const char *name) {
        char *copy = name ? strdup(name) : NULL;
        struct quota_account *account;

        if (name && !copy)
                return -ENOMEM;
        free(quota->trusted);
        quota->trusted = copy;
        LIST_FOREACH(account, &quota->accounts, link)
                set_trusted(account);
        return 0;
}

/* The account of that name, or NULL; those that have been left for long are forgotten by the way. */
static struct quota_account *find_account(struct quota *quota, const char *name, bool identified) {
        struct quota_account *account, *next, *found = NULL;
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        LIST_FOREACH_SAFE(account, next, &quota->accounts, link)
                if (account->identified == identified && streq(account->name, name))
                        found = account;
                else if (account->n_refs == 0 && now - account->left_usec >= MEMORY_USEC)
                        account_free(account);
        return found;
}

int quota_account_get(struct quota *quota, const char *name, bool identified, struct quota_account **ret) {
        struct quota_account *account = find_account(quota, name, identified);

        if (account) {
                if (account->n_refs++ == 0)
                        quota->n_refs++;
                *ret = account;
                return 0;
        }
        account = calloc(1, sizeof(*account));
        if (!account)
                return -ENOMEM;
        *account = (struct quota_account){
                .n_refs = 1,
                .quota = quota,
                .name = strdup(name),
                .identified = identified,
                .resets.interval_usec = QUOTA_RESETS_USEC,
        };
        if (!account->name) {
                free(account);
                return -ENOMEM;
        }
        set_trusted(account);
        quota->n_refs++;
        list_append(&quota->accounts, &account->link);
        *ret = account;
        return 0;
}

struct quota_account *quota_account_unref(struct quota_account *account) {
        struct quota *quota;

        if (!account || --account->n_refs > 0)
                return NULL;
        account->left_usec = now_usec(CLOCK_MONOTONIC);
        quota = account->quota;
        if (!account->identified)
                account_free(account);
        quota_unref(quota);
        return NULL;
}

size_t quota_share(const struct quota_account *account, enum quota_resource resource) {
        const struct quota *quota = account->quota;
        const struct quota_limit *limit = &quota->limits[resource];
        size_t others = quota->used[resource] - account->used[resource];
        size_t left = limit->all - MIN(others, limit->all);

        return account->trusted ? left - left / 8 : MIN(limit->each, (left + 1) / 2);
}

static void tell(struct quota_account *account, enum quota_resource resource, size_t n, size_t most) {
        const struct log_fields fields = { .message_id = GIVC_MESSAGE_LIMIT, .peer = account->name };
        struct quota *quota = account->quota;

        quota->refused[resource]++;
        if (!peer_limit_pass(&quota->messages[resource], account->name))
                return;
        log_event(LOG_WARNING, &fields,
                        "%s takes too much: it has %zu %s, may have %zu while others have %zu, and asked "
                        "for %zu more",
                        account->name, account->used[resource], resource_names[resource], most,
                        quota->used[resource] - account->used[resource], n);
}

int quota_charge(struct quota_account *account, enum quota_resource resource, size_t n,
                struct quota_charge *charge) {
        if (n > charge->n) {
                size_t more = n - charge->n, most = quota_share(account, resource);

                if (more > most - MIN(account->used[resource], most)) {
                        tell(account, resource, more, most);
                        return -EDQUOT;
                }
        }
        if (!charge->account) {
                account->n_refs++;
                charge->account = account;
                charge->resource = resource;
        }
        account->used[resource] += n - charge->n; /* wraps round where it is less */
        account->quota->used[resource] += n - charge->n;
        charge->n = n;
        return 0;
}

void quota_release(struct quota_charge *charge) {
        if (!charge->account)
                return;
        (void) quota_charge(charge->account, charge->resource, 0, charge);
        quota_account_unref(charge->account);
        *charge = (struct quota_charge){};
}

size_t quota_used(const struct quota *quota, enum quota_resource resource) {
        return quota->used[resource];
}

size_t quota_account_used(const struct quota_account *account, enum quota_resource resource) {
        return account->used[resource];
}

uint64_t quota_refused(const struct quota *quota, enum quota_resource resource) {
        return quota->refused[resource];
}

const char *quota_resource_name(enum quota_resource resource) {
        return resource_names[resource];
}

static enum quota_rank rank_by(uint64_t spent_usec) {
        if (spent_usec > SPEND_MUCH_USEC)
                return QUOTA_RANK_LAST;
        return spent_usec > SPEND_USEC ? QUOTA_RANK_SECOND : QUOTA_RANK_FIRST;
}

enum quota_rank quota_account_spend(struct quota_account *account, uint64_t usec) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (now - account->period_usec >= SPEND_PERIOD_USEC) {
                account->rank = now - account->period_usec < 2 * SPEND_PERIOD_USEC
                                ? rank_by(account->spent_usec)
                                : QUOTA_RANK_FIRST;
                account->period_usec = now;
                account->spent_usec = 0;
        }
        account->spent_usec += usec;
        account->rank = MAX(account->rank, rank_by(account->spent_usec));
        return account->trusted ? QUOTA_RANK_FIRST : account->rank;
}

struct ratelimit *quota_account_resets(struct quota_account *account) {
        return account->identified ? &account->resets : NULL;
}
