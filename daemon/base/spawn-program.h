/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A program in a process of its own: it leads a process group, starts with every signal at its default and
 * none blocked, and inherits no descriptor but the three given.
 */

#include "util.h"

#include <sys/types.h>

struct child_spec {
        const char *path;         /* the program; not searched for in PATH */
        char *const *argv;        /* NULL-terminated, argv[0] included */
        char *const *environment; /* NULL-terminated, the whole of it: nothing of ours is added */
        const char *directory;    /* working directory; NULL: / */
        int stdin_fd;             /* copied to its standard streams, and stay the caller's; -1: /dev/null */
        int stdout_fd;
        int stderr_fd;
};

/*
 * Starts it; *ret is for the caller to reap. 0, or why it could not be started: -ENOENT, -EACCES, -ENOEXEC,
 * … of the program or the directory.
 */
int spawn_program(pid_t *ret, const struct child_spec *spec);
