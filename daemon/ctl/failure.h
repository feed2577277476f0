/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How givcctl says that something went wrong, and with which code it exits then. */

#include "status.h"

struct session;

/* As givc-cli, every code between EXIT_USAGE and EXIT_INTERRUPTED becomes EXIT_FAILED. */
enum exit_code {
        EXIT_DONE = 0,
        EXIT_FAILED = 1,
        EXIT_USAGE = 2, /* the command line, or what it names (certificates) */
        EXIT_NOT_FOUND = 3,
        EXIT_DENIED = 4,
        EXIT_UNAVAILABLE = 5,
        EXIT_DEADLINE = 6,
        EXIT_INTERRUPTED = 130, /* 128 and the signal's number, as a shell has it */
        EXIT_TERMINATED = 143,
};

/* One line on standard error, headed by the program's name. */
void complain(const char *format, ...) _printf_(1, 2);
/* The same with a pointer to --help. Returns EXIT_USAGE. */
int fail_usage(const char *format, ...) _printf_(1, 2);
/* Out of memory, or the like: error is a negative errno. Returns EXIT_FAILED. */
int fail_errno(int error, const char *what);
/* A call that was to do what ("cannot start x.service on y") has ended with status. Returns the code for it.
 */
int fail_status(const struct session *session, const char *what, const struct rpc_status *status);

/* How a call has ended and why, as fail_status() says it: on the heap, or NULL (ENOMEM). */
char *status_text(const struct session *session, const struct rpc_status *status);

/* Hands what was printed to standard output's reader. 0; or what has gone wrong with it, a negative errno:
 * to be asked for soon after, as a stream remembers only that something has. */
int output_failure(void);

/* What a program of ours exits with: code, unless its output could not be written. error: why not, if that
 * is known already; 0: not. compatible: as givc-cli. */
int exit_finish(int code, int error, bool compatible);
