/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * All processes of the machine at one time, and what the machine itself says of its load. With thousands of
 * processes that takes longer than the loop may be held up: so it is read in slices.
 */

#include "proc-text.h"

#include <systemd/sd-event.h>

/* Processes that a sample holds; more than that are counted. */
#define PROC_SAMPLE_MAX 32768

struct proc_sample_process {
        uint64_t start; /* with the pid: which process it is, whoever had the pid before */
        uint32_t pid;
        uint32_t user, system; /* ticks since its start; they wrap around */
        uint32_t resident;     /* pages */
        char name[PROC_NAME_MAX];
};

/* Shared by whoever has a reference, and never changed once it was told. */
struct proc_sample {
        unsigned n_ref;
        uint64_t begin_usec; /* CLOCK_MONOTONIC */
        struct proc_ticks ticks;
        struct proc_memory memory;
        float load[3];
        size_t total, running;                 /* processes; those that use or wait for a processor */
        struct proc_sample_process *processes; /* by pid */
        size_t n_processes;
};

struct proc_sample *proc_sample_ref(struct proc_sample *sample);
/* Takes NULL, returns NULL. */
struct proc_sample *proc_sample_unref(struct proc_sample *sample);
/* The same process in another sample, or NULL. */
const struct proc_sample_process *proc_sample_find(
                const struct proc_sample *sample, const struct proc_sample_process *process);

struct proc_scan;

/* Told once: the sample is the caller's, who unrefs it; NULL and a negative errno if there is none. The scan
 * may be freed in here. */
typedef void (*proc_scanned_t)(struct proc_sample *sample, int error, void *userdata);

/* Begins to read. 0, or a negative errno. */
int proc_scan_new(struct proc_scan **ret, sd_event *event, proc_scanned_t scanned, void *userdata);
struct proc_scan *proc_scan_free(struct proc_scan *scan);
DEFINE_CLEANUP(struct proc_scan, proc_scan_free)
