/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include "timespan.h"

#include <libsmartcols.h>
#include <locale.h>

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

/* The description gives way first where the terminal is narrow, then the name; the others are short. */
static const struct {
        const char *name;
        double width; /* a share of the terminal, or so many cells */
        int flags;
} columns[_COLUMN_MAX] = {
        [COLUMN_NAME] = { "NAME", 0.3, SCOLS_FL_TRUNC },
        [COLUMN_VM] = { "VM", 1, 0 },
        [COLUMN_TYPE] = { "TYPE", 1, 0 },
        [COLUMN_KIND] = { "KIND", 1, 0 },
        [COLUMN_STATUS] = { "STATUS", 1, 0 },
        [COLUMN_TRUST] = { "TRUST", 1, 0 },
        [COLUMN_ONLINE] = { "ONLINE", 1, 0 },
        [COLUMN_SINCE] = { "SINCE", 1, SCOLS_FL_RIGHT },
        [COLUMN_DESCRIPTION] = { "DESCRIPTION", 0.1, SCOLS_FL_TRUNC },
};

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

int output_table(FILE *file, Admin__QueryListItem *const *items, size_t n) {
        _cleanup_(table_unrefp) struct libscols_table *table = NULL;
        _cleanup_(freep) Admin__QueryListItem **sorted = NULL;
        uint64_t now = now_usec(CLOCK_REALTIME);
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
        if (!isatty(fileno(file)))
                scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
        for (size_t i = 0; i < _COLUMN_MAX; i++)
                if (!scols_table_new_column(table, columns[i].name, columns[i].width, columns[i].flags))
                        return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = add_line(table, sorted[i], now);
                if (r < 0)
                        return r;
        }
        return scols_print_table(table) < 0 ? -ENOMEM : 0;
}
