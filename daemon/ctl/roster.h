/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a watch knows of the registry, so that after a reconnection, and from servers that repeat themselves,
 * only what really changed is told.
 */

#include "output.h"

struct roster {
        Admin__QueryListItem **items; /* sorted by name; copies */
        size_t n, size;
};

#define ROSTER_NULL ((struct roster){})

/* More entries than this are not kept: -E2BIG. Some dozen VMs have some hundred. */
#define ROSTER_ENTRIES_MAX (64 * 1024)

typedef void (*roster_told_t)(enum output_event event, const Admin__QueryListItem *item, void *userdata);

void roster_clear(struct roster *roster);

/*
 * What the server says there is now: tells each difference to what was known. 0, -ENOMEM, -E2BIG. told may
 * be NULL: nothing is told.
 */
int roster_replace(struct roster *roster, Admin__QueryListItem *const *items, size_t n, roster_told_t told,
                void *userdata);
/* A change that the server tells; passed on unless it changes nothing. */
int roster_apply(struct roster *roster, enum output_event event, const Admin__QueryListItem *item,
                roster_told_t told, void *userdata);

/* What a watch of the registry tells, kept: as the two above, with nobody to tell. */
int roster_keep(struct roster *roster, const Admin__WatchItem *item);
