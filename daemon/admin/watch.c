/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch.h"

#include "query.h"

/* What may be queued beyond the first item: some thousand changes, the noise of a whole fleet's start. */
#define QUEUE_BYTES_MAX (1024 * 1024)
/* What all of them may have queued, which takes twice that, as most messages are small: all of them slow
 * would take a gigabyte. */
#define QUEUES_BYTES_MAX (32 * (size_t) QUEUE_BYTES_MAX)

struct watchers {
        struct registry *registry;
        struct registry_observer observer;
        struct list list;
        size_t n;
        bool closed;
};

struct watcher {
        struct watchers *watchers;
        struct list list;
        struct rpc_call *call;
        struct quota_charge charge;
        size_t allowance; /* bytes that may be queued */
};

static void remove_watcher(struct watcher *watcher) {
        list_remove(&watcher->list);
        watcher->watchers->n--;
        quota_release(&watcher->charge);
        free(watcher);
}

static void call_gone(struct rpc_call *call, void *userdata) {
        remove_watcher(userdata);
}

/* What is queued is told no more often than it is asked for, so that nothing else needs to be heard. */
static const struct rpc_call_ops call_ops = { .gone = call_gone };

static void end_watcher(struct watcher *watcher, enum rpc_code code, const char *reason) {
        struct rpc_call *call = watcher->call;

        remove_watcher(watcher);
        /* Or who watches again and again without reading would fill our memory with what nobody waits for.
         */
        if (code == RPC_RESOURCE_EXHAUSTED)
                rpc_call_cut(call);
        rpc_call_fail(call, code, "%s", reason);
}

static void send_change(struct watcher *watcher, const Admin__WatchItem *item) {
        if (rpc_call_send(watcher->call, &item->base) < 0)
                end_watcher(watcher, RPC_RESOURCE_EXHAUSTED, "cannot queue a change: watch again");
        else if (rpc_call_queued(watcher->call) > watcher->allowance)
                end_watcher(watcher, RPC_RESOURCE_EXHAUSTED,
                                "changes are not read as fast as they come: watch again");
}

static size_t count_queued(const struct watchers *watchers) {
        struct watcher *watcher;
        size_t n = 0;

        LIST_FOREACH(watcher, &watchers->list, list)
                n += rpc_call_queued(watcher->call);
        return n;
}

/* The slowest give way to the others. */
static void relieve(struct watchers *watchers) {
        while (count_queued(watchers) > QUEUES_BYTES_MAX) {
                struct watcher *watcher, *slowest = NULL;

                LIST_FOREACH(watcher, &watchers->list, list)
                        if (!slowest || rpc_call_queued(watcher->call) > rpc_call_queued(slowest->call))
                                slowest = watcher;
                end_watcher(slowest, RPC_RESOURCE_EXHAUSTED,
                                "too much is queued for all who watch: watch again");
        }
}

static void registry_changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        struct watchers *watchers = userdata;
        Admin__WatchItem item = ADMIN__WATCH_ITEM__INIT;
        Admin__QueryListItem subject;
        struct watcher *watcher, *next;
        struct arena arena;

        if (event == REGISTRY_MOVED || list_is_empty(&watchers->list))
                return;

        arena_init(&arena, QUERY_BYTES_MAX);
        if (query_item(entry, &arena, &subject) >= 0) {
                item.status_case = event == REGISTRY_ADDED  ? ADMIN__WATCH_ITEM__STATUS_ADDED
                                : event == REGISTRY_UPDATED ? ADMIN__WATCH_ITEM__STATUS_UPDATED
                                                            : ADMIN__WATCH_ITEM__STATUS_REMOVED;
                item.added = &subject; /* all three are one place */
                LIST_FOREACH_SAFE(watcher, next, &watchers->list, list)
                        send_change(watcher, &item);
                relieve(watchers);
        } else
                LIST_FOREACH_SAFE(watcher, next, &watchers->list, list)
                        end_watcher(watcher, RPC_RESOURCE_EXHAUSTED, "out of memory: watch again");
        arena_clear(&arena);
}

int watchers_new(struct watchers **ret, struct registry *registry) {
        struct watchers *watchers;

        watchers = malloc(sizeof(*watchers));
        if (!watchers)
                return -ENOMEM;
        *watchers = (struct watchers){
                .registry = registry,
                .observer = { .changed = registry_changed, .userdata = watchers },
        };
        list_init(&watchers->list);
        registry_observe(registry, &watchers->observer);
        *ret = watchers;
        return 0;
}

void watchers_close(struct watchers *watchers) {
        struct watcher *watcher, *next;

        watchers->closed = true;
        LIST_FOREACH_SAFE(watcher, next, &watchers->list, list)
                end_watcher(watcher, RPC_UNAVAILABLE, "givc-admin is stopping");
}

struct watchers *watchers_free(struct watchers *watchers) {
        if (!watchers)
                return NULL;
        watchers_close(watchers);
        registry_ignore(&watchers->observer);
        free(watchers);
        return NULL;
}

size_t watchers_count(const struct watchers *watchers) {
        return watchers->n;
}

static int send_initial(struct watchers *watchers, struct rpc_call *call) {
        Admin__WatchItem item = ADMIN__WATCH_ITEM__INIT;
        Admin__QueryListResponse list;
        struct arena arena;
        int r;

        arena_init(&arena, QUERY_BYTES_MAX);
        r = query_list(watchers->registry, &arena, &list);
        if (r >= 0) {
                item.status_case = ADMIN__WATCH_ITEM__STATUS_INITIAL;
                item.initial = &list;
                r = rpc_call_send(call, &item.base);
        }
        arena_clear(&arena);
        return r;
}

void watchers_add(struct watchers *watchers, struct rpc_call *call) {
        struct quota_charge charge = {};
        struct watcher *watcher;

        if (watchers->closed) {
                rpc_call_fail(call, RPC_UNAVAILABLE, "givc-admin is stopping");
                return;
        }
        if (quota_charge(rpc_call_peer(call)->account, QUOTA_WATCHERS, 1, &charge) < 0) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "too many watches of one peer, or of all");
                return;
        }
        if (count_queued(watchers) > QUEUES_BYTES_MAX) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "too much is queued for others who watch");
                quota_release(&charge);
                return;
        }
        watcher = malloc(sizeof(*watcher));
        if (!watcher || send_initial(watchers, call) < 0) {
                free(watcher);
                quota_release(&charge);
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED,
                                "out of memory, or the registry does not fit into one message");
                return;
        }

        *watcher = (struct watcher){
                .watchers = watchers,
                .call = call,
                .charge = charge,
                .allowance = rpc_call_queued(call) + QUEUE_BYTES_MAX,
        };
        list_append(&watchers->list, &watcher->list);
        watchers->n++;
        rpc_call_set_ops(call, &call_ops, watcher);
}
