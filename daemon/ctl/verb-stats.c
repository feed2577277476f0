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

static json_t *processes_json(Stats__ProcessStat *const *processes, size_t n) {
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(list,
                                json_pack("{s:o*,s:f,s:f,s:I}", "name", output_text_json(processes[i]->name),
                                                "user", processes[i]->user, "sys", processes[i]->sys,
                                                "res_set_size", (json_int_t) processes[i]->ressetsize));
        return list;
}

static json_t *stats_json(const char *vm, const Stats__StatsResponse *stats) {
        const Stats__MemoryStats *memory = stats->memory;
        const Stats__LoadStats *load = stats->load;
        const Stats__ProcessStats *process = stats->process;

        return json_pack("{s:s,s:{s:I,s:I,s:I,s:I},s:[f,f,f],s:{s:I,s:I,s:o,s:o}}", "vm", vm, "memory",
                        "total", (json_int_t) memory->total, "free", (json_int_t) memory->free, "available",
                        (json_int_t) memory->available, "cached", (json_int_t) memory->cached, "load",
                        load->load1min, load->load5min, load->load15min, "process", "total",
                        (json_int_t) process->total, "running", (json_int_t) process->running,
                        "cpu_processes", processes_json(process->cpuprocesses, process->n_cpuprocesses),
                        "mem_processes", processes_json(process->memprocesses, process->n_memprocesses));
}

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

        if (!stats->memory || !stats->load || !stats->process) {
                complain("the agent of %s has told nothing of its load", vm);
                return EXIT_FAILED;
        }
        if (session->options->json)
                r = output_json(stdout, stats_json(vm, stats));
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
