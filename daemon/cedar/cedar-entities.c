/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-entities.h"

#include "cedar-json.h"
#include "text.h"

#include <stdio.h>

/* Decoded, JSON takes a multiple of its length. */
#define ARENA_BYTES ((size_t) 16 * CEDAR_ENTITIES_BYTES_MAX)

/* While ancestors are found: an entity that is met while it is visited is in itself. */
enum visit {
        NOT_VISITED,
        VISITING,
        VISITED,
};

struct cedar_entities {
        struct arena arena;
        size_t n, n_slots; /* of the table: a power of two */
        struct cedar_entity *entities;
        struct cedar_entity **table; /* by hash, and onwards */
        enum visit *visits;          /* by index, while they are read */
        size_t n_ancestors;          /* of all of them together */
};

/* Its place in the table: where it stands, or would. */
static struct cedar_entity **find_slot(const struct cedar_entities *entities, const struct cedar_uid *uid) {
        size_t i = uid->hash & (entities->n_slots - 1);

        while (entities->table[i] && !cedar_uid_equal(entities->table[i]->uid, uid))
                i = (i + 1) & (entities->n_slots - 1);
        return &entities->table[i];
}

const struct cedar_entity *cedar_entities_find(
                const struct cedar_entities *entities, const struct cedar_uid *uid) {
        return entities && entities->n > 0 ? *find_slot(entities, uid) : NULL;
}

size_t cedar_entities_count(const struct cedar_entities *entities) {
        return entities ? entities->n : 0;
}

static int compare_uids(const void *a, const void *b) {
        return cedar_uid_compare(*(const struct cedar_uid *const *) a, *(const struct cedar_uid *const *) b);
}

bool cedar_entities_is_in(const struct cedar_entities *entities, const struct cedar_uid *uid,
                const struct cedar_uid *ancestor) {
        const struct cedar_entity *entity;

        if (cedar_uid_equal(uid, ancestor))
                return true;
        entity = cedar_entities_find(entities, uid);
        return entity && entity->n_ancestors > 0 &&
                        bsearch(&ancestor, entity->ancestors, entity->n_ancestors,
                                        sizeof(*entity->ancestors), compare_uids);
}

/* ---- what they are in ---- */

/* Each once, in order: how many remain. */
static size_t sort_uids(const struct cedar_uid **uids, size_t n) {
        size_t kept = 0;

        cedar_sort(uids, n, sizeof(*uids), compare_uids);
        for (size_t i = 0; i < n; i++)
                if (kept == 0 || !cedar_uid_equal(uids[kept - 1], uids[i]))
                        uids[kept++] = uids[i];
        return kept;
}

/* Two lists in order into one. */
static size_t merge_uids(const struct cedar_uid **out, const struct cedar_uid *const *a, size_t n_a,
                const struct cedar_uid *const *b, size_t n_b) {
        size_t n = 0, i = 0, j = 0;

        while (i < n_a || j < n_b) {
                int r = i == n_a ? 1 : j == n_b ? -1 : cedar_uid_compare(a[i], b[j]);

                out[n++] = r <= 0 ? a[i] : b[j];
                i += r <= 0;
                j += r >= 0;
        }
        return n;
}

/* Adds what its parents are in to its parents, which is what its list has as long as it was not visited. */
static int find_ancestors(struct cedar_entities *entities, struct cedar_entity *entity, unsigned depth,
                struct cedar_json_error *error) {
        enum visit *visit = &entities->visits[entity - entities->entities];
        const struct cedar_uid **parents = entity->ancestors, **all = entity->ancestors;
        size_t n = entity->n_ancestors, n_parents = n;
        int r;

        if (*visit == VISITED)
                return 0;
        if (*visit == VISITING)
                return cedar_json_fail(
                                error, "%s::\"%s\" is in itself", entity->uid->type.s, entity->uid->id.s);
        if (depth > CEDAR_JSON_DEPTH_MAX)
                return cedar_json_fail(
                                error, "entities are in each other more than %d deep", CEDAR_JSON_DEPTH_MAX);
        *visit = VISITING;
        for (size_t i = 0; i < n_parents; i++) {
                struct cedar_entity *parent = *find_slot(entities, parents[i]);
                const struct cedar_uid **merged;

                r = parent ? find_ancestors(entities, parent, depth + 1, error) : 0;
                if (r < 0)
                        return r;
                if (!parent || parent->n_ancestors == 0)
                        continue;
                merged = arena_alloc(&entities->arena, (n + parent->n_ancestors) * sizeof(*merged));
                if (!merged)
                        return -ENOMEM;
                n = merge_uids(merged, (const struct cedar_uid *const *) all, n,
                                (const struct cedar_uid *const *) parent->ancestors, parent->n_ancestors);
                all = merged;
        }
        entities->n_ancestors += n;
        if (entities->n_ancestors > CEDAR_ANCESTORS_MAX)
                return cedar_json_fail(
                                error, "entities are in more than %d others, together", CEDAR_ANCESTORS_MAX);
        entity->ancestors = all;
        entity->n_ancestors = n;
        *visit = VISITED;
        return 0;
}

/* ---- reading ---- */

/* Of the type Action, or of one of that name in a namespace: those are in each other alone. */
static bool is_action(const struct cedar_uid *uid) {
        return uid->type.n == 6 ? cedar_text_equal(uid->type, CEDAR_TEXT("Action"))
                                : endswith(uid->type.s, "::Action");
}

static int read_parents(struct cedar_entities *entities, const json_t *json, struct cedar_entity *entity,
                struct cedar_json_error *error) {
        size_t n = json_array_size(json);
        int r;

        if (json && !json_is_array(json))
                return cedar_json_fail(error, "\"parents\" of %s::\"%s\" is no array", entity->uid->type.s,
                                entity->uid->id.s);
        entity->ancestors = arena_alloc(&entities->arena, n * sizeof(*entity->ancestors));
        if (!entity->ancestors)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = cedar_json_uid(&entities->arena, json_array_get(json, i), "a parent",
                                &entity->ancestors[i], error);
                if (r < 0)
                        return r;
                if (is_action(entity->uid) && !is_action(entity->ancestors[i]))
                        return cedar_json_fail(error,
                                        "%s::\"%s\", an action, is in %s::\"%s\", which is none",
                                        entity->uid->type.s, entity->uid->id.s, entity->ancestors[i]->type.s,
                                        entity->ancestors[i]->id.s);
        }
        entity->n_ancestors = sort_uids(entity->ancestors, n);
        return 0;
}

static int read_attributes(struct arena *arena, const json_t *json, const struct cedar_record **ret,
                struct cedar_json_error *error) {
        static const struct cedar_record empty = {};

        *ret = &empty;
        return json ? cedar_json_record(arena, json, ret, error) : 0;
}

static int read_entity(struct cedar_entities *entities, const json_t *json, struct cedar_entity *entity,
                struct cedar_json_error *error) {
        struct arena *arena = &entities->arena;
        int r;

        /* As with Cedar's own: "tags" may be absent, and others be there. */
        if (!json_object_get(json, "uid") || !json_object_get(json, "attrs") ||
                        !json_object_get(json, "parents"))
                return cedar_json_fail(error,
                                "an entity is an object of \"uid\", \"attrs\", \"parents\" and, if it has "
                                "any, "
                                "\"tags\"");
        r = cedar_json_uid(arena, json_object_get(json, "uid"), "\"uid\" of an entity", &entity->uid, error);
        if (r == 0)
                r = read_attributes(arena, json_object_get(json, "attrs"), &entity->attributes, error);
        if (r == 0)
                r = read_attributes(arena, json_object_get(json, "tags"), &entity->tags, error);
        return r < 0 ? r : read_parents(entities, json_object_get(json, "parents"), entity, error);
}

static bool records_equal(const struct cedar_record *a, const struct cedar_record *b) {
        const struct cedar_value value_a = { .kind = CEDAR_RECORD, .record = a },
                                 value_b = { .kind = CEDAR_RECORD, .record = b };

        return cedar_value_compare(&value_a, &value_b) == 0;
}

/* Before what they are in is added to their parents. */
static bool entities_equal(const struct cedar_entity *a, const struct cedar_entity *b) {
        if (a->n_ancestors != b->n_ancestors)
                return false;
        for (size_t i = 0; i < a->n_ancestors; i++)
                if (!cedar_uid_equal(a->ancestors[i], b->ancestors[i]))
                        return false;
        return records_equal(a->attributes, b->attributes) && records_equal(a->tags, b->tags);
}

static int read_all(struct cedar_entities *entities, const json_t *json, struct cedar_json_error *error) {
        struct cedar_entity **slot;
        char where[32]; /* counted from 0, as jq does */
        int r;

        error->where = where;
        for (size_t i = 0; i < entities->n; i++) {
                (void) snprintf(where, sizeof(where), "entity %zu", i);
                r = read_entity(entities, json_array_get(json, i), &entities->entities[i], error);
                if (r < 0)
                        return r;
                slot = find_slot(entities, entities->entities[i].uid);
                /* The same once more is not found, and does no harm. */
                if (*slot && entities_equal(*slot, &entities->entities[i]))
                        continue;
                if (*slot)
                        return cedar_json_fail(error, "%s::\"%s\" stands there twice, each time otherwise",
                                        (*slot)->uid->type.s, (*slot)->uid->id.s);
                *slot = &entities->entities[i];
        }
        error->where = NULL;
        for (size_t i = 0; i < entities->n; i++) {
                r = find_ancestors(entities, &entities->entities[i], 0, error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_entities(
                struct cedar_entities *entities, const json_t *json, struct cedar_json_error *error) {
        int r;

        if (!json_is_array(json))
                return cedar_json_fail(error, "an array of entities is expected");
        entities->n = json_array_size(json);
        entities->n_slots = 4;
        while (entities->n_slots < entities->n * 2)
                entities->n_slots *= 2;
        entities->entities = arena_alloc0(&entities->arena, entities->n * sizeof(*entities->entities));
        entities->table = arena_alloc0(&entities->arena, entities->n_slots * sizeof(*entities->table));
        entities->visits = calloc(entities->n + 1, sizeof(*entities->visits));
        if (!entities->entities || !entities->table || !entities->visits)
                return -ENOMEM;
        r = read_all(entities, json, error);
        free(TAKE_PTR(entities->visits));
        return r;
}

int cedar_entities_new(struct cedar_entities **ret, const char *name, const char *json, size_t size,
                char **ret_error) {
        _cleanup_(cedar_entities_freep) struct cedar_entities *entities = calloc(1, sizeof(*entities));
        struct cedar_json_error error = { .name = name };
        json_t *document = NULL;
        int r;

        *ret_error = NULL;
        if (!entities)
                return -ENOMEM;
        arena_init(&entities->arena, ARENA_BYTES);
        r = cedar_json_load(&document, json, size, CEDAR_ENTITIES_BYTES_MAX, &error);
        if (r == 0)
                r = read_entities(entities, document, &error);
        json_decref(document);
        *ret_error = error.message;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(entities);
        return 0;
}

struct cedar_entities *cedar_entities_free(struct cedar_entities *entities) {
        if (!entities)
                return NULL;
        free(entities->visits);
        arena_clear(&entities->arena);
        free(entities);
        return NULL;
}
