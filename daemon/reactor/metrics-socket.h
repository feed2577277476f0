/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Gives our figures to whoever connects to a Unix socket and is let by its mode: over HTTP/1.1, one request
 * a connection, or, to who sends nothing, as they are. Neither slow nor many readers hold up anything.
 */

#include "openmetrics.h"
#include "reactor.h"

struct metrics_socket;

/* write() adds all families; the end is added after it. Asked once for each reader. 0 or -ENOMEM. */
int metrics_socket_new(struct metrics_socket **ret, sd_event *event, const char *prefix,
                void (*write)(struct openmetrics *metrics, void *userdata), void *userdata);
struct metrics_socket *metrics_socket_free(struct metrics_socket *metrics);
DEFINE_CLEANUP(struct metrics_socket, metrics_socket_free)

/*
 * What a daemon begins with: as above, on all that systemd hands over by the name "metrics", of which there
 * may be none, with program and version, which must last, as its first family. Has logged what fails.
 */
int metrics_socket_begin(struct metrics_socket **ret, struct reactor *reactor, const char *program,
                const char *version, void (*write)(struct openmetrics *metrics, void *userdata),
                void *userdata);

/* Accepts on fd, a listening socket, which becomes ours even on failure. 0 or a negative errno. */
int metrics_socket_add_listener(struct metrics_socket *metrics, int fd);
