/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc-scan.h"

#include "defer.h"
#include "text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

/* How long the loop may be held up at once. Some 100 processes can be read in it. */
#define SLICE_USEC (2 * USEC_PER_MSEC)
/* /proc/stat has a line for each processor, /proc/meminfo some fifty. */
#define FILE_BYTES_MAX (1024 * 1024)
/* What is asked for of /proc/PID/stat stands before this. */
#define STAT_BYTES 1024

struct proc_scan {
        sd_event_source *slice;
        DIR *directory;
        struct proc_sample *sample;
        size_t size; /* of sample->processes */
        proc_scanned_t scanned;
        void *userdata;
};

/* ---- samples ---- */

struct proc_sample *proc_sample_ref(struct proc_sample *sample) {
        sample->n_ref++;
        return sample;
}

struct proc_sample *proc_sample_unref(struct proc_sample *sample) {
        if (!sample || --sample->n_ref > 0)
                return NULL;
        free(sample->processes);
        free(sample);
        return NULL;
}

static int compare_pids(const void *a, const void *b) {
        const struct proc_sample_process *x = a, *y = b;

        return (x->pid > y->pid) - (x->pid < y->pid);
}

const struct proc_sample_process *proc_sample_find(
                const struct proc_sample *sample, const struct proc_sample_process *process) {
        const struct proc_sample_process *found;

        if (sample->n_processes == 0)
                return NULL;
        found = bsearch(process, sample->processes, sample->n_processes, sizeof(*process), compare_pids);
        return found && found->start == process->start ? found : NULL;
}

/* ---- the machine ---- */

static int read_machine(struct proc_sample *sample) {
        _cleanup_(freep) char *stat = NULL, *memory = NULL, *load = NULL;
        int r;

        r = text_read_file("/proc/stat", FILE_BYTES_MAX, &stat, NULL);
        if (r >= 0)
                r = proc_read_ticks(stat, &sample->ticks);
        if (r >= 0)
                r = text_read_file("/proc/meminfo", FILE_BYTES_MAX, &memory, NULL);
        if (r >= 0)
                r = proc_read_memory(memory, &sample->memory);
        if (r >= 0)
                r = text_read_file("/proc/loadavg", FILE_BYTES_MAX, &load, NULL);
        if (r >= 0)
                r = proc_read_load(load, sample->load);
        return r;
}

/* ---- the processes ---- */

static int add_process(struct proc_scan *scan, const struct proc_process *process) {
        struct proc_sample *sample = scan->sample;

        sample->total++;
        sample->running += process->state == 'R';
        if (sample->n_processes == PROC_SAMPLE_MAX)
                return 0;
        if (sample->n_processes == scan->size) {
                size_t size = MAX(scan->size * 2, (size_t) 64);
                struct proc_sample_process *grown = reallocarray(sample->processes, size, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                sample->processes = grown;
                scan->size = size;
        }
        sample->processes[sample->n_processes] = (struct proc_sample_process){
                .pid = process->pid,
                .start = process->start,
                .user = (uint32_t) process->user,
                .system = (uint32_t) process->system,
                .resident = (uint32_t) MIN(process->resident, UINT32_MAX),
        };
        memcpy(sample->processes[sample->n_processes].name, process->name, PROC_NAME_MAX);
        sample->n_processes++;
        return 0;
}

/* One that ends while we look is not there any more: that is no error. */
static int read_process(struct proc_scan *scan, const char *pid) {
        char path[NAME_MAX + sizeof("/stat")], text[STAT_BYTES + 1];
        _cleanup_(closep) int fd = -1;
        struct proc_process process;
        ssize_t n;

        snprintf(path, sizeof(path), "%s/stat", pid);
        fd = openat(dirfd(scan->directory), path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        n = read(fd, text, STAT_BYTES);
        if (n <= 0)
                return 0;
        text[n] = '\0';
        return proc_read_process(text, &process) < 0 ? 0 : add_process(scan, &process);
}

/* 1: that was the last. */
static int read_next(struct proc_scan *scan) {
        struct dirent *entry;

        errno = 0;
        entry = readdir(scan->directory);
        if (!entry)
                return errno > 0 ? -errno : 1;
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
                return 0;
        return read_process(scan, entry->d_name);
}

static void finish(struct proc_scan *scan, int error) {
        struct proc_sample *sample = TAKE_PTR(scan->sample);

        scan->slice = sd_event_source_disable_unref(scan->slice);
        if (error < 0)
                sample = proc_sample_unref(sample);
        else if (sample->n_processes > 0)
                qsort(sample->processes, sample->n_processes, sizeof(*sample->processes), compare_pids);
        scan->scanned(sample, error, scan->userdata);
}

static int on_slice(sd_event_source *source, void *userdata) {
        uint64_t end = now_usec(CLOCK_MONOTONIC) + SLICE_USEC;
        struct proc_scan *scan = userdata;
        int r;

        do
                r = read_next(scan);
        while (r == 0 && now_usec(CLOCK_MONOTONIC) < end);
        if (r != 0)
                finish(scan, MIN(r, 0));
        else
                defer_again(&scan->slice, on_slice);
        return 0;
}

/* ---- a scan's life ---- */

int proc_scan_new(struct proc_scan **ret, sd_event *event, proc_scanned_t scanned, void *userdata) {
        _cleanup_(proc_scan_freep) struct proc_scan *scan = NULL;
        int r;

        scan = calloc(1, sizeof(*scan));
        if (!scan)
                return -ENOMEM;
        scan->scanned = scanned;
        scan->userdata = userdata;
        scan->sample = calloc(1, sizeof(*scan->sample));
        if (!scan->sample)
                return -ENOMEM;
        scan->sample->n_ref = 1;
        scan->sample->begin_usec = now_usec(CLOCK_MONOTONIC);
        scan->directory = opendir("/proc");
        if (!scan->directory)
                return -errno;
        r = read_machine(scan->sample);
        if (r < 0)
                return r;
        r = sd_event_add_defer(event, &scan->slice, on_slice, scan);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(scan);
        return 0;
}

struct proc_scan *proc_scan_free(struct proc_scan *scan) {
        if (!scan)
                return NULL;
        sd_event_source_disable_unref(scan->slice);
        if (scan->directory)
                closedir(scan->directory);
        proc_sample_unref(scan->sample);
        free(scan);
        return NULL;
}
