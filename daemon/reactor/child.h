/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A child process, watched by its pidfd: no signal handler, no race with a recycled PID. It leads a process
 * group of its own, starts with every signal at its default and none blocked, and inherits no descriptor but
 * the three given.
 */

#include "spawn-program.h"

#include <systemd/sd-event.h>

struct child;

/*
 * It has exited: code is CLD_EXITED (status: what it returned), CLD_KILLED or CLD_DUMPED (status: the
 * signal). Told once. Its descendants may still hold the pipes. The child may be freed in here.
 */
typedef void (*child_exited_t)(struct child *child, int code, int status, void *userdata);

/*
 * Starts it. SIGCHLD must be blocked (reactor_new() has done that). Returns 0, or why it could not be
 * started: -ENOENT, -EACCES, -ENOEXEC, … of the program or the directory.
 */
int child_new(struct child **ret, sd_event *event, const struct child_spec *spec, child_exited_t exited,
                void *userdata);
/* If it is still running, it and its process group get SIGKILL; the loop reaps it, and nobody is told. */
struct child *child_free(struct child *child);
DEFINE_CLEANUP(struct child, child_free)

pid_t child_pid(const struct child *child);
/* Sends a signal to the process. -ESRCH: it has exited. -EINVAL: no such signal. */
int child_kill(struct child *child, int number);
