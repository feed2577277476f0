/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The instances of applications that run: followed from before their start to their end, shown to peers like
 * the units of the whitelist, and registered with the admin. Those that run when we begin, or when the bus
 * is back, are found by asking systemd.
 */

#include "manager.h"

struct application_start;

/* At once; bus/units.h follows 400 units, of which the configuration may list 256. */
#define APPLICATION_INSTANCES_MAX 128

struct application_instance {
        struct list instances; /* in the manager's */
        struct whitelist_unit unit;
        bool shown; /* its instance is a number: peers may see and move it; not where the whitelist has it */
        bool up;    /* it has been seen running, or on its way there */
        bool registered;                 /* registration.h has it */
        struct application_start *start; /* StartApplication is under way for it; NULL: no more */
};

/* Follows the bus, to find what runs already. 0 or a negative errno. */
int application_instances_begin(struct manager *manager);
/* Lets go of all of them, which run on. */
void application_instances_end(struct manager *manager);

/* Begins to follow a unit, which need not be there yet. 0, -EEXIST: it is followed; -ENOSPC: too many;
 * -ENOMEM. */
int application_instance_add(struct manager *manager, const char *name, struct application_instance **ret);
/* Stops following it, for it has ended or never began. */
void application_instance_remove(struct manager *manager, struct application_instance *instance);
struct application_instance *application_instance_find(struct manager *manager, const char *name);

/* It has been started; known: the admin, who has asked for it, registers it by itself. */
void application_instance_register(
                struct manager *manager, struct application_instance *instance, bool known);
/* Its state is another, or known for the first time. It may be removed by that. */
void application_instance_changed(struct manager *manager, struct application_instance *instance,
                const struct unit_state *state);
/* Another instance of the application of that unit that runs; NULL: there is none. *ret_state is its state.
 */
struct application_instance *application_instance_sibling(
                struct manager *manager, const char *unit, const struct unit_state **ret_state);
/* The configuration is another: those whose application is not in it any more are let go of. */
void application_instances_check(struct manager *manager);
