/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A program of this machine that is given some bytes and gives some back. Without a shell; bounded in what
 * it writes and in its time; killed, with all that it started, when it is freed.
 */

#include "util.h"

#include <systemd/sd-event.h>

struct command;
struct units;

struct command_spec {
        char *const *argv; /* NULL-terminated; the program is looked for in our PATH */
        const void *input; /* its standard input */
        size_t n_input;
        size_t output_max; /* bytes of its standard output; standard error is ours */
        uint64_t timeout_usec;
        /* Not NULL: it is too much for what confines us, and runs as a service of its own (runner.h). */
        struct units *units;
        const char *description; /* of that service */
};

struct command_result {
        int error; /* 0; or why it was killed: -ETIMEDOUT, -E2BIG (too much output), -ENOMEM, …, or did
                    * not start as a service */
        int code, status; /* as child.h tells them; 0 where error is set */
        const uint8_t *output;
        size_t n_output;
};

/* Told once. result lasts until it returns; the command may be freed in here. */
typedef void (*command_done_t)(struct command *command, const struct command_result *result, void *userdata);

/* Starts it. 0, -ENOENT: there is no such program, or why else it could not be started (but for a service,
 * whose start is not waited for). */
int command_new(struct command **ret, sd_event *event, const struct command_spec *spec, command_done_t done,
                void *userdata);
struct command *command_free(struct command *command);
DEFINE_CLEANUP(struct command, command_free)

/* The path of a program in our PATH, which becomes the caller's; name has no slash. 0, -ENOENT, -ENOMEM. */
int command_find(const char *name, char **ret);
