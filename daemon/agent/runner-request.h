/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What an agent and the program that runs one command for it (runner-main.c) say to each other, over a
 * socket of whole messages (SOCK_SEQPACKET): the agent what to run, then signals; the program that it has
 * started, or could not, and how it ended. When the agent's end is closed the command is killed.
 */

#include "spawn-program.h"

/* A command that is to run, as the program has received it. Everything in spec points into data. */
struct runner_request {
        struct child_spec spec;
        char *data; /* mapped */
        size_t size;
        char **argv, **environment;
};

#define RUNNER_REQUEST_NULL                                                                                 \
        ((struct runner_request){ .spec = { .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1 } })

/* Sends it, with copies of its streams. 0 or a negative errno; -E2BIG: more than a process can be given. */
int runner_request_send(int socket, const struct child_spec *spec);
/*
 * Receives one, waiting for it. 0; -ECONNRESET: the agent has closed its end; -EBADMSG: nonsense. To be
 * cleared in any case.
 */
int runner_request_receive(int socket, struct runner_request *ret);
/* Closes the streams and frees the rest. */
void runner_request_clear(struct runner_request *request);

enum runner_event_kind {
        RUNNER_STARTED, /* value: the PID, as the program sees it */
        RUNNER_FAILED,  /* value: the errno, from 1 to RUNNER_ERRNO_MAX */
        RUNNER_EXITED,  /* value: CLD_EXITED, …; status: as child.h has it */
};

/* The kernel's MAX_ERRNO: what a system call can fail with. */
#define RUNNER_ERRNO_MAX 4095

struct runner_event {
        uint32_t kind;
        int32_t value, status;
};

/* What the program has said, if anything. 0; -EAGAIN; -ECONNRESET: it has closed its end; -EBADMSG:
 * nonsense; or another negative errno. */
int runner_event_receive(int socket, struct runner_event *ret);

/* How a signal travels, the other way. */
struct runner_signal {
        int32_t number;
};
