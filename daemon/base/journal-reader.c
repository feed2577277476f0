/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal-reader.h"

#include "journal-text.h"
#include "text.h"

#include <stdio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

/* Entries that one step goes back over. */
#define REWIND_STEP 64
/* Names: of units (systemd's UNIT_NAME_MAX), and of programs, which are shorter. */
#define NAME_MAX_BYTES 255

struct journal_reader {
        sd_journal *journal;
        char *cursor;        /* NULL: none */
        uint64_t floor_usec; /* entries before that are not wanted */
        uint64_t until_usec; /* USEC_INFINITY: no such bound */
        bool user;
        size_t back; /* entries to go back yet, before it goes forward */
        bool found;  /* going back has come by an entry */
        bool here;   /* the entry at which it stands is the next */
        bool behind; /* it is about to come by the cursor's entry */
};

/* ---- which entries ---- */

static int add_match(sd_journal *journal, const char *field, const char *value) {
        _cleanup_(freep) char *match = text_printf("%s=%s", field, value);

        return match ? sd_journal_add_match(journal, match, 0) : -ENOMEM;
}

/*
 * What is about a unit (systemd.journal-fields(7)): what its processes say; and what systemd and its helpers
 * say of it, who alone are believed, as any process can write fields that do not begin with "_".
 */
static int add_unit_matches(sd_journal *journal, const char *unit, bool user) {
        char uid[16];
        const struct {
                const char *field, *trusted_field, *trusted;
        } about[] = {
                { user ? "_SYSTEMD_USER_UNIT" : "_SYSTEMD_UNIT", user ? "_UID" : NULL, uid },
                { user ? "USER_UNIT" : "UNIT", user ? "_UID" : "_PID", user ? uid : "1" },
                { user ? "OBJECT_SYSTEMD_USER_UNIT" : "OBJECT_SYSTEMD_UNIT", "_UID", user ? uid : "0" },
                { user ? "COREDUMP_USER_UNIT" : "COREDUMP_UNIT", "_UID", "0" },
        };
        int r = 0;

        snprintf(uid, sizeof(uid), "%u", geteuid());
        for (size_t i = 0; i < ELEMENTSOF(about) && r >= 0; i++) {
                if (i > 0)
                        r = sd_journal_add_disjunction(journal);
                if (r >= 0)
                        r = add_match(journal, about[i].field, unit);
                if (r >= 0 && about[i].trusted_field)
                        r = add_match(journal, about[i].trusted_field, about[i].trusted);
        }
        return r;
}

static int add_matches(sd_journal *journal, const struct journal_reader_spec *spec) {
        char number[] = "0";
        int r = 0;

        if (spec->unit)
                r = add_unit_matches(journal, spec->unit, spec->user);
        if (r < 0 || spec->priority >= LOG_DEBUG)
                return r;
        r = sd_journal_add_conjunction(journal);
        for (int i = LOG_EMERG; i <= spec->priority && r >= 0; i++) {
                number[0] = (char) ('0' + i);
                r = add_match(journal, "PRIORITY", number);
        }
        return r;
}

/* ---- where to begin ---- */

/* Before there are matches: the entry may be of another unit. */
static int find_cursor(struct journal_reader *reader, const char *cursor) {
        uint64_t usec;
        int r;

        r = sd_journal_seek_cursor(reader->journal, cursor);
        if (r < 0)
                return r;
        r = sd_journal_next(reader->journal);
        if (r > 0)
                r = sd_journal_test_cursor(reader->journal, cursor);
        if (r <= 0)
                return r < 0 ? r : -ESTALE;
        r = sd_journal_get_realtime_usec(reader->journal, &usec);
        if (r < 0)
                return r;
        reader->floor_usec = MAX(reader->floor_usec, usec);
        reader->cursor = strdup(cursor);
        return reader->cursor ? 0 : -ENOMEM;
}

static int seek_begin(struct journal_reader *reader) {
        if (reader->cursor) {
                reader->behind = true;
                return sd_journal_seek_cursor(reader->journal, reader->cursor);
        }
        if (reader->floor_usec > 0)
                return sd_journal_seek_realtime_usec(reader->journal, reader->floor_usec);
        return sd_journal_seek_head(reader->journal);
}

static int seek_end(struct journal_reader *reader) {
        if (reader->until_usec < USEC_INFINITY)
                return sd_journal_seek_realtime_usec(reader->journal, reader->until_usec);
        return sd_journal_seek_tail(reader->journal);
}

/* A seek alone leaves it at no entry, from which the next one would be the last there is. */
static int go_to_end(struct journal_reader *reader) {
        int r = sd_journal_seek_tail(reader->journal);

        if (r >= 0)
                r = sd_journal_previous(reader->journal);
        return r == 0 ? sd_journal_seek_head(reader->journal) : r;
}

int journal_reader_new(struct journal_reader **ret, const struct journal_reader_spec *spec) {
        _cleanup_(journal_reader_freep) struct journal_reader *reader = NULL;
        int r;

        reader = calloc(1, sizeof(*reader));
        if (!reader)
                return -ENOMEM;
        reader->user = spec->user;
        reader->floor_usec = spec->since_usec;
        reader->until_usec = spec->until_usec ?: USEC_INFINITY;
        reader->back = spec->at_end ? 0 : spec->lines;
        r = sd_journal_open(&reader->journal, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r;
        /* One more than is taken: so it shows that there was more. */
        r = sd_journal_set_data_threshold(reader->journal, sizeof("MESSAGE=") + JOURNAL_MESSAGE_MAX);
        if (r >= 0 && spec->cursor)
                r = find_cursor(reader, spec->cursor);
        if (r >= 0)
                r = add_matches(reader->journal, spec);
        if (r >= 0)
                r = spec->at_end                   ? go_to_end(reader)
                                : reader->back > 0 ? seek_end(reader)
                                                   : seek_begin(reader);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reader);
        return 0;
}

struct journal_reader *journal_reader_free(struct journal_reader *reader) {
        if (!reader)
                return NULL;
        sd_journal_close(reader->journal);
        free(reader->cursor);
        free(reader);
        return NULL;
}

/* ---- moving ---- */

/* Whether the entry lies before all that is wanted, or is the cursor's; or a negative errno. */
static int is_too_old(struct journal_reader *reader) {
        uint64_t usec;
        int r;

        r = sd_journal_get_realtime_usec(reader->journal, &usec);
        if (r < 0)
                return r;
        if (usec < reader->floor_usec)
                return 1;
        return reader->cursor ? sd_journal_test_cursor(reader->journal, reader->cursor) : 0;
}

/* One entry back. As journal_reader_next(), but that it never returns 1. */
static int go_back(struct journal_reader *reader) {
        int r;

        r = sd_journal_previous(reader->journal);
        if (r < 0)
                return r;
        if (r == 0) {
                /* The first one is where it still stands. From a tail before which nothing is, nothing is
                 * found. */
                reader->back = 0;
                reader->here = reader->found;
                r = reader->found ? 0 : seek_begin(reader);
                return r < 0 ? r : -EAGAIN;
        }
        r = is_too_old(reader);
        if (r < 0)
                return r;
        if (r > 0) {
                reader->back = 0;
                return -EAGAIN;
        }
        reader->found = true;
        reader->here = --reader->back == 0;
        return -EAGAIN;
}

int journal_reader_next(struct journal_reader *reader) {
        uint64_t usec;
        int r;

        if (reader->back > 0) {
                for (size_t i = 0; i < REWIND_STEP && reader->back > 0; i++) {
                        r = go_back(reader);
                        if (r != -EAGAIN)
                                return r;
                }
                return -EAGAIN;
        }

        if (!reader->here) {
                r = sd_journal_next(reader->journal);
                if (r <= 0)
                        return r;
        }
        reader->here = false;
        if (reader->behind) {
                reader->behind = false;
                r = sd_journal_test_cursor(reader->journal, reader->cursor);
                if (r != 0)
                        return r < 0 ? r : -EAGAIN;
        }
        r = sd_journal_get_realtime_usec(reader->journal, &usec);
        if (r < 0)
                return r;
        return usec <= reader->until_usec;
}

int journal_reader_fd(struct journal_reader *reader) {
        return sd_journal_get_fd(reader->journal);
}

int journal_reader_process(struct journal_reader *reader) {
        int r;

        r = sd_journal_process(reader->journal);
        return r < 0 ? r : 0;
}

/* ---- what an entry says ---- */

/* The field's value, valid until the next call; false: it is not there, or cannot be read. */
static bool get_field(sd_journal *journal, const char *field, const char **ret, size_t *ret_length) {
        size_t prefix = strlen(field) + 1, length;
        const void *data;

        if (sd_journal_get_data(journal, field, &data, &length) < 0 || length < prefix)
                return false;
        *ret = (const char *) data + prefix;
        *ret_length = length - prefix;
        return true;
}

/* The text of the first of these fields that is there, or "". 0 or -ENOMEM. */
static int get_text(sd_journal *journal, const char *const *fields, size_t max, char **ret) {
        const char *value = "";
        size_t length = 0;

        while (*fields && !get_field(journal, *fields, &value, &length))
                fields++;
        *ret = journal_text(value, length, max);
        return *ret ? 0 : -ENOMEM;
}

static uint32_t get_number(sd_journal *journal, const char *field, uint32_t max, uint32_t otherwise) {
        char digits[16];
        const char *value;
        uint64_t number;
        size_t length;

        if (!get_field(journal, field, &value, &length) || length >= sizeof(digits))
                return otherwise;
        memcpy(digits, value, length);
        digits[length] = '\0';
        return text_to_uint(digits, max, &number) < 0 ? otherwise : (uint32_t) number;
}

int journal_reader_entry(struct journal_reader *reader, struct journal_entry *ret) {
        static const char *const message[] = { "MESSAGE", NULL };
        static const char *const identifier[] = { "SYSLOG_IDENTIFIER", "_COMM", NULL };
        /* What a manager says of a unit is that unit's. */
        static const char *const unit[] = { "_SYSTEMD_UNIT", NULL };
        static const char *const unit_of_manager[] = { "UNIT", "_SYSTEMD_UNIT", NULL };
        static const char *const user_unit[] = { "USER_UNIT", "_SYSTEMD_USER_UNIT", NULL };
        sd_journal *journal = reader->journal;
        int r;

        *ret = JOURNAL_ENTRY_NULL;
        r = sd_journal_get_cursor(journal, &ret->cursor);
        if (r < 0)
                return r;
        r = sd_journal_get_realtime_usec(journal, &ret->realtime_usec);
        if (r < 0)
                return r;
        ret->priority = get_number(journal, "PRIORITY", LOG_DEBUG, LOG_INFO);
        ret->pid = get_number(journal, "_PID", UINT32_MAX, 0);
        r = get_text(journal,
                        reader->user                    ? user_unit
                                        : ret->pid == 1 ? unit_of_manager
                                                        : unit,
                        NAME_MAX_BYTES, &ret->unit);
        if (r >= 0)
                r = get_text(journal, identifier, NAME_MAX_BYTES, &ret->identifier);
        if (r >= 0)
                r = get_text(journal, message, JOURNAL_MESSAGE_MAX, &ret->message);
        return r;
}

void journal_entry_clear(struct journal_entry *entry) {
        free(entry->cursor);
        free(entry->unit);
        free(entry->identifier);
        free(entry->message);
        *entry = JOURNAL_ENTRY_NULL;
}
