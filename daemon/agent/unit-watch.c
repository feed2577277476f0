/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-watch.h"
#include "application-instances.h"
#include "arena.h"
#include "call.h"
#include "log.h"
#include "unit-message.h"

/*
 * What may wait for a reader: its first states and some hundreds of changes, at 200 to 300 bytes each. Who
 * has fallen behind that far has the present states sooner by opening another stream.
 */
#define WATCH_QUEUE_MAX (512 * 1024)

/* One stream; in its call's arena, as is the request. */
struct watcher {
        struct list watchers;
        struct rpc_call *call;
        const Systemd__WatchUnitsRequest *request;
};

static bool watcher_wants(const struct watcher *watcher, const char *name) {
        if (watcher->request->n_unitnames == 0)
                return true;
        for (size_t i = 0; i < watcher->request->n_unitnames; i++)
                if (streq(watcher->request->unitnames[i], name))
                        return true;
        return false;
}

/* Takes it out first: the call's memory, in which the watcher is, goes with the call. */
static void watcher_fail(struct watcher *watcher, enum rpc_code code, const char *text) {
        list_remove(&watcher->watchers);
        rpc_call_fail(watcher->call, code, "%s", text);
}

static void watcher_overrun(struct watcher *watcher) {
        const struct log_fields fields = {
                .method = rpc_call_path(watcher->call) + 1,
                .peer = rpc_call_peer(watcher->call)->name,
                .status = rpc_code_name(RPC_RESOURCE_EXHAUSTED),
        };

        rpc_call_log(watcher->call, LOG_NOTICE, &fields,
                        "%s reads too slowly the changes of units that it watches, cut off.", fields.peer);
        watcher_fail(watcher, RPC_RESOURCE_EXHAUSTED, "too slow a reader: changes were lost, watch again");
}

/* Sends one state. False: the watcher has ended, and is no more. */
static bool watcher_send(
                struct watcher *watcher, const struct whitelist_unit *unit, const struct unit_state *state) {
        Systemd__UnitStatus status;

        unit_message_fill(&status, unit, state);
        if (rpc_call_queued(watcher->call) > WATCH_QUEUE_MAX ||
                        rpc_call_send(watcher->call, &status.base) < 0) {
                watcher_overrun(watcher);
                return false;
        }
        return true;
}

static void watcher_gone(_unused_ struct rpc_call *call, void *userdata) {
        struct watcher *watcher = userdata;

        list_remove(&watcher->watchers);
}

/* States that are not known yet come as the first change. */
static bool send_present_of(
                struct manager *manager, struct watcher *watcher, const struct whitelist_unit *unit) {
        const struct unit_state *state;

        if (!watcher_wants(watcher, unit->name))
                return true;
        state = units_get(manager->units, unit->target);
        return !state || watcher_send(watcher, unit, state);
}

static void send_present(struct manager *manager, struct watcher *watcher) {
        struct application_instance *instance;

        for (size_t i = 0; i < manager->whitelist.n_units; i++)
                if (!send_present_of(manager, watcher, &manager->whitelist.units[i]))
                        return;
        LIST_FOREACH(instance, &manager->instances, instances)
                if (instance->shown && instance->up && !send_present_of(manager, watcher, &instance->unit))
                        return;
}

/* Whether all that is asked for may be seen; else the call has ended. */
static bool may_watch(
                struct manager *manager, struct rpc_call *call, const Systemd__WatchUnitsRequest *request) {
        size_t most = manager->whitelist.n_units + APPLICATION_INSTANCES_MAX;

        /* More names than there can be units are repetitions, or wrong. */
        if (request->n_unitnames > most) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT,
                                "asks for %zu units, of which there are at most %zu", request->n_unitnames,
                                most);
                return false;
        }
        for (size_t i = 0; i < request->n_unitnames; i++)
                if (!manager_find_unit(manager, call, request->unitnames[i])) {
                        rpc_call_fail(call, RPC_PERMISSION_DENIED,
                                        "cannot watch unit: unit is not whitelisted");
                        return false;
                }
        return true;
}

static void watch_units(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct rpc_call_ops ops = { .gone = watcher_gone };
        const Systemd__WatchUnitsRequest *request = (const Systemd__WatchUnitsRequest *) message;
        struct manager *manager = userdata;
        struct watcher *watcher;

        if (!may_watch(manager, call, request))
                return;
        watcher = arena_alloc0(rpc_call_arena(call), sizeof(*watcher));
        if (!watcher) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        watcher->call = call;
        watcher->request = request;
        list_append(&manager->watchers, &watcher->watchers);
        rpc_call_set_ops(call, &ops, watcher);
        send_present(manager, watcher);
}

void unit_watch_tell(
                struct manager *manager, const struct whitelist_unit *unit, const struct unit_state *state) {
        struct watcher *watcher, *next;

        LIST_FOREACH_SAFE(watcher, next, &manager->watchers, watchers)
                if (watcher_wants(watcher, unit->name))
                        watcher_send(watcher, unit, state);
}

static bool is_permitted(struct manager *manager, const struct watcher *watcher) {
        for (size_t i = 0; i < watcher->request->n_unitnames; i++)
                if (!manager_shows(manager, watcher->request->unitnames[i]))
                        return false;
        return true;
}

void unit_watch_check(struct manager *manager) {
        struct watcher *watcher, *next;

        LIST_FOREACH_SAFE(watcher, next, &manager->watchers, watchers)
                if (!is_permitted(manager, watcher))
                        watcher_fail(watcher, RPC_PERMISSION_DENIED,
                                        "cannot watch unit: unit is not whitelisted any more");
}

void unit_watch_stop(struct manager *manager) {
        struct watcher *watcher, *next;

        LIST_FOREACH_SAFE(watcher, next, &manager->watchers, watchers)
                watcher_fail(watcher, RPC_UNAVAILABLE, "the agent is stopping");
}

static const struct rpc_method methods[] = {
        { .name = "WatchUnits", .handle = watch_units, .streams_response = true, .charges = QUOTA_WATCHERS },
};

const struct rpc_service unit_watch_service = {
        .descriptor = &systemd__unit_watch_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
