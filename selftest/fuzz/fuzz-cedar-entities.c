/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entities out of JSON. */
#include "fuzz.h"

#include "cedar-entities.h"
#include "cedar-json.h"

#define ARENA_BYTES (16 * 1024 * 1024)

static const struct cedar_uid *read_uid(const json_t *json, struct arena *arena) {
        struct cedar_json_error error = { .name = "uid" };
        const struct cedar_uid *uid;

        must(cedar_json_uid(arena, json, "it", &uid, &error) == 0, "what was read is read again");
        return uid;
}

/* Each that stands there is there, and in its parents, and in theirs. */
static void check_entities(const struct cedar_entities *entities, const char *text, size_t size) {
        struct cedar_json_error error = { .name = "entities" };
        json_t *list, *json, *above;
        _cleanup_(arena_clear) struct arena arena = {};
        size_t i, k;

        must(cedar_json_load(&list, text, size, SIZE_MAX / 2, &error) == 0, "it is JSON");
        must(cedar_entities_count(entities) == json_array_size(list), "there are as many as stand there");
        arena_init(&arena, ARENA_BYTES);
        json_array_foreach(list, i, json) {
                const struct cedar_uid *uid = read_uid(json_object_get(json, "uid"), &arena);

                must(cedar_entities_find(entities, uid), "an entity is there");
                json_array_foreach(json_object_get(json, "parents"), k, above) {
                        const struct cedar_uid *parent = read_uid(above, &arena);
                        const struct cedar_entity *entity;

                        must(cedar_entities_is_in(entities, uid, parent), "it is in its parents");
                        entity = cedar_entities_find(entities, parent);
                        for (size_t n = 0; entity && n < entity->n_ancestors; n++)
                                must(cedar_entities_is_in(entities, uid, entity->ancestors[n]),
                                                "and in theirs");
                }
        }
        json_decref(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(cedar_entities_freep) struct cedar_entities *entities = NULL;
        _cleanup_(freep) char *error = NULL;
        int r = cedar_entities_new(&entities, "entities", (const char *) data, size, &error);

        must(r == 0 || (r == -EINVAL && error), "what cannot be read is said to be so");
        if (r == 0)
                check_entities(entities, (const char *) data, size);
        return 0;
}
