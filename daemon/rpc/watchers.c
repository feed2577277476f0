/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watchers.h"

void rpc_watchers_init(struct rpc_watchers *watchers, size_t queue_bytes) {
        *watchers = (struct rpc_watchers){ .queue_bytes = queue_bytes };
        list_init(&watchers->list);
}

static void remove_watcher(struct rpc_watcher *watcher) {
        struct rpc_watchers *watchers = watcher->watchers;

        list_remove(&watcher->list);
        watchers->n--;
        free(watcher);
        if (watchers->gone && !watchers->closed)
                watchers->gone(watchers);
}

static void call_gone(struct rpc_call *call, void *userdata) {
        remove_watcher(userdata);
}

/* What is queued is told no more often than it is asked for, so that nothing else needs to be heard. */
static const struct rpc_call_ops call_ops = { .gone = call_gone };

void rpc_watcher_end(struct rpc_watcher *watcher, enum rpc_code code, const char *reason) {
        struct rpc_call *call = watcher->call;

        remove_watcher(watcher);
        /* Or who watches again and again without reading would fill our memory with what nobody waits for.
         */
        if (code == RPC_RESOURCE_EXHAUSTED)
                rpc_call_cut(call);
        rpc_call_fail(call, code, "%s", reason);
}

bool rpc_watcher_send(struct rpc_watcher *watcher, const ProtobufCMessage *message) {
        const char *wrong = NULL;

        if (rpc_call_send(watcher->call, message) < 0)
                wrong = "cannot queue a change: watch again";
        else if (rpc_call_queued(watcher->call) > watcher->allowance)
                wrong = "changes are not read as fast as they come: watch again";
        if (wrong)
                rpc_watcher_end(watcher, RPC_RESOURCE_EXHAUSTED, wrong);
        return !wrong;
}

void rpc_watchers_close(struct rpc_watchers *watchers, const char *reason) {
        struct rpc_watcher *watcher, *next;

        watchers->closed = reason;
        LIST_FOREACH_SAFE(watcher, next, &watchers->list, list)
                rpc_watcher_end(watcher, RPC_UNAVAILABLE, reason);
}

struct rpc_watcher *rpc_watchers_add(struct rpc_watchers *watchers, struct rpc_call *call, void *userdata) {
        struct rpc_watcher *watcher;

        if (watchers->closed) {
                rpc_call_fail(call, RPC_UNAVAILABLE, "%s", watchers->closed);
                return NULL;
        }
        watcher = malloc(sizeof(*watcher));
        if (!watcher) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return NULL;
        }
        *watcher = (struct rpc_watcher){
                .watchers = watchers,
                .call = call,
                .userdata = userdata,
        };
        list_append(&watchers->list, &watcher->list);
        watchers->n++;
        rpc_call_set_ops(call, &call_ops, watcher);
        rpc_watcher_begin(watcher);
        return watcher;
}

void rpc_watcher_begin(struct rpc_watcher *watcher) {
        watcher->allowance = rpc_call_queued(watcher->call) + watcher->watchers->queue_bytes;
}
