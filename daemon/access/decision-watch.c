/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "decision-watch.h"

#include "decide.h"

/* What may be queued for one: a thousand decisions, more than a peer can cause in three minutes. */
#define QUEUE_BYTES_MAX ((size_t) 256 * 1024)

struct decision_watchers {
        struct rpc_watchers calls;
        struct access_guard *guard;
        char *vm;
        const char *daemon;
        void (*changed)(void *userdata);
        void *userdata;
};

/* What a watcher has asked for; in its call's memory. */
static const Access__WatchDecisionsRequest *wish(const struct rpc_watcher *watcher) {
        return watcher->userdata;
}

static bool wants_vm(const struct rpc_watcher *watcher, const char *vm) {
        return isempty(wish(watcher)->vmname) || streq(wish(watcher)->vmname, vm);
}

bool decision_watchers_want(const struct decision_watchers *watchers, const char *vm, bool *ret_permits) {
        struct rpc_watcher *watcher;
        bool wanted = false;

        *ret_permits = false;
        LIST_FOREACH(watcher, &watchers->calls.list, list) {
                if (!wants_vm(watcher, vm))
                        continue;
                wanted = true;
                *ret_permits = *ret_permits || wish(watcher)->permits;
        }
        return wanted;
}

/* ---- telling ---- */

void decision_watchers_tell(struct decision_watchers *watchers, Access__Decision *decision) {
        Access__WatchDecisionsItem item = ACCESS__WATCH_DECISIONS_ITEM__INIT;
        struct rpc_watcher *watcher, *next;

        item.item_case = ACCESS__WATCH_DECISIONS_ITEM__ITEM_DECISION;
        item.decision = decision;
        LIST_FOREACH_SAFE(watcher, next, &watchers->calls.list, list)
                if (wants_vm(watcher, decision->vmname) && (!decision->allowed || wish(watcher)->permits))
                        rpc_watcher_send(watcher, &item.base);
}

bool decision_watcher_tell_source(struct rpc_watcher *watcher, Access__DecisionSource *source) {
        Access__WatchDecisionsItem item = ACCESS__WATCH_DECISIONS_ITEM__INIT;

        item.item_case = ACCESS__WATCH_DECISIONS_ITEM__ITEM_SOURCE;
        item.source = source;
        return !wants_vm(watcher, source->vmname) || rpc_watcher_send(watcher, &item.base);
}

void decision_watchers_tell_source(struct decision_watchers *watchers, Access__DecisionSource *source) {
        struct rpc_watcher *watcher, *next;

        LIST_FOREACH_SAFE(watcher, next, &watchers->calls.list, list)
                decision_watcher_tell_source(watcher, source);
}

/* ---- our own ---- */

static void on_decision(Access__Decision *decision, void *userdata) {
        struct decision_watchers *watchers = userdata;

        decision->vmname = watchers->vm;
        decision->daemon = (char *) watchers->daemon;
        decision_watchers_tell(watchers, decision);
}

static bool tell_ourselves(const struct decision_watchers *watchers, struct rpc_watcher *watcher) {
        Access__DecisionSource source = ACCESS__DECISION_SOURCE__INIT;

        source.vmname = watchers->vm;
        source.daemon = (char *) watchers->daemon;
        source.followed = access_guard_rules(watchers->guard) != NULL;
        source.reason = (char *) (source.followed ? "" : ACCESS_IS_OFF);
        return decision_watcher_tell_source(watcher, &source);
}

static void listen_as_wanted(struct decision_watchers *watchers) {
        bool permits, wanted = decision_watchers_want(watchers, watchers->vm, &permits);

        access_guard_listen(watchers->guard, wanted ? on_decision : NULL, permits, watchers);
}

/* ---- watchers ---- */

static void calls_gone(struct rpc_watchers *calls) {
        struct decision_watchers *watchers = container_of(calls, struct decision_watchers, calls);

        listen_as_wanted(watchers);
        if (watchers->changed)
                watchers->changed(watchers->userdata);
}

struct rpc_watcher *decision_watchers_add(
                struct decision_watchers *watchers, struct rpc_call *call, const ProtobufCMessage *request) {
        struct rpc_watcher *watcher = rpc_watchers_add(&watchers->calls, call, (void *) request);

        if (!watcher || !tell_ourselves(watchers, watcher))
                return NULL;
        listen_as_wanted(watchers);
        return watcher;
}

/* ---- life ---- */

int decision_watchers_new(struct decision_watchers **ret, struct access_guard *guard, const char *vm,
                const char *daemon) {
        struct decision_watchers *watchers = malloc(sizeof(*watchers));

        if (!watchers)
                return -ENOMEM;
        *watchers = (struct decision_watchers){ .guard = guard, .vm = strdup(vm), .daemon = daemon };
        if (!watchers->vm) {
                free(watchers);
                return -ENOMEM;
        }
        rpc_watchers_init(&watchers->calls, QUEUE_BYTES_MAX);
        watchers->calls.gone = calls_gone;
        *ret = watchers;
        return 0;
}

const char *decision_watchers_vm(const struct decision_watchers *watchers) {
        return watchers->vm;
}

void decision_watchers_set_changed(
                struct decision_watchers *watchers, void (*changed)(void *userdata), void *userdata) {
        watchers->changed = changed;
        watchers->userdata = userdata;
}

void decision_watchers_close(struct decision_watchers *watchers, const char *reason) {
        rpc_watchers_close(&watchers->calls, reason);
        access_guard_listen(watchers->guard, NULL, false, NULL);
}

struct decision_watchers *decision_watchers_free(struct decision_watchers *watchers) {
        if (!watchers)
                return NULL;
        decision_watchers_close(watchers, "this daemon is stopping");
        free(watchers->vm);
        free(watchers);
        return NULL;
}
