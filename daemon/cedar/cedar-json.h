/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Values out of JSON (https://docs.cedarpolicy.com/auth/entities-syntax.html, "Attributes"), by jansson. */

#include "cedar-value.h"

#include <jansson.h>

/* Arrays and objects inside of each other. */
#define CEDAR_JSON_DEPTH_MAX 512

/* Where in a document an error is, and what it is. */
struct cedar_json_error {
        const char *name;  /* of the file */
        const char *where; /* what of it is read: a policy's id, or NULL */
        char *message;     /* the first one; the caller's */
};

/* Sets error->message; returns -EINVAL, or -ENOMEM. */
int cedar_json_fail(struct cedar_json_error *error, const char *format, ...) _printf_(2, 3);

/*
 * The whole document, no key twice. Texts and keys are read by the two functions below, as some of them are
 * kept in another form (NUL is). -EINVAL with a message, -E2BIG with one, or -ENOMEM.
 */
int cedar_json_load(json_t **ret, const char *json, size_t size, size_t max, struct cedar_json_error *error);

/* A text in the arena, which the document need not outlast. */
int cedar_json_text(struct arena *arena, const json_t *json, struct cedar_text *ret);
int cedar_json_key(struct arena *arena, const char *key, struct cedar_text *ret);
/* {"type": …, "id": …}, by itself or as the value of "__entity"; what: "a principal", for the message. */
int cedar_json_uid(struct arena *arena, const json_t *json, const char *what, const struct cedar_uid **ret,
                struct cedar_json_error *error);
/* Any value; "__entity" and "__extn" are what they are in Cedar. */
int cedar_json_value(struct arena *arena, const json_t *json, struct cedar_value *ret,
                struct cedar_json_error *error);
/* The same of an object, always as a record. */
int cedar_json_record(struct arena *arena, const json_t *json, const struct cedar_record **ret,
                struct cedar_json_error *error);
/* A context: an object that is no other value than a record. */
int cedar_json_context(struct arena *arena, const json_t *json, const struct cedar_record **ret,
                struct cedar_json_error *error);
