/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Whether a control group (version 2) is frozen, from the kernel: systemd 252 sends no signal when somebody
 * freezes or thaws a unit, and its own word is wrong after a frozen unit was killed.
 */

#include "util.h"

#include <systemd/sd-event.h>

struct freezer {
        int frozen; /* 1 or 0; negative: it cannot be known */
        char *path; /* of cgroup.events, while it is watched */
        sd_event_source *source;
        void (*changed)(void *userdata);
        void *userdata;
};

/* 1 or 0, or a negative errno: there is no such group, or no version 2 of them. */
int freezer_read(const char *control_group);

/*
 * Begins to watch, in place of what was watched; changed() is called when frozen changes after that.
 * *freezer is zeroed, or was used before. Returns 0 or a negative errno; frozen is set in either case.
 */
int freezer_watch(struct freezer *freezer, sd_event *event, const char *control_group,
                void (*changed)(void *userdata), void *userdata);
/* Stops; frozen is 0: what has no processes is not frozen. */
void freezer_clear(struct freezer *freezer);
