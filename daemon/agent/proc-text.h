/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the kernel writes below /proc (proc(5)), read. A process chooses its own name, so any byte may stand
 * there.
 */

#include "util.h"

/* The kernel's TASK_COMM_LEN, with the NUL; the name of a kernel thread may be longer, and is cut. */
#define PROC_NAME_MAX 16

/* /proc/PID/stat */
struct proc_process {
        uint32_t pid;
        char name[PROC_NAME_MAX]; /* any bytes but NUL */
        char state;               /* 'R': runs */
        uint64_t user, system;    /* ticks since its start */
        uint64_t start;           /* when it was started, in ticks since boot */
        uint64_t resident;        /* pages */
};

/* The first line of /proc/stat: what all processors together did since boot, in ticks. */
struct proc_ticks {
        uint64_t user, system, total;
};

/* /proc/meminfo, in bytes; 0 where it does not say. */
struct proc_memory {
        uint64_t total, free, available, cached;
};

/* They return 0, or -EBADMSG for what does not look as the kernel writes it. Texts end in a NUL. */
int proc_read_process(const char *text, struct proc_process *ret);
int proc_read_ticks(const char *text, struct proc_ticks *ret);
int proc_read_memory(const char *text, struct proc_memory *ret);
/* The averages of the last 1, 5 and 15 minutes. */
int proc_read_load(const char *text, float ret[static 3]);
