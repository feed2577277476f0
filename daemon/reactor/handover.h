/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Descriptors handed over by the service manager: listening sockets (sd_listen_fds(3)), and whatever an
 * earlier run of this service stored with it (FDSTORE=1, sd_notify(3)). Both come in one array; that a
 * socket listens tells them apart.
 */

#include "util.h"

struct handover {
        struct handover_fd {
                char *name; /* FileDescriptorName= or FDNAME= */
                int fd;     /* -1 once it was taken */
                bool listening;
        } * fds;
        size_t n_fds;
};

/* Takes all that there are, and the environment variables that announce them. 0 or a negative errno. */
int handover_receive(struct handover *handover);
/* Closes what was not taken. */
void handover_clear(struct handover *handover);

/* See reactor.h for these. */
int handover_take_listeners(struct handover *handover, const char *name, int **ret);
int handover_take_stored(struct handover *handover, const char *name);
int handover_store(const char *name, int fd);
