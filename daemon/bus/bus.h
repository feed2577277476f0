/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A D-Bus connection that is held: opened without blocking, noticed when it dies, joined again with
 * back-off.
 */

#include "util.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

struct bus;

enum bus_kind {
        BUS_SYSTEM, /* the system bus and its systemd */
        BUS_USER,   /* the user's own */
};

/* Whoever has something to do at every (re)connection or loss: rooms above add one each. */
struct bus_listener {
        /* The connection stands (Hello was answered). Match rules and the like must be made (again). */
        void (*connected)(struct bus *bus, void *userdata);
        /* It is lost: every call under way has failed with -ENOTCONN or ECONNRESET by now. */
        void (*lost)(struct bus *bus, void *userdata);
};

int bus_new(struct bus **ret, sd_event *event, enum bus_kind kind);
/* Not from inside of a callback of this bus. Whoever holds slots of the connection lets go of them before.
 */
struct bus *bus_free(struct bus *bus);
DEFINE_CLEANUP(struct bus, bus_free)

/* Must be called before bus_start(); listener is static data. -ENOSPC: there are too many. */
int bus_add_listener(struct bus *bus, const struct bus_listener *listener, void *userdata);
/* It is not told of anything any more. */
void bus_remove_listener(struct bus *bus, const struct bus_listener *listener, void *userdata);
/* In the loop's order (sd_event_source_set_priority()); before bus_start(). */
void bus_set_priority(struct bus *bus, int priority);
/* Begins to connect. What fails is tried again, for ever, and logged once per cause. */
void bus_start(struct bus *bus);

/*
 * Gives the connection up, as soon as the loop runs again, and joins anew: what was queued for a bus that
 * takes nothing goes with it.
 */
void bus_drop(struct bus *bus);

/* The connection while it stands, else NULL. Never call it synchronously. */
sd_bus *bus_connection(struct bus *bus);
enum bus_kind bus_get_kind(const struct bus *bus);
sd_event *bus_event(struct bus *bus);
