/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands below /proc, and a sample of the processes of this machine. */
#include "proc-scan.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

/* ---- texts ---- */

#define REST                                                                                                \
        " S 1 1235 1235 0 -1 4194560 5 0 0 0 17 23 0 0 20 0 1 0 987654321 12345 678 18446744073709551615 "  \
        "1 1 0 0 0 0\n"

Test(proc, a_process) {
        struct proc_process process;

        cr_assert_eq(proc_read_process("1234 (cat)" REST, &process), 0);
        cr_assert_eq(process.pid, 1234);
        cr_assert_str_eq(process.name, "cat");
        cr_assert_eq(process.state, 'S');
        cr_assert_eq(process.user, 17);
        cr_assert_eq(process.system, 23);
        cr_assert_eq(process.start, 987654321);
        cr_assert_eq(process.resident, 678);
}

/* It has chosen the name so that it looks like the rest of the line. */
Test(proc, a_process_with_an_odd_name) {
        struct proc_process process;

        cr_assert_eq(proc_read_process("7 (a) R 1 (b)" REST, &process), 0);
        cr_assert_str_eq(process.name, "a) R 1 (b");
        cr_assert_eq(process.state, 'S');
        cr_assert_eq(proc_read_process("7 ()" REST, &process), 0);
        cr_assert_str_eq(process.name, "");
        cr_assert_eq(proc_read_process("7 (kworker/u16:3-events_unbound)" REST, &process), 0);
        cr_assert_str_eq(process.name, "kworker/u16:3-e");
        cr_assert_eq(process.resident, 678);
}

Test(proc, no_process) {
        static const char *const texts[] = { "", "\n", "x", "1", "1 (", "1 cat)", "1 (cat", "1 )cat(" REST,
                "(cat)" REST, "-1 (cat)" REST, "99999999999 (cat)" REST, "1 (cat)", "1 (cat) S",
                "1 (cat) S 1 2 3 4 5 6 7 8 9 10 11",
                "1 (cat) S 1 2 3 4 5 6 7 8 9 10 x 12 13 14 15 16 17 18 19 20",
                "1 (cat) S 1 2 3 4 5 6 7 8 9 10 99999999999999999999 12 13 14 15 16 17 18 19 20" };
        struct proc_process process;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                cr_assert_eq(proc_read_process(texts[i], &process), -EBADMSG, "\"%s\"", texts[i]);
}

/* Read in part only, as a line longer than the buffer would be. */
Test(proc, every_part_of_a_process) {
        static const char whole[] = "1234 (cat)" REST;
        struct proc_process process;

        for (size_t n = 0; n < sizeof(whole); n++) {
                char *part = strndup(whole, n);

                (void) proc_read_process(part, &process);
                free(part);
        }
}

Test(proc, ticks) {
        struct proc_ticks ticks;

        cr_assert_eq(proc_read_ticks("cpu  100 20 30 400 50 6 7 8 90 1\ncpu0 1 2 3\n", &ticks), 0);
        cr_assert_eq(ticks.user, 120);
        cr_assert_eq(ticks.system, 43);
        cr_assert_eq(ticks.total, 621, "what guests use is in user and nice");
        cr_assert_eq(proc_read_ticks("cpu  1 2 3 4 5 6 7", &ticks), -EBADMSG);
        cr_assert_eq(proc_read_ticks("intr 1", &ticks), -EBADMSG);
        cr_assert_eq(proc_read_ticks("", &ticks), -EBADMSG);
}

Test(proc, memory) {
        struct proc_memory memory;

        cr_assert_eq(proc_read_memory("MemTotal:       2048 kB\nMemFree:  1024 kB\nMemAvailable: 1536 kB\n"
                                      "SwapCached: 7 kB\nCached: 3 kB\nHugePages_Total: 9\n",
                                     &memory),
                        0);
        cr_assert_eq(memory.total, 2048 * 1024);
        cr_assert_eq(memory.free, 1024 * 1024);
        cr_assert_eq(memory.available, 1536 * 1024);
        cr_assert_eq(memory.cached, 3 * 1024);
        cr_assert_eq(proc_read_memory("", &memory), -EBADMSG);
        cr_assert_eq(proc_read_memory("\n\n\n", &memory), -EBADMSG);
        cr_assert_eq(proc_read_memory("MemTotal: many\n", &memory), -EBADMSG);
        cr_assert_eq(proc_read_memory("MemTotal: 5 kB", &memory), 0);
}

Test(proc, load) {
        float load[3];

        cr_assert_eq(proc_read_load("0.25 12.50 3.07 1/234 5678\n", load), 0);
        cr_assert_float_eq(load[0], 0.25f, 1e-6);
        cr_assert_float_eq(load[1], 12.5f, 1e-6);
        cr_assert_float_eq(load[2], 3.07f, 1e-6);
        cr_assert_eq(proc_read_load("0.25 12.50", load), -EBADMSG);
        cr_assert_eq(proc_read_load("0,25 1 1", load), -EBADMSG);
        cr_assert_eq(proc_read_load("0. 0. 0.", load), -EBADMSG);
        cr_assert_eq(proc_read_load("0.1234567 0.1 0.1", load), -EBADMSG);
}

/* ---- samples ---- */

static void keep(struct proc_sample *sample, int error, void *userdata) {
        struct proc_sample **ret = userdata;

        cr_assert_eq(error, 0);
        *ret = sample;
}

static struct proc_sample *take(sd_event *event) {
        struct proc_sample *sample = NULL;
        struct proc_scan *scan;

        cr_assert_eq(proc_scan_new(&scan, event, keep, &sample), 0);
        while (!sample)
                cr_assert_geq(sd_event_run(event, UINT64_MAX), 0);
        proc_scan_free(scan);
        return sample;
}

static const struct proc_sample_process *find(const struct proc_sample *sample, pid_t pid) {
        for (size_t i = 0; i < sample->n_processes; i++)
                if (sample->processes[i].pid == (uint32_t) pid)
                        return &sample->processes[i];
        return NULL;
}

Test(proc, a_sample_has_this_process, .timeout = 20) {
        struct proc_sample *first, *second;
        const struct proc_sample_process *process;
        sd_event *event;

        cr_assert_geq(sd_event_new(&event), 0);
        first = take(event);
        second = take(event);
        process = find(second, getpid());
        cr_assert_not_null(process);
        cr_assert_gt(process->resident, 100);
        cr_assert_geq(second->total, second->n_processes);
        cr_assert_geq(second->running, 1);
        cr_assert_gt(second->ticks.total, 0);
        cr_assert_eq(proc_sample_find(first, process), find(first, getpid()));
        for (size_t i = 1; i < second->n_processes; i++)
                cr_assert_lt(second->processes[i - 1].pid, second->processes[i].pid);
        proc_sample_unref(first);
        proc_sample_unref(second);
        sd_event_unref(event);
}

/* A PID may have been another process's before. */
Test(proc, another_process_of_the_same_pid_is_another) {
        struct proc_sample_process one = { .pid = 5, .start = 100 }, other = { .pid = 5, .start = 101 };
        struct proc_sample sample = { .n_ref = 1, .processes = &one, .n_processes = 1 }, none = {};

        cr_assert_eq(proc_sample_find(&sample, &one), &one);
        cr_assert_null(proc_sample_find(&sample, &other));
        cr_assert_null(proc_sample_find(&none, &one));
}

Test(proc, a_scan_may_be_given_up) {
        struct proc_sample *sample = NULL;
        struct proc_scan *scan;
        sd_event *event;

        cr_assert_geq(sd_event_new(&event), 0);
        cr_assert_eq(proc_scan_new(&scan, event, keep, &sample), 0);
        proc_scan_free(scan);
        cr_assert_eq(sd_event_run(event, 0), 0);
        cr_assert_null(sample);
        sd_event_unref(event);
}
