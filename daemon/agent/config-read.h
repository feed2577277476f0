/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Typed fields out of a JSON file. The first thing that is wrong ends the reading with a text that names
 * file, line and key, what was found, and what is allowed; keys that nobody knows are warned of and passed
 * over.
 */

#include "json-text.h"

/* Warnings kept of one file: past that, the rest is more of the same. */
#define CONFIG_WARNINGS_MAX 32
/* The longest "network.agent.transport.protocol" that we ask for, with an index. */
#define CONFIG_PLACE_MAX 128

struct config_reader {
        struct json_text json;
        char *error; /* "FILE:LINE: KEY: …": of the first failure */
        char *warnings[CONFIG_WARNINGS_MAX];
        size_t n_warnings;
};

#define CONFIG_READER_NULL ((struct config_reader){ .json = JSON_TEXT_NULL })

/* One object of the file. */
struct config_section {
        const json_t *object; /* NULL: absent or null, and every field in it is absent, too */
        char place[CONFIG_PLACE_MAX];
};

/* Loads the file. 0, or a negative errno with reader->error set. Clear the reader in either case. */
int config_reader_open(struct config_reader *reader, const char *path);
void config_reader_clear(struct config_reader *reader);

/*
 * Records "FILE:LINE: KEY: …" as the error and returns -EINVAL. The line is the key's or, where it is
 * missing, that of what it is missing from. key may be "name[3]"; NULL: the section itself.
 */
int config_reader_fail(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *format, ...) _printf_(4, 5);

/*
 * Enters parent[key] (parent NULL: the file's outermost object), which must be an object, and warns of keys
 * in it that are not in known (NULL-terminated). 1; 0 where it is absent; or -EINVAL, recorded.
 */
int config_read_section(struct config_reader *reader, const struct config_section *parent, const char *key,
                const char *const *known, struct config_section *ret);

/*
 * Enters parent[key][index], an element of a list of objects. 1; 0 where the list is absent or null, or has
 * no such element; or -EINVAL, recorded.
 */
int config_read_element(struct config_reader *reader, const struct config_section *parent, const char *key,
                size_t index, const char *const *known, struct config_section *ret);

/*
 * Read one field. They return 1; 0 where it is absent or null, with *ret untouched; -EINVAL, recorded, or
 * -ENOMEM. allowed is what follows "must be" in the error. Texts become the caller's.
 */
int config_read_bool(struct config_reader *reader, const struct config_section *section, const char *key,
                bool *ret);
int config_read_uint(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *allowed, uint32_t *ret);
int config_read_string(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *allowed, char **ret);
/* A list of texts, each accepted by is_valid; NULL-terminated; at most max of them. */
int config_read_strings(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *allowed, bool (*is_valid)(const char *s), size_t max, char ***ret);

/* What such a list is freed with; takes NULL. */
char **config_strings_free(char **strings);
DEFINE_CLEANUP(char *, config_strings_free)
