/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A position in the journal that moves forward through the entries of one unit, or through all of them, a
 * small step at a time.
 */

#include "util.h"

struct journal_reader;

struct journal_reader_spec {
        /* As systemd calls it: the entries of its processes, and systemd's own about it. NULL: all there
         * are. */
        const char *unit;
        bool user;           /* it is a unit of this user's own manager */
        size_t lines;        /* begin at that many before the end; 0: at the beginning */
        bool at_end;         /* begin where it ends now, whatever else is said */
        int priority;        /* entries less important (greater) are left out; LOG_DEBUG: none is */
        uint64_t since_usec; /* CLOCK_REALTIME; 0: no such bound */
        uint64_t until_usec;
        const char *cursor; /* begin behind this entry; NULL: no such bound */
};

/* Longer than any that journald makes. */
#define JOURNAL_CURSOR_MAX 1024

/*
 * All of spec is copied. 0; -EINVAL: the cursor is none; -ESTALE: its entry is not there (any more); or
 * another negative errno: the journal cannot be read.
 */
int journal_reader_new(struct journal_reader **ret, const struct journal_reader_spec *spec);
struct journal_reader *journal_reader_free(struct journal_reader *reader);
DEFINE_CLEANUP(struct journal_reader, journal_reader_free)

/*
 * 1: it stands at an entry, the next one; -EAGAIN: it has moved, and is to be called again; 0: there is no
 * more, for now; or another negative errno.
 */
int journal_reader_next(struct journal_reader *reader);

/* Becomes readable (EPOLLIN) when there may be more; then journal_reader_process(), then go on. */
int journal_reader_fd(struct journal_reader *reader);
/* 0 or a negative errno. */
int journal_reader_process(struct journal_reader *reader);

/* What an entry says, as text that the wire takes. */
struct journal_entry {
        char *cursor;
        uint64_t realtime_usec;
        unsigned priority; /* LOG_EMERG to LOG_DEBUG; LOG_INFO where it does not say */
        char *unit;        /* "" where there is none */
        char *identifier;
        char *message;
        uint32_t pid; /* 0: it does not say */
};

#define JOURNAL_ENTRY_NULL ((struct journal_entry){})

/* So much of a message is taken: some thousand lines, and few would read them in here. */
#define JOURNAL_MESSAGE_MAX (64 * 1024)

/* The entry at which it stands. 0, or a negative errno; to be cleared in either case. */
int journal_reader_entry(struct journal_reader *reader, struct journal_entry *ret);
void journal_entry_clear(struct journal_entry *entry);
