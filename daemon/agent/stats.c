/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats.h"
#include "arena.h"
#include "call.h"
#include "list.h"
#include "proc-scan.h"
#include "sysinfo.h"
#include "text.h"

#include "stats.pb-c.h"

/* A sample is as good as a new one for so long: whoever asks faster does not make us read /proc faster. */
#define FRESH_USEC (100 * USEC_PER_MSEC)
/* Callers whose previous call is remembered: the admin, and who else looks at this machine. Each keeps two
 * samples, of 40 bytes for each process. */
#define CALLERS_MAX 16
/* How many of the busiest, and of the largest, are told. */
#define TOP_MAX 5

/* Samples are shared and never changed: what one caller asks for takes nothing from another. */
struct caller {
        char *name; /* NULL: free */
        struct proc_sample *previous, *latest;
        uint64_t used_usec; /* CLOCK_MONOTONIC */
};

struct stats {
        sd_event *event;
        struct proc_scan *scan; /* NULL: none is under way */
        struct proc_sample *latest;
        struct caller callers[CALLERS_MAX];
        struct list waiting; /* as many as may look (manager.c) */
};

/* A call that waits for a sample; in its arena. */
struct waiter {
        struct list waiting;
        struct rpc_call *call;
};

/* ---- what a caller had before ---- */

static void caller_clear(struct caller *caller) {
        free(caller->name);
        proc_sample_unref(caller->previous);
        proc_sample_unref(caller->latest);
        *caller = (struct caller){};
}

/* The caller of that name, else the slot of whoever has been away longest. NULL: ENOMEM. */
static struct caller *find_caller(struct stats *stats, const char *name) {
        struct caller *oldest = &stats->callers[0];
        char *copy;

        for (size_t i = 0; i < CALLERS_MAX; i++) {
                struct caller *caller = &stats->callers[i];

                if (caller->name && streq(caller->name, name))
                        return caller;
                if (caller->used_usec < oldest->used_usec)
                        oldest = caller;
        }
        copy = strdup(name);
        if (!copy)
                return NULL;
        caller_clear(oldest);
        oldest->name = copy;
        return oldest;
}

static void caller_take(struct caller *caller, struct proc_sample *sample) {
        caller->used_usec = now_usec(CLOCK_MONOTONIC);
        if (caller->latest == sample)
                return;
        proc_sample_unref(caller->previous);
        caller->previous = caller->latest;
        caller->latest = proc_sample_ref(sample);
}

/* ---- the answer ---- */

struct ranked {
        const struct proc_sample_process *process;
        uint64_t rank;
        uint32_t user, system; /* ticks */
};

struct top {
        struct ranked ranked[TOP_MAX]; /* highest first */
        size_t n;
};

static void top_add(struct top *top, const struct ranked *candidate) {
        size_t at = top->n;

        while (at > 0 && top->ranked[at - 1].rank < candidate->rank)
                at--;
        if (candidate->rank == 0 || at == TOP_MAX)
                return;
        top->n = MIN(top->n + 1, (size_t) TOP_MAX);
        memmove(&top->ranked[at + 1], &top->ranked[at], (top->n - at - 1) * sizeof(*candidate));
        top->ranked[at] = *candidate;
}

/* What it has used since; all that it has, where it is younger. */
static struct ranked rank(const struct proc_sample_process *process, const struct proc_sample *previous) {
        const struct proc_sample_process *before = previous ? proc_sample_find(previous, process) : NULL;

        if (!previous)
                return (struct ranked){ .process = process };
        return (struct ranked){
                .process = process,
                .user = process->user - (before ? before->user : 0),
                .system = process->system - (before ? before->system : 0),
        };
}

static void find_tops(const struct caller *caller, struct top *busiest, struct top *largest) {
        const struct proc_sample *sample = caller->latest;

        for (size_t i = 0; i < sample->n_processes; i++) {
                struct ranked ranked = rank(&sample->processes[i], caller->previous);

                ranked.rank = (uint64_t) ranked.user + ranked.system;
                top_add(busiest, &ranked);
                ranked.rank = sample->processes[i].resident;
                top_add(largest, &ranked);
        }
}

/* A process calls itself what it likes; on the wire it must be UTF-8. */
static char *process_name(struct arena *arena, const char *name) {
        _cleanup_(freep) char *escaped = NULL;

        if (text_is_utf8(name, strlen(name)))
                return arena_strdup(arena, name);
        escaped = text_escape(name, strlen(name), PROC_NAME_MAX);
        return escaped ? arena_strdup(arena, escaped) : NULL;
}

/* total: ticks of all processors in that time. */
static int fill_processes(
                struct arena *arena, const struct top *top, uint64_t total, Stats__ProcessStat ***ret) {
        Stats__ProcessStat *stats = arena_alloc(arena, TOP_MAX * sizeof(*stats)),
                           **list = arena_alloc(arena, TOP_MAX * sizeof(*list));
        float percent = total > 0 ? 100.0f / (float) total : 0;

        if (!stats || !list)
                return -ENOMEM;
        for (size_t i = 0; i < top->n; i++) {
                const struct ranked *ranked = &top->ranked[i];

                stats[i] = (Stats__ProcessStat) STATS__PROCESS_STAT__INIT;
                stats[i].name = process_name(arena, ranked->process->name);
                stats[i].user = (float) ranked->user * percent;
                stats[i].sys = (float) ranked->system * percent;
                stats[i].ressetsize = ranked->process->resident;
                list[i] = &stats[i];
                if (!stats[i].name)
                        return -ENOMEM;
        }
        *ret = list;
        return 0;
}

static int reply(struct rpc_call *call, const struct caller *caller) {
        const struct proc_sample *sample = caller->latest, *previous = caller->previous;
        uint64_t total = previous ? sample->ticks.total - previous->ticks.total : 0;
        Stats__StatsResponse response = STATS__STATS_RESPONSE__INIT;
        Stats__ProcessStats processes = STATS__PROCESS_STATS__INIT;
        Stats__MemoryStats memory = STATS__MEMORY_STATS__INIT;
        struct arena *arena = rpc_call_arena(call);
        Stats__LoadStats load = STATS__LOAD_STATS__INIT;
        struct top busiest = {}, largest = {};

        find_tops(caller, &busiest, &largest);
        if (fill_processes(arena, &busiest, total, &processes.cpuprocesses) < 0 ||
                        fill_processes(arena, &largest, total, &processes.memprocesses) < 0)
                return -ENOMEM;
        processes.n_cpuprocesses = busiest.n;
        processes.n_memprocesses = largest.n;
        processes.total = sample->total;
        processes.running = sample->running;
        processes.usercycles = sample->ticks.user;
        processes.syscycles = sample->ticks.system;
        processes.totalcycles = sample->ticks.total;
        memory.total = sample->memory.total;
        memory.free = sample->memory.free;
        memory.available = sample->memory.available;
        memory.cached = sample->memory.cached;
        load.load1min = sample->load[0];
        load.load5min = sample->load[1];
        load.load15min = sample->load[2];
        response.memory = &memory;
        response.load = &load;
        response.process = &processes;
        rpc_call_reply(call, &response.base);
        return 0;
}

static void answer(struct stats *stats, struct rpc_call *call, struct proc_sample *sample) {
        struct caller *caller = find_caller(stats, rpc_call_peer(call)->name);

        if (caller)
                caller_take(caller, sample);
        if (!caller || reply(call, caller) < 0)
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- waiting for a sample ---- */

static void waiter_gone(_unused_ struct rpc_call *call, void *userdata) {
        struct waiter *waiter = userdata;

        list_remove(&waiter->waiting);
}

static void scanned(struct proc_sample *sample, int error, void *userdata) {
        struct stats *stats = userdata;
        struct waiter *waiter;

        stats->scan = proc_scan_free(stats->scan);
        if (sample) {
                proc_sample_unref(stats->latest);
                stats->latest = sample;
        }
        while ((waiter = LIST_FIRST(&stats->waiting, struct waiter, waiting))) {
                list_remove(&waiter->waiting);
                if (sample)
                        answer(stats, waiter->call, sample);
                else
                        rpc_call_fail(waiter->call, RPC_INTERNAL, "cannot read /proc: %s", strerror(-error));
        }
}

static int wait_for_sample(struct stats *stats, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .gone = waiter_gone };
        struct waiter *waiter;
        int r;

        waiter = arena_alloc0(rpc_call_arena(call), sizeof(*waiter));
        if (!waiter)
                return -ENOMEM;
        if (!stats->scan) {
                r = proc_scan_new(&stats->scan, stats->event, scanned, stats);
                if (r < 0)
                        return r;
        }
        waiter->call = call;
        list_append(&stats->waiting, &waiter->waiting);
        rpc_call_set_ops(call, &ops, waiter);
        return 0;
}

static void get_stats(struct rpc_call *call, _unused_ const ProtobufCMessage *message, void *userdata) {
        struct stats *stats = userdata;
        int r;

        if (stats->latest && now_usec(CLOCK_MONOTONIC) - stats->latest->begin_usec < FRESH_USEC) {
                answer(stats, call, stats->latest);
                return;
        }
        r = wait_for_sample(stats, call);
        if (r < 0)
                rpc_call_fail(call, RPC_INTERNAL, "cannot read /proc: %s", strerror(-r));
}

static void get_sysinfo(struct rpc_call *call, _unused_ const ProtobufCMessage *message, void *userdata) {
        struct stats *stats = userdata;

        sysinfo_answer(call, stats->event);
}

static const struct rpc_method methods[] = {
        { .name = "GetStats", .handle = get_stats, .charges = QUOTA_LOOKS },
        { .name = "GetSysinfo", .handle = get_sysinfo, .charges = QUOTA_COMMANDS },
};

const struct rpc_service stats_service = {
        .descriptor = &stats__stats_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};

/* ---- life ---- */

int stats_new(struct stats **ret, sd_event *event) {
        struct stats *stats;

        stats = calloc(1, sizeof(*stats));
        if (!stats)
                return -ENOMEM;
        stats->event = event;
        list_init(&stats->waiting);
        *ret = stats;
        return 0;
}

struct stats *stats_free(struct stats *stats) {
        if (!stats)
                return NULL;
        proc_scan_free(stats->scan);
        proc_sample_unref(stats->latest);
        for (size_t i = 0; i < CALLERS_MAX; i++)
                caller_clear(&stats->callers[i]);
        free(stats);
        return NULL;
}
