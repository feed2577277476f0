/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch.h"

#include "query.h"
#include "watchers.h"

/* What may be queued beyond the first item: some thousand changes, the noise of a whole fleet's start. */
#define QUEUE_BYTES_MAX (1024 * 1024)

struct watchers {
        struct registry *registry;
        struct registry_observer observer;
        struct rpc_watchers calls;
};

static void registry_changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        struct watchers *watchers = userdata;
        Admin__WatchItem item = ADMIN__WATCH_ITEM__INIT;
        Admin__QueryListItem subject;
        struct rpc_watcher *watcher, *next;
        struct arena arena;

        if (event == REGISTRY_MOVED || watchers->calls.n == 0)
                return;

        arena_init(&arena, QUERY_BYTES_MAX);
        if (query_item(entry, &arena, &subject) >= 0) {
                item.status_case = event == REGISTRY_ADDED  ? ADMIN__WATCH_ITEM__STATUS_ADDED
                                : event == REGISTRY_UPDATED ? ADMIN__WATCH_ITEM__STATUS_UPDATED
                                                            : ADMIN__WATCH_ITEM__STATUS_REMOVED;
                item.added = &subject; /* all three are one place */
                LIST_FOREACH_SAFE(watcher, next, &watchers->calls.list, list)
                        rpc_watcher_send(watcher, &item.base);
        } else
                LIST_FOREACH_SAFE(watcher, next, &watchers->calls.list, list)
                        rpc_watcher_end(watcher, RPC_RESOURCE_EXHAUSTED, "out of memory: watch again");
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
        rpc_watchers_init(&watchers->calls, QUEUE_BYTES_MAX);
        registry_observe(registry, &watchers->observer);
        *ret = watchers;
        return 0;
}

void watchers_close(struct watchers *watchers) {
        rpc_watchers_close(&watchers->calls, "givc-admin is stopping");
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
        return watchers->calls.n;
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
        struct rpc_watcher *watcher = rpc_watchers_add(&watchers->calls, call, NULL);

        if (!watcher)
                return;
        if (send_initial(watchers, call) < 0)
                rpc_watcher_end(watcher, RPC_RESOURCE_EXHAUSTED,
                                "out of memory, or the registry does not fit into one message");
        else
                rpc_watcher_begin(watcher);
}
