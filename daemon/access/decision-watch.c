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
        const struct decision_fleet_ops *fleet; /* NULL: we tell of ourselves alone */
        void *fleet_userdata;
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

static bool wants_kind(const struct rpc_watcher *watcher, Access__Untold__Told kind) {
        switch (kind) {
        case ACCESS__UNTOLD__TOLD__DECISIONS:
                return true;
        case ACCESS__UNTOLD__TOLD__PERMITS:
                return wish(watcher)->permits;
        case ACCESS__UNTOLD__TOLD__REFUSALS:
                return wish(watcher)->refusals;
        default:
                return false; /* of an agent's that is newer */
        }
}

static bool wants(const struct rpc_watcher *watcher, const Access__WatchDecisionsItem *item) {
        switch (item->item_case) {
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_SOURCE:
                return wants_vm(watcher, item->source->vmname);
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_DECISION:
                return wants_vm(watcher, item->decision->vmname) &&
                                (!item->decision->allowed || wish(watcher)->permits);
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_REFUSAL:
                return wants_vm(watcher, item->refusal->vmname) && wish(watcher)->refusals;
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_UNTOLD:
                return wants_vm(watcher, item->untold->vmname) && wants_kind(watcher, item->untold->kind);
        default:
                return false;
        }
}

/* ---- telling ---- */

/* False: it is no more. */
static bool tell(struct rpc_watcher *watcher, const Access__WatchDecisionsItem *item) {
        return !wants(watcher, item) || rpc_watcher_send(watcher, &item->base);
}

static void tell_all(struct decision_watchers *watchers, const Access__WatchDecisionsItem *item) {
        struct rpc_watcher *watcher, *next;

        LIST_FOREACH_SAFE(watcher, next, &watchers->calls.list, list)
                tell(watcher, item);
}

void decision_watchers_tell(struct decision_watchers *watchers, const char *vm, const char *daemon,
                Access__WatchDecisionsItem *item) {
        switch (item->item_case) {
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_DECISION:
                item->decision->vmname = (char *) vm;
                item->decision->daemon = (char *) daemon;
                break;
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_REFUSAL:
                item->refusal->vmname = (char *) vm;
                item->refusal->daemon = (char *) daemon;
                break;
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_UNTOLD:
                item->untold->vmname = (char *) vm;
                item->untold->daemon = (char *) daemon;
                break;
        default:
                return;
        }
        tell_all(watchers, item);
}

static Access__WatchDecisionsItem source_item(Access__DecisionSource *source) {
        Access__WatchDecisionsItem item = ACCESS__WATCH_DECISIONS_ITEM__INIT;

        item.item_case = ACCESS__WATCH_DECISIONS_ITEM__ITEM_SOURCE;
        item.source = source;
        return item;
}

bool decision_watcher_tell_source(struct rpc_watcher *watcher, Access__DecisionSource *source) {
        const Access__WatchDecisionsItem item = source_item(source);

        return tell(watcher, &item);
}

void decision_watchers_tell_source(struct decision_watchers *watchers, Access__DecisionSource *source) {
        const Access__WatchDecisionsItem item = source_item(source);

        tell_all(watchers, &item);
}

/* ---- our own ---- */

static void on_told(Access__WatchDecisionsItem *item, void *userdata) {
        struct decision_watchers *watchers = userdata;

        decision_watchers_tell(watchers, watchers->vm, watchers->daemon, item);
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

        access_guard_listen(watchers->guard, wanted ? on_told : NULL, permits, watchers);
}

/* ---- watchers ---- */

static void calls_gone(struct rpc_watchers *calls) {
        struct decision_watchers *watchers = container_of(calls, struct decision_watchers, calls);

        listen_as_wanted(watchers);
        if (watchers->fleet)
                watchers->fleet->left(watchers->fleet_userdata);
}

/* Whether what is asked for can be told here; else the call has ended. */
static bool can_tell(const struct decision_watchers *watchers, struct rpc_call *call,
                const Access__WatchDecisionsRequest *request) {
        if (!watchers->fleet && !request->refusals && !access_is_controlled(call, watchers->guard))
                return false;
        if (isempty(request->vmname) || streq(request->vmname, watchers->vm))
                return true;
        if (watchers->fleet)
                return watchers->fleet->knows(call, request->vmname, watchers->fleet_userdata);
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, "VmName is another's: this is the agent of %s",
                        watchers->vm);
        return false;
}

/* ---- the service ---- */

static void decide(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const struct decision_watchers *watchers = userdata;

        access_decide(call, message, watchers->guard);
}

static void watch_decisions(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct decision_watchers *watchers = userdata;
        struct rpc_watcher *watcher;

        if (!can_tell(watchers, call, (const Access__WatchDecisionsRequest *) message))
                return;
        watcher = rpc_watchers_add(&watchers->calls, call, (void *) message);
        if (!watcher || !tell_ourselves(watchers, watcher))
                return;
        listen_as_wanted(watchers);
        if (watchers->fleet)
                watchers->fleet->added(watcher, watchers->fleet_userdata);
}

static const struct rpc_method methods[] = {
        { .name = "Decide", .handle = decide },
        { .name = "WatchDecisions",
                        .handle = watch_decisions,
                        .streams_response = true,
                        .charges = QUOTA_WATCHERS },
};

const struct rpc_service access_service = {
        .descriptor = &access__access_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};

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

void decision_watchers_set_fleet(
                struct decision_watchers *watchers, const struct decision_fleet_ops *ops, void *userdata) {
        watchers->fleet = ops;
        watchers->fleet_userdata = userdata;
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
