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

static int compare_place(const void *a, const void *b) {
        const Admin__QueryListItem *x = *(Admin__QueryListItem *const *) a,
                                   *y = *(Admin__QueryListItem *const *) b;
        int r = strcmp(vm_of(x), vm_of(y));

        if (r == 0)
                r = rank(x) - rank(y);
        return r != 0 ? r : strcmp(x->name, y->name);
}

static int compare_name(const void *a, const void *b) {
        return strcmp((*(Admin__QueryListItem *const *) a)->name,
                        (*(Admin__QueryListItem *const *) b)->name);
}

static int compare_status(const void *a, const void *b) {
        int r = strcmp((*(Admin__QueryListItem *const *) a)->vmstatus,
                        (*(Admin__QueryListItem *const *) b)->vmstatus);

        return r != 0 ? r : compare_place(a, b);
}

/* What changed last comes first. */
static int compare_since(const void *a, const void *b) {
        uint64_t x = (*(Admin__QueryListItem *const *) a)->since,
                 y = (*(Admin__QueryListItem *const *) b)->since;

        return x != y ? (x < y ? 1 : -1) : compare_place(a, b);
}

static int compare_type(const void *a, const void *b) {
        int r = strcmp((*(Admin__QueryListItem *const *) a)->vmtype,
                        (*(Admin__QueryListItem *const *) b)->vmtype);

        return r != 0 ? r : compare_place(a, b);
}

void output_sort(Admin__QueryListItem **items, size_t n, enum output_order order) {
        static int (*const compare[])(const void *, const void *) = {
                [OUTPUT_BY_VM] = compare_place,
                [OUTPUT_BY_NAME] = compare_name,
                [OUTPUT_BY_TYPE] = compare_type,
                [OUTPUT_BY_STATUS] = compare_status,
                [OUTPUT_BY_SINCE] = compare_since,
        };

        if (n > 0)
                qsort(items, n, sizeof(*items), compare[order]);
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

/* As output_text() has it. That smartcols shows what it takes for control characters likewise is a second
 * guard; a backslash is none. */
static int set_text(struct libscols_line *line, size_t column, const char *text) {
        _cleanup_(freep) char *shown = NULL;
        size_t n;
        FILE *file = open_memstream(&shown, &n);

        if (!file)
                return -ENOMEM;
        output_text(file, isempty(text) ? "-" : text);
        return fclose(file) == 0 && scols_line_set_data(line, column, shown) >= 0 ? 0 : -ENOMEM;
}

/* A share of 1 %: as wide as what is in it, if there is room. */
static int add_column(struct libscols_table *table, const char *name, int flags) {
        struct libscols_column *column = scols_table_new_column(table, name, 0.01, flags);

        return column && scols_column_set_safechars(column, "\\") >= 0 ? 0 : -ENOMEM;
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

                if (set_text(line, i, text) < 0)
                        return -ENOMEM;
                if (colour && scols_cell_set_color(scols_line_get_cell(line, i), colour) < 0)
                        return -ENOMEM;
        }
        return 0;
}

bool output_may_colour(FILE *file) {
        const char *terminal = getenv("TERM");

        return isatty(fileno(file)) && isempty(getenv("NO_COLOR")) && !isempty(terminal) &&
                        !streq(terminal, "dumb");
}

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

                if (add_column(table, columns[i].name, columns[i].flags | (hide ? SCOLS_FL_HIDDEN : 0)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static void adapt(struct libscols_table *table, FILE *file, unsigned width) {
        scols_table_set_stream(table, file);
        scols_table_enable_colors(table, output_may_colour(file));
        if (width == UINT_MAX)
                scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
        else
                scols_table_set_termwidth(table, width);
}

int output_cells(FILE *file, const struct output_column *heads, size_t n_heads, const char *const *cells,
                size_t n_rows) {
        _cleanup_(table_unrefp) struct libscols_table *table = scols_new_table();
        unsigned width = width_of(file);

        setlocale(LC_CTYPE, "");
        if (!table)
                return -ENOMEM;
        adapt(table, file, width);
        for (size_t i = 0; i < n_heads; i++)
                if (add_column(table, heads[i].name,
                                    (heads[i].is_number ? SCOLS_FL_RIGHT : 0) |
                                                    (heads[i].is_cut || i + 1 == n_heads ? SCOLS_FL_TRUNC
                                                                                         : 0) |
                                                    (width < heads[i].terminal ? SCOLS_FL_HIDDEN : 0)) < 0)
                        return -ENOMEM;
        for (size_t row = 0; row < n_rows; row++) {
                struct libscols_line *line = scols_table_new_line(table, NULL);

                if (!line)
                        return -ENOMEM;
                for (size_t i = 0; i < n_heads; i++) {
                        if (set_text(line, i, cells[row * n_heads + i]) < 0)
                                return -ENOMEM;
                }
        }
        return scols_print_table(table) < 0 ? -ENOMEM : 0;
}

int output_table(FILE *file, Admin__QueryListItem *const *items, size_t n) {
        _cleanup_(table_unrefp) struct libscols_table *table = NULL;
        uint64_t now = now_usec(CLOCK_REALTIME);
        unsigned width = width_of(file);
        int r;

        setlocale(LC_CTYPE, ""); /* how wide characters are */
        table = scols_new_table();
        if (!table)
                return -ENOMEM;
        adapt(table, file, width);
        r = add_columns(table, width);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = add_line(table, items[i], now);
                if (r < 0)
                        return r;
        }
        return scols_print_table(table) < 0 ? -ENOMEM : 0;
}
