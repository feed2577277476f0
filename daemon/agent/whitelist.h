/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The units that peers may see and move: what is not in here is refused before systemd is asked. */

#include "config.h"

/* Units that are shown and moved, but not registered with the admin (targets, timers). */
#define WHITELIST_NO_TYPE UINT32_MAX

struct whitelist_unit {
        char *name;    /* what peers call it */
        char *target;  /* what systemd calls it: differs for the agent's own unit alone */
        uint32_t type; /* component type as which it is registered, or WHITELIST_NO_TYPE */
        bool own;      /* the agent's own */
};

struct whitelist {
        struct whitelist_unit *units; /* sorted by name */
        size_t n_units;
};

#define WHITELIST_NULL ((struct whitelist){})

/*
 * The agent's own unit under its registered name, VM units, and services; a name that occurs twice counts
 * once, as what it is first in that order. own_target: the unit in which this process runs, or NULL where it
 * runs in none. 0 or -ENOMEM.
 */
int whitelist_init(struct whitelist *whitelist, const struct config *config, const char *own_target);
void whitelist_clear(struct whitelist *whitelist);

/* By the name that peers use; NULL: not permitted. Valid as long as the whitelist. */
const struct whitelist_unit *whitelist_find(const struct whitelist *whitelist, const char *name);
/* The agent's own unit. */
const struct whitelist_unit *whitelist_own(const struct whitelist *whitelist);
/* Whether systemd's unit of that name is the target of any. */
bool whitelist_has_target(const struct whitelist *whitelist, const char *target);
/* Whether both permit the same. */
bool whitelist_equal(const struct whitelist *a, const struct whitelist *b);
