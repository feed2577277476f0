/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What systemd and the bus answer when something cannot be done, as the errors of units.h. */

#include "units.h"

/* The errno (negative) for a D-Bus error. */
int unit_error_from_bus(const sd_bus_error *error);

/* For a job's result other than "done", as in the signal JobRemoved. */
int unit_error_from_job(const char *result);
/*
 * What to tell people about it; state, as it is now, says why where the unit itself failed. On the heap, or
 * NULL (ENOMEM).
 */
char *unit_error_job_text(enum unit_verb verb, const char *result, const struct unit_state *state);
