/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A command that runs as a service of its own, of the manager that we control: what confines the agent does
 * not confine it. Otherwise it is as a child is (child.h), which it outlives by nothing: when the runner is
 * freed, or the agent dies, the command is killed with all that it has started.
 */

#include "spawn-program.h"

#include <systemd/sd-event.h>

struct runner;
struct units;

/* One of the two last is told, once; the runner may be freed in any of them. */
struct runner_ops {
        void (*started)(struct runner *runner, pid_t pid, void *userdata);
        /* As child_exited_t. Before started: it never ran. */
        void (*exited)(struct runner *runner, int code, int status, void *userdata);
        /*
         * It could not be started: as spawn_program() says, or what systemd says of the service; or it is
         * not known how it ended (-ECONNRESET; -EBADMSG: nonsense was said of it).
         */
        void (*failed)(struct runner *runner, int error, const char *message, void *userdata);
};

/* description: of the service. Nothing given need last. 0 or a negative errno; whether it starts is told
 * later. */
int runner_new(struct runner **ret, struct units *units, sd_event *event, const char *description,
                const struct child_spec *spec, const struct runner_ops *ops, void *userdata);
struct runner *runner_free(struct runner *runner);
DEFINE_CLEANUP(struct runner, runner_free)

/* Also before it has started. -EINVAL: no such signal. */
int runner_kill(struct runner *runner, int number);
