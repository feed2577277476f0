/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The journal catalog explains every message id of ours, and no other. */
#include "text.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define FILE_MAX (1024 * 1024)
#define ID_LENGTH 32

static char *read_source(const char *path) {
        char *text;

        cr_assert_eq(text_read_file(path, FILE_MAX, &text, NULL), 0, "cannot read %s", path);
        return text;
}

/* What follows begin as one id of 32 digits, from *p on; NULL: no more. */
static const char *next_id(const char **p, const char *begin, char id[static ID_LENGTH + 1]) {
        while ((*p = strstr(*p, begin))) {
                *p += strlen(begin);
                if (strspn(*p, "0123456789abcdef") < ID_LENGTH)
                        continue;
                memcpy(id, *p, ID_LENGTH);
                id[ID_LENGTH] = '\0';
                return id;
        }
        return NULL;
}

Test(catalog, has_every_message) {
        _cleanup_(freep) char *ids = read_source(MESSAGE_IDS), *catalog = read_source(CATALOG);
        char id[ID_LENGTH + 1], line[ID_LENGTH + 8];
        const char *p = ids;
        size_t n = 0;

        while (next_id(&p, "\"", id)) {
                const char *entry;

                snprintf(line, sizeof(line), "-- %s\n", id);
                entry = strstr(catalog, line);
                cr_assert_not_null(entry, "%s has no entry in the catalog", id);
                cr_assert_null(strstr(entry + 1, line), "%s has two entries", id);
                n++;
        }
        cr_assert_gt(n, 0);
}

Test(catalog, has_nothing_else) {
        _cleanup_(freep) char *ids = read_source(MESSAGE_IDS), *catalog = read_source(CATALOG);
        char id[ID_LENGTH + 1];
        const char *p = catalog;

        while (next_id(&p, "\n-- ", id)) {
                cr_assert_not_null(strstr(ids, id), "%s is no message of ours", id);
                p = strchr(p, '\n');
                cr_assert(strncmp(p, "\nSubject: ", 10) == 0, "%s has no subject", id);
                cr_assert_not_null(strstr(p, "\nDefined-By: givc\n"), "%s", id);
                cr_assert_not_null(strstr(p, "\n\n"), "%s explains nothing", id);
        }
}
