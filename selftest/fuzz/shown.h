/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What targets that print check of it. */

#include "fuzz.h"

#include "text.h"

#include <jansson.h>

/* Lines for people: nothing in them that a terminal obeys, or that is no text. */
static inline void check_shown(const char *text, size_t n) {
        must(text_is_utf8(text, n), "what is shown is UTF-8");
        for (size_t i = 0; i < n; i++)
                must(text[i] == '\n' || text_hidden_length(text + i, n - i) == 0,
                                "what is shown is no command to a terminal");
}

/* What is printed into: to be opened, printed into, closed, looked at, and freed. */
struct shown {
        FILE *file;
        char *text;
        size_t n;
};

static inline void shown_open(struct shown *shown) {
        shown->file = open_memstream(&shown->text, &shown->n);
        must(shown->file != NULL, "there is memory");
}

static inline void shown_close(struct shown *shown) {
        must(fclose(shown->file) == 0, "there is memory");
}

/* A value a line. */
static inline void check_json(const char *text, size_t n) {
        const char *end = text + n;

        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t) (end - text));
                json_t *value = newline ? json_loadb(text, (size_t) (newline - text), JSON_ALLOW_NUL, NULL)
                                        : NULL;

                must(value != NULL, "JSON is JSON");
                json_decref(value);
                text = newline + 1;
        }
}
