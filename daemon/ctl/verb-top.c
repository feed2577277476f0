/* SPDX-License-Identifier: GPL-2.0-or-later */
/* top: the load of all VMs, measured by their agents, again and again. One that does not answer holds up
 * nobody. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "roster.h"
#include "session.h"
#include "text.h"
#include "timespan.h"

#include <inttypes.h>
#include <stdio.h>

#define INTERVAL_USEC (2 * USEC_PER_SEC)
/* The watch, and so many VMs: the admin asks 128 for one peer at once, and others may look in our name. */
#define AT_ONCE (1 + 64)
#define MIB     (1024 * 1024)

struct vm {
        struct vm *next;
        struct top *top;
        char *name;
        bool listed; /* in the registry, and its agent is online */
        bool asked;  /* a call is under way */
        bool answered;
        char *problem; /* why the last call has failed; NULL: it has not */
        double load, cpu;
        uint64_t memory, available, processes, running;
        char *busiest;
};

struct top {
        struct session *session;
        struct roster roster;
        struct vm *vms; /* by name */
        uint64_t interval_usec, rounds;
        sd_event_source *timer;
        bool drawn; /* this round */
        bool live;  /* drawn over itself, on a terminal */
};

static void vm_free(struct vm *vm) {
        free(vm->name);
        free(vm->problem);
        free(vm->busiest);
        free(vm);
}

/* ---- which VMs there are ---- */

static struct vm *find_vm(struct top *top, const char *name) {
        struct vm **at = &top->vms, *vm;

        while (*at && strcmp((*at)->name, name) < 0)
                at = &(*at)->next;
        if (*at && streq((*at)->name, name))
                return *at;
        vm = calloc(1, sizeof(*vm));
        if (!vm)
                return NULL;
        vm->top = top;
        vm->name = strdup(name);
        vm->next = *at;
        if (!vm->name) {
                vm_free(vm);
                return NULL;
        }
        return *at = vm;
}

/* Every agent is a VM's, or the host's. */
static void list_vms(struct top *top) {
        for (struct vm *vm = top->vms; vm; vm = vm->next)
                vm->listed = false;
        for (size_t i = 0; i < top->roster.n; i++) {
                const Admin__QueryListItem *item = top->roster.items[i];
                struct vm *vm;

                if (!streq(item->servicetype, "Mgr") || !item->vm_name_presence_case ||
                                (item->online_presence_case && !item->online))
                        continue;
                vm = find_vm(top, item->vmname);
                if (vm)
                        vm->listed = true;
        }
}

/* ---- what they say ---- */

static void take_stats(struct vm *vm, const struct rpc_status *status, const Stats__StatsResponse *stats) {
        const Stats__ProcessStat *first;

        vm->asked = false;
        free(vm->problem);
        vm->problem = NULL;
        if (status->code != RPC_OK || !stats || !output_has_stats(stats)) {
                vm->problem = strdup(status->code == RPC_OK ? "tells nothing of its load"
                                                            : strempty(status->message));
                return;
        }
        vm->answered = true;
        vm->load = (double) stats->load->load1min;
        vm->memory = stats->memory->total;
        vm->available = stats->memory->available;
        vm->processes = stats->process->total;
        vm->running = stats->process->running;
        first = stats->process->n_cpuprocesses > 0 ? stats->process->cpuprocesses[0] : NULL;
        free(vm->busiest);
        vm->busiest = first ? strdup(first->name) : NULL;
        vm->cpu = first ? (double) (first->user + first->sys) : 0;
}

static bool is_awaited(const struct top *top) {
        for (const struct vm *vm = top->vms; vm; vm = vm->next)
                if (vm->listed && vm->asked)
                        return true;
        return false;
}

/* ---- showing it ---- */

static const char *state_of(const struct vm *vm) {
        return vm->problem ?: vm->asked ? "does not answer" : "";
}

static json_t *vm_json(const struct vm *vm) {
        if (!vm->answered)
                return json_pack("{s:s,s:o}", "vm", vm->name, "error", output_text_json(state_of(vm)));
        return json_pack("{s:s,s:o,s:I,s:I,s:I,s:I,s:o*,s:o}", "vm", vm->name, "load",
                        output_real_json(vm->load), "memory", (json_int_t) vm->memory, "available",
                        (json_int_t) vm->available, "processes", (json_int_t) vm->processes, "running",
                        (json_int_t) vm->running, "busiest", output_text_json(strempty(vm->busiest)), "cpu",
                        output_real_json(vm->cpu));
}

static int print_json(const struct top *top) {
        int r = 0;

        for (const struct vm *vm = top->vms; vm && r >= 0; vm = vm->next)
                if (vm->listed)
                        r = output_json(stdout, vm_json(vm));
        return r;
}

#define COLUMNS 6

static int print_table(const struct top *top) {
        static const struct output_column heads[COLUMNS] = { { "VM", .is_cut = true }, { "LOAD", true },
                { "MEMORY", true, .terminal = 60 }, { "USED", true }, { "PROCESSES", true, .terminal = 60 },
                { "BUSIEST" } };
        _cleanup_(freep) char(*texts)[COLUMNS][64] = NULL;
        _cleanup_(freep) const char **cells = NULL;
        size_t n = 0, i = 0;

        for (const struct vm *vm = top->vms; vm; vm = vm->next)
                n += vm->listed;
        texts = calloc(n + 1, sizeof(*texts));
        cells = calloc(n * COLUMNS + 1, sizeof(*cells));
        if (!texts || !cells)
                return -ENOMEM;
        for (const struct vm *vm = top->vms; vm; vm = vm->next) {
                uint64_t used = vm->memory - MIN(vm->available, vm->memory);

                if (!vm->listed)
                        continue;
                if (vm->answered) {
                        (void) snprintf(texts[i][1], sizeof(texts[i][1]), "%.2f", vm->load);
                        (void) snprintf(texts[i][2], sizeof(texts[i][2]), "%" PRIu64 " MiB",
                                        vm->memory / MIB);
                        (void) snprintf(texts[i][3], sizeof(texts[i][3]), "%" PRIu64 " %%",
                                        vm->memory ? used * 100 / vm->memory : 0);
                        (void) snprintf(texts[i][4], sizeof(texts[i][4]), "%" PRIu64, vm->processes);
                        if (vm->busiest)
                                (void) snprintf(texts[i][5], sizeof(texts[i][5]), "%.40s (%.1f %%)",
                                                vm->busiest, vm->cpu);
                } else
                        (void) snprintf(texts[i][5], sizeof(texts[i][5]), "%s", state_of(vm));
                cells[i * COLUMNS] = vm->name;
                for (size_t k = 1; k < COLUMNS; k++)
                        cells[i * COLUMNS + k] = texts[i][k];
                i++;
        }
        return output_cells(stdout, heads, COLUMNS, cells, n);
}

/* ---- rounds ---- */

static int draw(struct top *top) {
        int r;

        if (top->live)
                fputs("\033[H\033[J", stdout);
        r = top->session->options->json ? print_json(top) : print_table(top);
        if (r < 0)
                return fail_errno(r, "cannot print");
        if (!top->live && !top->session->options->json && top->rounds > 1)
                putchar('\n');
        return session_flush(top->session) ? EXIT_DONE : EXIT_FAILED;
}

/* When all have answered, or time is over: who has not by then is shown so. */
static void end_round(struct top *top) {
        int r;

        if (top->drawn)
                return;
        r = draw(top);
        top->drawn = true;
        if (r == EXIT_DONE && top->rounds != UINT64_MAX)
                top->rounds--;
        if (r != EXIT_DONE || top->rounds == 0)
                session_end(top->session, r);
}

static int on_stats(struct session *session _unused_, const struct rpc_status *status,
                const ProtobufCMessage *response, void *userdata) {
        struct vm *vm = userdata;

        take_stats(vm, status, (const Stats__StatsResponse *) response);
        if (!is_awaited(vm->top))
                end_round(vm->top);
        return EXIT_DONE;
}

static int ask(struct top *top, struct vm *vm) {
        Admin__StatsRequest message = ADMIN__STATS_REQUEST__INIT;

        message.vmname = vm->name;
        vm->asked = true;
        vm->answered = false;
        return session_call(top->session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "GetStats",
                                        .message = &message.base,
                                        .what = vm->name,
                                        .done = on_stats,
                                        .userdata = vm,
                        });
}

/* Who has not answered is not asked again before it has. */
static int begin_round(struct top *top) {
        int r;

        list_vms(top);
        top->drawn = false;
        for (struct vm *vm = top->vms; vm; vm = vm->next) {
                if (!vm->listed || vm->asked)
                        continue;
                r = ask(top, vm);
                if (r != EXIT_DONE)
                        return r;
        }
        if (sd_event_source_set_time_relative(top->timer, top->interval_usec) < 0 ||
                        sd_event_source_set_enabled(top->timer, SD_EVENT_ONESHOT) < 0)
                return fail_errno(-ENOMEM, "timer");
        return EXIT_DONE;
}

static int on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        struct top *top = userdata;
        int r;

        end_round(top);
        if (top->rounds == 0)
                return 0;
        r = begin_round(top);
        if (r != EXIT_DONE)
                session_end(top->session, r);
        return 0;
}

/* The first round begins as soon as it is known whom to ask. */
static void on_told(struct session *session, const ProtobufCMessage *message, void *userdata) {
        const Admin__WatchItem *item = (const Admin__WatchItem *) message;
        struct top *top = userdata;
        int r = roster_keep(&top->roster, item);

        if (r < 0) {
                session_end(session, fail_errno(r, "cannot keep the list of entries"));
                return;
        }
        if (item->status_case != ADMIN__WATCH_ITEM__STATUS_INITIAL || top->timer)
                return;
        if (sd_event_add_time_relative(session->event, &top->timer, CLOCK_MONOTONIC, top->interval_usec, 0,
                            on_time, top) < 0)
                r = fail_errno(-ENOMEM, "timer");
        else
                r = begin_round(top);
        if (r != EXIT_DONE)
                session_end(session, r);
}

int verb_top(struct session *session, const struct options *options) {
        struct top top = {
                .session = session,
                .interval_usec = INTERVAL_USEC,
                .rounds = options->limit ?: UINT64_MAX,
                .live = isatty(STDOUT_FILENO) && !options->json,
        };
        int r;

        if (options->interval &&
                        (timespan_parse(options->interval, &top.interval_usec) < 0 ||
                                        top.interval_usec < 100 * USEC_PER_MSEC ||
                                        top.interval_usec == USEC_INFINITY))
                return fail_usage("--interval: '%s' is no span of time from 100ms on", options->interval);
        session->watches_output = true;
        session->at_once = AT_ONCE;
        r = session_watch(session, on_told, NULL, &top, true);
        if (r == EXIT_DONE)
                r = session_run(session);
        session_clear_calls(session);
        sd_event_source_disable_unref(top.timer);
        roster_clear(&top.roster);
        while (top.vms) {
                struct vm *next = top.vms->next;

                vm_free(top.vms);
                top.vms = next;
        }
        return r;
}
