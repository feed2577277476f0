/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include "text.h"
#include "timespan.h"

#include <libsmartcols.h>
#include <limits.h>
#include <locale.h>
#include <sys/ioctl.h>

enum column {
        COLUMN_NAME,
        COLUMN_VM,
        COLUMN_TYPE,
        COLUMN_KIND,
        COLUMN_STATUS,
        COLUMN_TRUST,
        COLUMN_ONLINE,
        COLUMN_SINCE,
        COLUMN_DESCRIPTION,
        _COLUMN_MAX,
};

/* On a terminal, in so many cells a column is worth its place; in fewer, names would be cut for it. */
static const struct {
        const char *name;
        unsigned terminal;
        int flags;
} columns[_COLUMN_MAX] = {
        [COLUMN_NAME] = { "NAME", 0, SCOLS_FL_TRUNC },
        [COLUMN_VM] = { "VM", 0, 0 },
        [COLUMN_TYPE] = { "TYPE", 70, 0 },
        [COLUMN_KIND] = { "KIND", 60, 0 },
        [COLUMN_STATUS] = { "STATUS", 0, 0 },
        [COLUMN_TRUST] = { "TRUST", 80, 0 },
        [COLUMN_ONLINE] = { "ONLINE", 50, 0 },
        [COLUMN_SINCE] = { "SINCE", 75, SCOLS_FL_RIGHT },
        [COLUMN_DESCRIPTION] = { "DESCRIPTION", 110, SCOLS_FL_TRUNC },
};

/* What a terminal that says nothing of its size is taken to be. */
#define TERMINAL_WIDTH 80

static void table_unrefp(struct libscols_table **table) {
        scols_unref_table(*table);
}

static const char *vm_of(const Admin__QueryListItem *item) {
        return item->vm_name_presence_case ? item->vmname : "";
}

/* Within a VM: what runs it, then what runs in it. */
static int rank(const Admin__QueryListItem *item) {
        static const char *const kinds[] = { "VM", "Mgr", "Svc", "App" };
        size_t i = 0;

        while (i < ELEMENTSOF(kinds) && !streq(item->servicetype, kinds[i]))
                i++;
        return (int) i;
}

static int compare(const void *a, const void *b) {
        const Admin__QueryListItem *x = *(Admin__QueryListItem *const *) a,
                                   *y = *(Admin__QueryListItem *const *) b;
        int r = strcmp(vm_of(x), vm_of(y));

        if (r == 0)
                r = rank(x) - rank(y);
        return r != 0 ? r : strcmp(x->name, y->name);
}

static const char *colour_of(enum column column, const char *text) {
        static const struct {
                enum column column;
                const char *text, *colour;
        } colours[] = {
                { COLUMN_STATUS, "Running", "green" },
                { COLUMN_STATUS, "Paused", "yellow" },
                { COLUMN_STATUS, "PoweredOff", "gray" },
                { COLUMN_TRUST, "Secure", "green" },
                { COLUMN_TRUST, "NotSecure", "red" },
                { COLUMN_ONLINE, "no", "red" },
        };

        for (size_t i = 0; i < ELEMENTSOF(colours); i++)
                if (colours[i].column == column && streq(colours[i].text, text))
                        return colours[i].colour;
        return NULL;
}

static int add_line(struct libscols_table *table, const Admin__QueryListItem *item, uint64_t now) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        bool known = item->online_presence_case;
        char since[TIMESPAN_TEXT];
        const char *texts[_COLUMN_MAX] = {
                [COLUMN_NAME] = item->name,
                [COLUMN_VM] = vm_of(item),
                [COLUMN_TYPE] = item->vmtype,
                [COLUMN_KIND] = item->servicetype,
                [COLUMN_STATUS] = item->vmstatus,
                [COLUMN_TRUST] = item->trustlevel,
                [COLUMN_ONLINE] = known ? item->online ? "yes" : "no" : NULL,
                [COLUMN_SINCE] = known && item->since > 0 && item->since <= now
                                ? timespan_format(now - item->since, since)
                                : NULL,
                [COLUMN_DESCRIPTION] = item->description,
        };

        if (!line)
                return -ENOMEM;
        for (size_t i = 0; i < _COLUMN_MAX; i++) {
                const char *text = isempty(texts[i]) ? "-" : texts[i], *colour = colour_of(i, text);

                if (scols_line_set_data(line, i, text) < 0)
                        return -ENOMEM;
                if (colour && scols_cell_set_color(scols_line_get_cell(line, i), colour) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* https://no-color.org */
static bool may_colour(FILE *file) {
        const char *terminal = getenv("TERM");

        return isatty(fileno(file)) && isempty(getenv("NO_COLOR")) && !isempty(terminal) &&
                        !streq(terminal, "dumb");
}

/* In cells; UINT_MAX: no terminal. */
static unsigned width_of(FILE *file) {
        const char *set = getenv("COLUMNS");
        struct winsize size = {};
        uint64_t width;

        if (!isatty(fileno(file)))
                return UINT_MAX;
        if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
                return size.ws_col;
        return set && text_to_uint(set, UINT16_MAX, &width) == 0 && width > 0 ? (unsigned) width
                                                                              : TERMINAL_WIDTH;
}

static int add_columns(struct libscols_table *table, unsigned width) {
        for (size_t i = 0; i < _COLUMN_MAX; i++) {
                bool hide = width < columns[i].terminal;

                /* A share of 1 %: as wide as what is in it, if there is room. */
                if (!scols_table_new_column(table, columns[i].name, 0.01,
                                    columns[i].flags | (hide ? SCOLS_FL_HIDDEN : 0)))
                        return -ENOMEM;
        }
        return 0;
}

int output_table(FILE *file, Admin__QueryListItem *const *items, size_t n) {
        _cleanup_(table_unrefp) struct libscols_table *table = NULL;
        _cleanup_(freep) Admin__QueryListItem **sorted = NULL;
        uint64_t now = now_usec(CLOCK_REALTIME);
        unsigned width = width_of(file);
        int r;

        setlocale(LC_CTYPE, ""); /* how wide characters are */
        table = scols_new_table();
        sorted = calloc(n > 0 ? n : 1, sizeof(*sorted));
        if (!table || !sorted)
                return -ENOMEM;
        if (n > 0)
                memcpy(sorted, items, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), compare);

        scols_table_set_stream(table, file);
        scols_table_enable_colors(table, may_colour(file));
        if (width == UINT_MAX)
                scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
        else
                scols_table_set_termwidth(table, width);
        r = add_columns(table, width);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = add_line(table, sorted[i], now);
                if (r < 0)
                        return r;
        }
        return scols_print_table(table) < 0 ? -ENOMEM : 0;
}
