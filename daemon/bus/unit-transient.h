/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Services that exist as long as they run: made over D-Bus, and unloaded once they have ended, however they
 * did. */

#include "units.h"

struct unit_transient {
        const char *description;
        /* The program, then its first arguments; NULL-terminated. systemd replaces $VARIABLES in them, as in
         * ExecStart=. */
        char *const *command;
        /* The arguments after those, taken as they are. */
        char *const *arguments;
        size_t n_arguments;
        /* NAME=VALUE, NULL-terminated, or NULL; what systemd would not take, and what is about our own
         * process alone (systemd.exec(5)), is left out. */
        char *const *environment;
        /*
         * Not NULL: a helper that speaks to us over this socket, its standard input. What it writes is
         * discarded, what is left of it is killed at once, and systemd logs only what goes wrong with it.
         */
        const int *helper_socket;
};

/*
 * As units_operate(): done is told when the program has been executed, or could not be. transient, with all
 * that it points to, must last until then. -EEXIST is told when there is a unit of that name already. A
 * helper says itself that it runs: of it, done is told when systemd has accepted it, and no state.
 *
 * The unit may be gone by the time of done, and its state is not-found then: how it ended is known to who
 * follows it (units_follow()) before it is started.
 */
int units_start_transient(struct units *units, const char *name, const struct unit_transient *transient,
                unit_done_t done, void *userdata, struct unit_operation **ret);
