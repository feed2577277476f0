/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What of journals is in a bundle: the last lines of givc's daemons, wherever they run. */

#include "bundle.h"
#include "logs.pb-c.h"

/* Of one unit's. */
#define DUMP_JOURNAL_LINES 500

/* A journal as a piece. */
struct dump_journal {
        struct piece piece;
        bool is_cut; /* there was more of it than a piece takes */
};

/*
 * Prints the entry, if it is one of a daemon of ours, or of systemd about it: what an agent runs may write
 * into the unit's journal, too, and only the daemons are known to tell nothing secret.
 */
void dump_journal_take(struct dump_journal *journal, const Logs__LogEntry *entry);
/* Adds what was taken, and says if it was cut. */
void dump_journal_add(struct bundle *bundle, const char *name, struct dump_journal *journal);

/* Adds this machine's, of a unit of the system's or of this user's manager. must_be: that there is nothing
 * is said. */
void dump_journal_local(struct bundle *bundle, const char *name, const char *unit, bool user, bool must_be);
