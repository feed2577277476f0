/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dump-journal.h"

#include "journal-reader.h"
#include "output.h"

#include <syslog.h>

/* Bytes: some thousand lines. */
#define JOURNAL_MAX (1024 * 1024L)
/* A journal that is read from a slow disk is as well read some seconds as not at all. */
#define PATIENCE_USEC (5 * USEC_PER_SEC)

static bool is_own(const char *identifier) {
        return startswith(identifier, "givc-") || streq(identifier, "systemd");
}

void dump_journal_take(struct dump_journal *journal, const Logs__LogEntry *entry) {
        if (!is_own(entry->identifier))
                return;
        if (ftell(journal->piece.file) < JOURNAL_MAX)
                output_log(journal->piece.file, entry);
        else
                journal->is_cut = true;
}

void dump_journal_add(struct bundle *bundle, const char *name, struct dump_journal *journal) {
        if (journal->is_cut)
                bundle_miss(bundle, name, "only its first %ld KiB are here", JOURNAL_MAX >> 10);
        bundle_add(bundle, name, &journal->piece);
}

static int take(struct dump_journal *journal, struct journal_reader *reader) {
        _cleanup_(journal_entry_clear) struct journal_entry entry = JOURNAL_ENTRY_NULL;
        Logs__LogEntry line = LOGS__LOG_ENTRY__INIT;
        int r = journal_reader_entry(reader, &entry);

        if (r < 0)
                return r;
        line.realtimeusec = entry.realtime_usec;
        line.priority = entry.priority;
        line.pid = entry.pid;
        line.identifier = entry.identifier;
        line.message = entry.message;
        dump_journal_take(journal, &line);
        return 0;
}

static int read_all(struct dump_journal *journal, const struct journal_reader_spec *spec) {
        uint64_t end = usec_add(now_usec(CLOCK_MONOTONIC), PATIENCE_USEC);
        _cleanup_(journal_reader_freep) struct journal_reader *reader = NULL;
        int r = journal_reader_new(&reader, spec);

        while (r >= 0) {
                r = journal_reader_next(reader);
                if (r == 0)
                        return 0;
                if (r > 0)
                        r = take(journal, reader);
                else if (r == -EAGAIN)
                        r = 0;
                if (r >= 0 && now_usec(CLOCK_MONOTONIC) > end)
                        r = -ETIMEDOUT;
        }
        return r;
}

void dump_journal_local(struct bundle *bundle, const char *name, const char *unit, bool user, bool must_be) {
        const struct journal_reader_spec spec = {
                .unit = unit,
                .user = user,
                .lines = DUMP_JOURNAL_LINES,
                .priority = LOG_DEBUG,
        };
        struct dump_journal journal = {};
        int r = piece_open(&journal.piece);

        if (r >= 0)
                r = read_all(&journal, &spec);
        if (r < 0)
                bundle_miss(bundle, name, "the journal cannot be read: %s", strerror(-r));
        if (journal.piece.file && ftell(journal.piece.file) > 0)
                dump_journal_add(bundle, name, &journal);
        else if (r >= 0 && must_be)
                bundle_miss(bundle, name, "nothing is there, or nothing that you may read");
        piece_clear(&journal.piece);
}
