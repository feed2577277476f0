/* SPDX-License-Identifier: GPL-2.0-or-later */
/* get-stats: memory, load and the busiest processes of VMs. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "unit-name.h"

#include <inttypes.h>

#define MIB (1024 * 1024)

static void print_processes(const char *label, Stats__ProcessStat *const *processes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                printf("%11s: ", i == 0 ? label : "");
                output_text(stdout, processes[i]->name);
                printf(" (user %.1f, system %.1f)\n", processes[i]->user, processes[i]->sys);
        }
}

static void print_stats(const char *vm, const Stats__StatsResponse *stats) {
        const Stats__MemoryStats *memory = stats->memory;
        const Stats__ProcessStats *process = stats->process;

        printf("%s\n", vm);
        printf("%11s: %" PRIu64 " MiB, %" PRIu64 " available\n", "Memory", memory->total / MIB,
                        memory->available / MIB);
        printf("%11s: %.2f %.2f %.2f\n", "Load", stats->load->load1min, stats->load->load5min,
                        stats->load->load15min);
        printf("%11s: %" PRIu64 ", %" PRIu64 " running\n", "Processes", process->total, process->running);
        print_processes("Busiest", process->cpuprocesses, process->n_cpuprocesses);
        print_processes("Largest", process->memprocesses, process->n_memprocesses);
}

static int show_stats(struct session *session, const ProtobufCMessage *response, const char *vm) {
        const Stats__StatsResponse *stats = (const Stats__StatsResponse *) response;
        int r = 0;

        if (!output_has_stats(stats)) {
                complain("the agent of %s has told nothing of its load", vm);
                return EXIT_FAILED;
        }
        if (session->options->json)
                r = output_json(stdout, output_stats_json(vm, stats));
        else if (session->options->compatible)
                output_deployed(stdout, &stats->base);
        else
                print_stats(vm, stats);
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

static int call(struct session *session, const char *vm) {
        Admin__StatsRequest message = ADMIN__STATS_REQUEST__INIT;
        _cleanup_(freep) char *what = text_printf("cannot show the load of %s", vm);
        const struct session_request request = {
                .service = &admin__admin_service__descriptor,
                .method = "GetStats",
                .message = &message.base,
                .what = what,
                .subject = vm,
                .show = show_stats,
        };

        message.vmname = (char *) vm;
        return what ? session_call(session, &request) : fail_errno(-ENOMEM, vm);
}

int verb_get_stats(struct session *session, const struct options *options) {
        int r = EXIT_DONE;

        for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                r = vm_name_check(options->arguments[i]);
        for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                r = call(session, options->arguments[i]);
        return r == EXIT_DONE ? session_run(session) : r;
}
