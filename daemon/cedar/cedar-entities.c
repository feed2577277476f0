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
        enum visit *visits;          /* by index, while ancestors are found */
        size_t n_ancestors;          /* of all of them together */
};

/* On the way from an entity to what it is in. */
struct step {
        struct cedar_entity *entity;
        size_t next; /* of its parents */
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

/* Lists in order that stand one behind the other, each up to its end, are merged by twos into one. Returns
 * how many it has; *items and *spare, which has as much room, may change places. */
static size_t merge_lists(const struct cedar_uid ***items, const struct cedar_uid ***spare, size_t *ends,
                size_t n_lists) {
        while (n_lists > 1) {
                const struct cedar_uid **in = *items, **out = *spare;
                size_t start = 0, n = 0, merged = 0;

                for (size_t i = 0; i < n_lists; i += 2) {
                        size_t middle = ends[i], end = i + 1 < n_lists ? ends[i + 1] : middle;

                        n += merge_uids(out + n, in + start, middle - start, in + middle, end - middle);
                        ends[merged++] = n;
                        start = end;
                }
                *items = out;
                *spare = in;
                n_lists = merged;
        }
        return ends[0];
}

/* Its parents, which is what its list has as long as it was not visited, and what those are in: size of them
 * in n_lists lists, where some are named more than once. */
static int join_ancestors(
                struct cedar_entities *entities, struct cedar_entity *entity, size_t size, size_t n_lists) {
        _cleanup_(freep) const struct cedar_uid **room = malloc(2 * size * sizeof(*room));
        _cleanup_(freep) size_t *ends = malloc(n_lists * sizeof(*ends));
        const struct cedar_uid **items = room, **spare = room + size;
        size_t n = entity->n_ancestors;

        if (!room || !ends)
                return -ENOMEM;
        memcpy(items, entity->ancestors, n * sizeof(*items));
        ends[0] = n;
        n_lists = 1;
        for (size_t i = 0; i < entity->n_ancestors; i++) {
                const struct cedar_entity *parent = *find_slot(entities, entity->ancestors[i]);

                if (!parent || parent->n_ancestors == 0)
                        continue;
                memcpy(items + n, parent->ancestors, parent->n_ancestors * sizeof(*items));
                n += parent->n_ancestors;
                ends[n_lists++] = n;
        }
        n = merge_lists(&items, &spare, ends, n_lists);
        entity->ancestors = arena_alloc(&entities->arena, n * sizeof(*items));
        if (!entity->ancestors)
                return -ENOMEM;
        memcpy(entity->ancestors, items, n * sizeof(*items));
        entity->n_ancestors = n;
        return 0;
}

/* Its parents have been visited. */
static int add_ancestors(struct cedar_entities *entities, struct cedar_entity *entity,
                struct cedar_json_error *error) {
        size_t size = entity->n_ancestors, n_lists = 1;
        int r = 0;

        for (size_t i = 0; i < entity->n_ancestors; i++) {
                const struct cedar_entity *parent = *find_slot(entities, entity->ancestors[i]);

                size += parent ? parent->n_ancestors : 0;
                n_lists += parent && parent->n_ancestors > 0;
        }
        if (n_lists > 1)
                r = join_ancestors(entities, entity, size, n_lists);
        entities->n_ancestors += entity->n_ancestors;
        if (r == 0 && entities->n_ancestors > CEDAR_ANCESTORS_MAX)
                return cedar_json_fail(
                                error, "entities are in more than %d others, together", CEDAR_ANCESTORS_MAX);
        return r;
}

static enum visit *visit_of(const struct cedar_entities *entities, const struct cedar_entity *entity) {
        return &entities->visits[entity - entities->entities];
}

/* Parents before their children. path has room for all entities. */
static int find_ancestors(struct cedar_entities *entities, struct cedar_entity *entity, struct step *path,
                struct cedar_json_error *error) {
        size_t n = 0;
        int r;

        if (*visit_of(entities, entity) == VISITED)
                return 0;
        for (path[n++] = (struct step){ .entity = entity }; n > 0;) {
                struct step *step = &path[n - 1];
                struct cedar_entity *parent;

                *visit_of(entities, step->entity) = VISITING;
                if (step->next == step->entity->n_ancestors) {
                        r = add_ancestors(entities, step->entity, error);
                        if (r < 0)
                                return r;
                        *visit_of(entities, step->entity) = VISITED;
                        n--;
                        continue;
                }
                parent = *find_slot(entities, step->entity->ancestors[step->next++]);
                if (!parent || *visit_of(entities, parent) == VISITED)
                        continue;
                if (*visit_of(entities, parent) == VISITING)
                        return cedar_json_fail(error, "%s::\"%s\" is in itself", parent->uid->type.s,
                                        parent->uid->id.s);
                path[n++] = (struct step){ .entity = parent };
        }
        return 0;
}

static int find_all_ancestors(struct cedar_entities *entities, struct cedar_json_error *error) {
        _cleanup_(freep) struct step *path = calloc(entities->n + 1, sizeof(*path));
        int r = 0;

        entities->visits = calloc(entities->n + 1, sizeof(*entities->visits));
        if (!path || !entities->visits)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < entities->n; i++)
                r = find_ancestors(entities, &entities->entities[i], path, error);
        free(TAKE_PTR(entities->visits));
        return r;
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
        if (!entities->entities || !entities->table)
                return -ENOMEM;
        r = read_all(entities, json, error);
        return r < 0 ? r : find_all_ancestors(entities, error);
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
