/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What systemd says about one unit, as D-Bus properties of two interfaces: org.freedesktop.systemd1.Unit,
 * and that of the unit's type (…Service), which has the control group and how the last run ended.
 *
 * Both when asked and in its signals, systemd gives the type's properties first and the Unit's second: a
 * state is whole once the latter are in.
 */

#include "units.h"

struct unit_properties {
        char *name; /* as we were asked for it */
        char *path; /* its object path */
        char *id;   /* as systemd calls it: another one where name is an alias */
        char *description, *load_state, *active_state, *sub_state, *freezer_state;
        char *result, *control_group;
        int32_t exit_code, exit_status;
        uint32_t main_pid;
        uint64_t since_usec;
        bool job; /* one is queued or running */
        uint8_t invocation[16];

        /* Something that a unit_state shows, other than job, PID and time; the owner resets these two. */
        bool changed;
        bool invoked_anew; /* the unit was started: control group and description may be others */
};

/* Of a unit that systemd does not know. 0, or -ENOMEM; to be cleared in either case. */
int unit_properties_init(struct unit_properties *p, const char *name);
void unit_properties_clear(struct unit_properties *p);

/*
 * Takes in what is at the message's read position, an a{sv}. 0, or a negative errno: then only a part is
 * in.
 */
int unit_properties_update(struct unit_properties *p, sd_bus_message *m);
/* systemd does not know it, or no longer. 0 or -ENOMEM. */
int unit_properties_set_unknown(struct unit_properties *p);
/* All of another reading of the same unit. 0 or -ENOMEM: then only a part is in. */
int unit_properties_copy(struct unit_properties *p, const struct unit_properties *from);
/* 0 or -ENOMEM. */
int unit_properties_set_load_state(struct unit_properties *p, const char *load_state);

/* Neither active nor on the way to or from there. */
bool unit_properties_is_down(const struct unit_properties *p);

/*
 * *ret points into p. frozen is what the kernel says, or negative where that cannot be known: systemd's own
 * word is wrong after a frozen unit was killed (it stays "frozen", even through the next start).
 */
void unit_properties_view(const struct unit_properties *p, int frozen, struct unit_state *ret);

/*
 * The interface of the unit's type, or NULL for a type that has no control group (target, timer, path, …).
 */
const char *unit_type_interface(const char *name);

#define SYSTEMD_NAME           "org.freedesktop.systemd1"
#define SYSTEMD_PATH           "/org/freedesktop/systemd1"
#define SYSTEMD_UNIT_PREFIX    "/org/freedesktop/systemd1/unit"
#define SYSTEMD_MANAGER        "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT_INTERFACE "org.freedesktop.systemd1.Unit"
