/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "cedar.h"
#include "text.h"

#include <criterion/criterion.h>

/* Policies that are right. */
static inline struct cedar_policies *load(const char *text) {
        _cleanup_(freep) char *error = NULL;
        struct cedar_policies *policies = NULL;

        cr_assert_eq(cedar_policies_new(&policies, "rules", text, strlen(text), &error), 0, "%s: %s", text,
                        strempty(error));
        return policies;
}

/* JSON is easier to read with these quotes. */
static inline char *quoted(const char *json) {
        char *copy = strdup(json);

        for (char *p = copy; *p; p++)
                *p = *p == '\'' ? '"' : *p;
        return copy;
}

static inline struct cedar_entities *load_entities(const char *json) {
        _cleanup_(freep) char *error = NULL;
        struct cedar_entities *entities = NULL;

        cr_assert_eq(cedar_entities_new(&entities, "entities", json, strlen(json), &error), 0, "%s",
                        strempty(error));
        return entities;
}
