/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Entities: their attributes, tags, and what they are in
 * (https://docs.cedarpolicy.com/auth/entities-syntax.html). */

#include "cedar-value.h"

/* A file of entities. */
#define CEDAR_ENTITIES_BYTES_MAX (16 * 1024 * 1024)
/* Entities that all entities are in, counted together, directly or not: a chain of n makes n²/2. */
#define CEDAR_ANCESTORS_MAX (1024 * 1024)

struct cedar_entity {
        const struct cedar_uid *uid;
        const struct cedar_record *attributes, *tags;
        const struct cedar_uid **ancestors; /* all of them, in order */
        size_t n_ancestors;
};

struct cedar_entities;

/*
 * Reads them out of JSON: an array of {"uid", "attrs", "parents", "tags"}. Everything about them is checked
 * now: values, names that stand twice, and circles. -EINVAL: *ret_error, which becomes the caller's, says
 * NAME:… and what is wrong; -E2BIG, likewise; -ENOMEM, with *ret_error NULL.
 */
int cedar_entities_new(struct cedar_entities **ret, const char *name, const char *json, size_t size,
                char **ret_error);
struct cedar_entities *cedar_entities_free(struct cedar_entities *entities);
DEFINE_CLEANUP(struct cedar_entities, cedar_entities_free)

/* NULL, also for entities NULL: there is no such entity. */
const struct cedar_entity *cedar_entities_find(
                const struct cedar_entities *entities, const struct cedar_uid *uid);
size_t cedar_entities_count(const struct cedar_entities *entities);

/* Whether it is that one, or in it. */
bool cedar_entities_is_in(const struct cedar_entities *entities, const struct cedar_uid *uid,
                const struct cedar_uid *ancestor);
