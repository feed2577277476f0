/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cedar's entities: what they are read as, and what cannot be. */
#include "cedar-load.h"

#include <stdio.h>

static void expect_entities_refusal(const char *json) {
        _cleanup_(freep) char *error = NULL;
        struct cedar_entities *entities = NULL;

        cr_expect_eq(cedar_entities_new(&entities, "entities", json, strlen(json), &error), -EINVAL, "%s",
                        json);
        cr_expect(startswith(strempty(error), "entities:"), "%s", strempty(error));
        cedar_entities_free(entities);
}

/* The entity A::"…", which there is. */
static const struct cedar_entity *find_entity(const struct cedar_entities *entities, struct cedar_text id) {
        _cleanup_(arena_clear) struct arena arena = {};
        const struct cedar_entity *entity;

        arena_init(&arena, 4096);
        entity = cedar_entities_find(entities, cedar_uid_new(&arena, CEDAR_TEXT("A"), id));
        cr_assert(entity);
        return entity;
}

Test(cedar_entities, entities_that_cannot_be_are_refused) {
        static const char *const entities[] = {
                "{}",
                "[1]",
                "[{'uid': {'type': 'A'}, 'attrs': {}, 'parents': []}]",
                "[{'uid': {'type': 'if', 'id': ''}, 'attrs': {}, 'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {}}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {'a': null}, 'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {'a': 1.5}, 'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {'a': 9223372036854775808}, 'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {'a': {'__expr': '1'}}, 'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {'a': {'__extn': {'fn': 'ip', 'arg': 'x'}}}, "
                "'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {'a': {'__extn': {'fn': 'contains', 'args': "
                "[1, "
                "1]}}}, 'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {'a': {'__extn': {'fn': 'ip', 'args': ['::1', "
                "'::1', '::1']}}}, 'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {}, 'parents': []},"
                " {'uid': {'type': 'A', 'id': '1'}, 'attrs': {'a': 1}, 'parents': []}]",
                "[{'uid': {'type': 'A', 'id': '1'}, 'attrs': {}, 'parents': [{'type': 'A', 'id': '2'}]},"
                " {'uid': {'type': 'A', 'id': '2'}, 'attrs': {}, 'parents': [{'type': 'A', 'id': '1'}]}]",
                "[{'uid': {'type': 'Action', 'id': '1'}, 'attrs': {}, 'parents': [{'type': 'A', 'id': "
                "'2'}]}]",
        };

        for (size_t i = 0; i < ELEMENTSOF(entities); i++) {
                _cleanup_(freep) char *json = quoted(entities[i]);

                expect_entities_refusal(json);
        }
}

Test(cedar_entities, entities_are_read_as_liberally_as_by_cedars_own) {
        _cleanup_(freep) char *json =
                        quoted("[{'uid': {'__entity': {'type': 'A', 'id': '1'}}, 'attrs': {'a': {'__extn': "
                               "1}, 'b': {'__entity': "
                               "{'type': 'A', 'id': '1'}, 'x': 1}}, 'parents': [{'type': 'B', 'id': '', "
                               "'__entity': 1}], "
                               "'other': 1},"
                               " {'uid': {'type': 'A', 'id': '1'}, 'attrs': {'b': {'x': 1, '__entity': "
                               "{'type': 'A', 'id': "
                               "'1'}}, 'a': {'__extn': 1}}, 'parents': [{'type': 'B', 'id': ''}]}]");
        _cleanup_(cedar_entities_freep) struct cedar_entities *entities = load_entities(json);
        const struct cedar_entity *entity = find_entity(entities, CEDAR_TEXT("1"));
        const struct cedar_value *value;

        cr_assert_eq(entity->n_ancestors, 1);
        for (size_t i = 0; i < 2; i++) {
                value = cedar_record_get(entity->attributes, i == 0 ? CEDAR_TEXT("a") : CEDAR_TEXT("b"));
                cr_expect(value && value->kind == CEDAR_RECORD && value->record->n == i + 1);
        }
}

Test(cedar_entities, values_may_be_what_methods_come_to) {
        _cleanup_(freep) char *json = quoted(
                        "[{'uid': {'type': 'A', 'id': '1'}, 'parents': [], 'attrs': {"
                        "'a': {'__extn': {'fn': 'isLoopback', 'arg': {'__extn': {'fn': 'ip', 'arg': "
                        "'::1'}}}},"
                        "'b': {'__extn': {'fn': 'offset', 'args': [{'__extn': {'fn': 'datetime', 'arg': "
                        "'1970-01-01'}}, {'__extn': {'fn': 'duration', 'arg': '1s'}}]}}}}]");
        _cleanup_(cedar_entities_freep) struct cedar_entities *entities = load_entities(json);
        const struct cedar_entity *entity = find_entity(entities, CEDAR_TEXT("1"));
        const struct cedar_value *value;

        value = cedar_record_get(entity->attributes, CEDAR_TEXT("a"));
        cr_expect(value && value->kind == CEDAR_BOOL && value->boolean);
        value = cedar_record_get(entity->attributes, CEDAR_TEXT("b"));
        cr_expect(value && value->kind == CEDAR_DATETIME && value->number == 1000);
}

/* n entities of which each is in the next width ones. */
static char *web_of_entities(size_t n, size_t width) {
        char *json = malloc(n * (64 + width * 28) + 16), *p = json;

        *p++ = '[';
        for (size_t i = 0; i < n; i++) {
                p += sprintf(p,
                                "%s{\"uid\": {\"type\": \"A\", \"id\": \"%zu\"}, \"attrs\": {}, "
                                "\"parents\": [",
                                i == 0 ? "" : ",", i);
                for (size_t j = i + 1; j <= MIN(i + width, n - 1); j++)
                        p += sprintf(p, "%s{\"type\": \"A\", \"id\": \"%zu\"}", j == i + 1 ? "" : ",", j);
                p = stpcpy(p, "]}");
        }
        strcpy(p, "]");
        return json;
}

Test(cedar_entities, entities_may_be_deep_in_others) {
        for (size_t width = 1; width <= 40; width += 39) {
                _cleanup_(freep) char *json = web_of_entities(1000, width),
                                      *more = web_of_entities(1500, width);
                _cleanup_(cedar_entities_freep) struct cedar_entities *entities = load_entities(json);
                _cleanup_(arena_clear) struct arena arena = {};
                const struct cedar_uid *first, *last;

                arena_init(&arena, 4096);
                first = cedar_uid_new(&arena, CEDAR_TEXT("A"), CEDAR_TEXT("0"));
                last = cedar_uid_new(&arena, CEDAR_TEXT("A"), CEDAR_TEXT("999"));
                cr_expect(cedar_entities_is_in(entities, first, last));
                cr_expect(!cedar_entities_is_in(entities, last, first));
                cr_expect_eq(cedar_entities_find(entities, first)->n_ancestors, 999);
                expect_entities_refusal(more);
        }
}

Test(cedar_entities, texts_with_nul_are_kept_whole) {
        static const char json[] = "[{\"uid\": {\"type\": \"A\", \"id\": \"a\\u0000b\"}, \"parents\": [], "
                                   "\"attrs\": {\"k\\u0000\": "
                                   "\"\\\\u0000\\udbff\\udfff\"}}]";
        _cleanup_(cedar_entities_freep) struct cedar_entities *entities = load_entities(json);
        const struct cedar_entity *entity = find_entity(entities, CEDAR_TEXT("a\0b"));
        const struct cedar_value *value;

        value = cedar_record_get(entity->attributes, CEDAR_TEXT("k\0"));
        cr_assert(value);
        cr_expect(cedar_text_equal(value->text, CEDAR_TEXT("\\u0000\xF4\x8F\xBF\xBF")));
}
