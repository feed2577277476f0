/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A listening socket on the loop, which gives out the connections that come. */

#include "address.h"
#include "list.h"
#include "ratelimit.h"

#include <systemd/sd-event.h>

/* A connection has come, from address: its descriptor is the callee's. Must not free the listener. */
typedef void (*listener_accepted_t)(int fd, const struct rpc_address *address, void *userdata);

struct listener {
        struct list link; /* the owner's */
        int fd;
        sd_event_source *source, *pause_source;
        struct ratelimit pauses; /* in the journal */
        listener_accepted_t accepted;
        void *userdata;
};

/* A socket bound to address that listens, in place of a Unix path's dead socket: its descriptor, or a
 * negative errno. */
int listener_bind(const struct rpc_address *address);
/* fd becomes the listener's even on failure. 0 or a negative errno. */
int listener_new(struct listener **ret, sd_event *event, int fd, listener_accepted_t accepted,
                void *userdata);
/* Closes the socket, and takes the listener off its owner's list. Returns NULL. */
struct listener *listener_free(struct listener *listener);
DEFINE_CLEANUP(struct listener, listener_free)
