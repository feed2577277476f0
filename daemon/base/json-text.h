/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * JSON files for people: jansson reads them; this finds the line of a value again, so that an error names
 * it.
 */

#include "util.h"

#include <jansson.h>

struct json_text {
        char *path;
        char *text;
        size_t size;
        json_t *root;
};

#define JSON_TEXT_NULL ((struct json_text){})

/*
 * Reads path (at most 1 MiB). On failure returns a negative errno, and *ret_error, which becomes the
 * caller's, says what is wrong: "FILE:LINE:COLUMN: …". Duplicate keys are errors.
 */
int json_text_load(struct json_text *json, const char *path, char **ret_error);
void json_text_clear(struct json_text *json);

/*
 * The line, from 1, on which the value at the given place begins. The place is written as keys and indexes,
 * "capabilities.applications[2].args"; keys are compared without regard to case. 0 when there is no such
 * place.
 */
unsigned json_text_line(const struct json_text *json, const char *place);

/* object[key] without regard to case (the deployed configuration is read so), or NULL. */
json_t *json_get_nocase(const json_t *object, const char *key);
