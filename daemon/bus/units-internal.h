/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What units.c (following) and unit-operation.c share. */

#include "list.h"
#include "unit-properties.h"
#include "unit-transient.h"

struct units {
        struct bus *bus;
        unit_changed_t changed;
        void *userdata;
        sd_bus_slot *subscribe, *reloading, *owner_changed;

        struct list followed; /* struct unit */
        size_t n_followed;
        struct list unread; /* those of them whose state is to be read */
        size_t n_reading;

        struct list operations; /* struct unit_operation */
        size_t n_operations;
        sd_bus_slot *job_removed; /* while an operation has a job, or is about to get one */
        size_t n_job_watchers;
};

/* A name that can be followed and operated on: not a template's. */
bool unit_name_is_usable(const char *name);

/*
 * An operation has just read this: if the unit is followed, and that is news, it is read as well (and told,
 * later).
 */
void units_compare(struct units *units, const struct unit_properties *seen);

/* The arguments of StartTransientUnit. 0 or a negative errno. */
int unit_transient_append(sd_bus_message *m, const char *name, const struct unit_transient *transient);

/* Nobody is told. */
void unit_operations_cancel(struct units *units);
/* The bus is lost: every operation under way ends with -ENOTCONN. */
void unit_operations_fail(struct units *units);
/* systemd has been away, and may have told of a job's end meanwhile. */
void unit_operations_check_jobs(struct units *units);
