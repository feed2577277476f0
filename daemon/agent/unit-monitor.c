/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-monitor.h"
#include "arena.h"
#include "call.h"
#include "unit-message.h"
#include "unit-usage.h"

#include <sys/sysinfo.h>

#define MONITOR_INTERVAL_USEC (1 * USEC_PER_SEC)
/* So that several streams, and other timers of this machine, wake it together. */
#define MONITOR_ACCURACY_USEC (50 * USEC_PER_MSEC)
/* A reader that is so far behind is spared samples: old ones are of no use to it. */
#define MONITOR_QUEUE_MAX (4 * 1024)

/* One stream; in its call's arena, as is the request. */
struct monitor {
        struct list monitors;
        struct manager *manager;
        struct rpc_call *call;
        const char *name;   /* as the peer calls the unit */
        const char *target; /* as systemd does */
        sd_event_source *timer;
        struct unit_usage_read *reading; /* NULL between two */
        struct unit_usage previous;
        uint64_t previous_usec; /* CLOCK_MONOTONIC; 0: there is none yet */
};

static void monitor_leave(struct monitor *monitor) {
        list_remove(&monitor->monitors);
        monitor->timer = sd_event_source_disable_unref(monitor->timer);
        monitor->reading = unit_usage_read_cancel(monitor->reading);
}

static void monitor_fail(struct monitor *monitor, enum rpc_code code, const char *text) {
        monitor_leave(monitor);
        rpc_call_fail(monitor->call, code, "cannot monitor unit: %s", text);
}

static void monitor_gone(_unused_ struct rpc_call *call, void *userdata) {
        monitor_leave(userdata);
}

/* Counters start again with each start of a unit, and are unknown while it has no control group. */
static double cpu_percent(const struct monitor *monitor, const struct unit_usage *usage, uint64_t now) {
        uint64_t spent_usec = now - monitor->previous_usec;

        if (usage->cpu_nsec == UNIT_USAGE_UNKNOWN || monitor->previous.cpu_nsec == UNIT_USAGE_UNKNOWN ||
                        usage->cpu_nsec < monitor->previous.cpu_nsec || spent_usec == 0)
                return 0;
        return (double) (usage->cpu_nsec - monitor->previous.cpu_nsec) / (double) NSEC_PER_USEC /
                        (double) spent_usec * 100;
}

static float memory_percent(const struct unit_usage *usage) {
        struct sysinfo info;

        if (usage->memory_bytes == UNIT_USAGE_UNKNOWN || sysinfo(&info) < 0 || info.totalram == 0)
                return 0;
        return (float) ((double) usage->memory_bytes / ((double) info.totalram * info.mem_unit) * 100);
}

static void on_usage(int error, const struct unit_usage *usage, void *userdata) {
        Systemd__UnitResourceResponse response = SYSTEMD__UNIT_RESOURCE_RESPONSE__INIT;
        struct monitor *monitor = userdata;
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        bool first = monitor->previous_usec == 0;

        monitor->reading = NULL;
        if (error < 0) {
                monitor_fail(monitor, unit_error_code(error), unit_error_text(error, NULL));
                return;
        }
        response.cpu_usage = first ? 0 : cpu_percent(monitor, usage, now);
        response.memory_usage = memory_percent(usage);
        monitor->previous = *usage;
        monitor->previous_usec = now;
        if (first || rpc_call_queued(monitor->call) > MONITOR_QUEUE_MAX)
                return;
        if (rpc_call_send(monitor->call, &response.base) < 0)
                monitor_fail(monitor, RPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* -EOPNOTSUPP: of a unit that has no processes by its kind. */
static int monitor_read(struct monitor *monitor) {
        return unit_usage_read(&monitor->reading, monitor->manager->bus, monitor->target, on_usage, monitor);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata) {
        struct monitor *monitor = userdata;
        int r;

        /* systemd is slower than that: this second's sample comes with the next one's. */
        if (!monitor->reading) {
                r = monitor_read(monitor);
                if (r < 0) {
                        monitor_fail(monitor, unit_error_code(r), unit_error_text(r, NULL));
                        return 0;
                }
        }
        (void) sd_event_source_set_time(timer, usec_add(usec, MONITOR_INTERVAL_USEC));
        (void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
        return 0;
}

static int monitor_start(struct monitor *monitor) {
        int r;

        r = sd_event_add_time_relative(reactor_event(monitor->manager->reactor), &monitor->timer,
                        CLOCK_MONOTONIC, MONITOR_INTERVAL_USEC, MONITOR_ACCURACY_USEC, on_timer, monitor);
        if (r < 0)
                return r;
        return monitor_read(monitor);
}

static struct monitor *monitor_new(
                struct manager *manager, struct rpc_call *call, const struct whitelist_unit *unit) {
        struct arena *arena = rpc_call_arena(call);
        struct monitor *monitor;

        monitor = arena_alloc0(arena, sizeof(*monitor));
        if (!monitor)
                return NULL;
        monitor->name = arena_strdup(arena, unit->name);
        monitor->target = arena_strdup(arena, unit->target);
        if (!monitor->name || !monitor->target)
                return NULL;
        monitor->manager = manager;
        monitor->call = call;
        list_append(&manager->monitors, &monitor->monitors);
        return monitor;
}

void unit_monitor_handle(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct rpc_call_ops ops = { .gone = monitor_gone };
        const Systemd__UnitResourceRequest *request = (const Systemd__UnitResourceRequest *) message;
        struct manager *manager = userdata;
        const struct whitelist_unit *unit;
        const struct unit_state *state;
        struct monitor *monitor;
        int r;

        unit = manager_find_unit(manager, call, request->unitname);
        if (!unit) {
                rpc_call_fail(call, RPC_PERMISSION_DENIED, "cannot monitor unit: unit is not whitelisted");
                return;
        }
        state = units_get(manager->units, unit->target);
        if (state && streq(state->load_state, "not-found")) {
                rpc_call_fail(call, RPC_NOT_FOUND, "cannot monitor unit: %s is not there", unit->name);
                return;
        }
        monitor = monitor_new(manager, call, unit);
        if (!monitor) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        rpc_call_set_ops(call, &ops, monitor);
        r = monitor_start(monitor);
        if (r < 0)
                monitor_fail(monitor, unit_error_code(r), unit_error_text(r, NULL));
}

void unit_monitor_check(struct manager *manager) {
        struct monitor *monitor, *next;

        LIST_FOREACH_SAFE(monitor, next, &manager->monitors, monitors)
                if (!manager_shows(manager, monitor->name))
                        monitor_fail(monitor, RPC_PERMISSION_DENIED, "unit is not whitelisted any more");
}

void unit_monitor_stop(struct manager *manager) {
        struct monitor *monitor, *next;

        LIST_FOREACH_SAFE(monitor, next, &manager->monitors, monitors)
                monitor_fail(monitor, RPC_UNAVAILABLE, "the agent is stopping");
}
