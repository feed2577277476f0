/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The one loop of a daemon, and what the service manager hands to it and hears from it: signals, watchdog,
 * readiness, listening sockets, file descriptors kept over a restart.
 */

#include "util.h"

#include <systemd/sd-event.h>

struct reactor;

struct reactor_ops {
        /*
         * SIGHUP, or reactor_reload(): read configuration and certificates again. RELOADING=1 was sent;
         * READY=1 follows the return. 0, or a negative errno: it has been logged, and what was in force
         * stays so.
         */
        int (*reload)(struct reactor *reactor, void *userdata);
        /*
         * SIGTERM or SIGINT, told once: finish what is under way, then call reactor_exit(). STOPPING=1 was
         * sent. A second signal, or drain_usec passing, ends the loop regardless.
         */
        void (*stop)(struct reactor *reactor, void *userdata);
};

/* drain_usec: how long stop may take. Blocks SIGTERM, SIGINT, SIGHUP, SIGCHLD; ignores SIGPIPE; starts the
 * watchdog. */
int reactor_new(struct reactor **ret, const struct reactor_ops *ops, uint64_t drain_usec, void *userdata);
struct reactor *reactor_free(struct reactor *reactor);
DEFINE_CLEANUP(struct reactor, reactor_free)

sd_event *reactor_event(struct reactor *reactor);

/*
 * Listening sockets handed over by systemd (sd_listen_fds_with_names), in the order in which they came.
 * Returns the number, or a negative errno; *ret is an array of that many descriptors, freed by the caller,
 * who now owns the sockets; name NULL means any. Those that are not asked for stay the reactor's, and are
 * closed with it.
 */
int reactor_take_listeners(struct reactor *reactor, const char *name, int **ret);

/* Takes a descriptor that an earlier run stored by this name: the descriptor, now the caller's, or -ENOENT.
 */
int reactor_take_stored(struct reactor *reactor, const char *name);
/* Stores (a copy of) fd by that name in place of what is stored so far. 0 where no service manager takes it,
 * too. */
int reactor_store(struct reactor *reactor, const char *name, int fd);

/* Tells the service manager READY=1 and the STATUS= text. */
void reactor_ready(struct reactor *reactor, const char *status);
void reactor_status(struct reactor *reactor, const char *status);

/* As SIGHUP does. What reload() returned; -ESHUTDOWN: we are stopping. */
int reactor_reload(struct reactor *reactor);

/* Runs until reactor_exit(): its code, or a negative errno. */
int reactor_run(struct reactor *reactor);
void reactor_exit(struct reactor *reactor, int code);
