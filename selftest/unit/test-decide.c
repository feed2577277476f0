/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions of peers: what is understood of them, what is refused, and how a decision is told. */
#include "context.h"
#include "explain.h"
#include "question.h"
#include "text.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define ARENA_BYTES (1024 * 1024)

static int read_question(struct arena *arena, const char *principal, const char *context,
                struct cedar_request *ret, char **ret_error) {
        Access__DecideRequest question = ACCESS__DECIDE_REQUEST__INIT;

        question.principal = (char *) principal;
        question.action = (char *) "StartVM";
        question.resource = (char *) "Module::\"admin\"";
        question.context = (char *) context;
        return access_read_question(arena, &question, ret, ret_error);
}

static int try_context(const char *context) {
        _cleanup_(arena_clear) struct arena arena = {};
        _cleanup_(freep) char *error = NULL;
        struct cedar_request request;
        int r;

        arena_init(&arena, ARENA_BYTES);
        r = read_question(&arena, "gui-vm", context, &request, &error);
        cr_expect(r == 0 ? !error : error && startswith(error, "Context"), "%s", strempty(error));
        return r;
}

/* prefix, n times piece, suffix. */
static char *repeat(const char *prefix, const char *piece, size_t n, const char *suffix) {
        char *text = malloc(strlen(prefix) + n * strlen(piece) + strlen(suffix) + 1), *at = text;

        cr_assert(text);
        at = stpcpy(at, prefix);
        for (size_t i = 0; i < n; i++)
                at = stpcpy(at, piece);
        stpcpy(at, suffix);
        return text;
}

Test(decide, a_question_is_read_as_the_rules_would_write_it) {
        _cleanup_(arena_clear) struct arena arena = {};
        struct cedar_request request;
        char *error;

        arena_init(&arena, ARENA_BYTES);
        cr_assert_eq(read_question(&arena, "gui-vm", "{\"VmName\": \"app-vm\"}", &request, &error), 0);
        cr_expect(cedar_text_equal(request.principal->type, CEDAR_TEXT("Source")));
        cr_expect(cedar_text_equal(request.action->type, CEDAR_TEXT("Command")));
        cr_expect(cedar_text_equal(request.resource->id, CEDAR_TEXT("admin")));
        cr_expect_eq(request.context->n, 1);

        cr_assert_eq(access_question_set_service(&arena, CEDAR_TEXT("AdminService"), &request), 0);
        cr_assert_eq(request.context->n, 2);
        cr_assert_eq(access_question_set_service(&arena, CEDAR_TEXT("Other"), &request), 0);
        cr_expect(cedar_text_equal(cedar_record_get(request.context, CEDAR_TEXT("service"))->text,
                        CEDAR_TEXT("AdminService")));
}

Test(decide, what_is_no_context_is_refused) {
        static const char *const nonsense[] = { "{", "[]", "1", "\"a\"", "{\"a\":}", "{\"a\": 1, \"a\": 2}",
                "{\"a\": 1.5}", "{\"a\": null}", "{\"a\": {\"__extn\": {\"fn\": \"ip\", \"arg\": \"x\"}}}",
                "{\"__entity\": {\"type\": \"A\", \"id\": \"b\"}}", "{} {}", "\xff" };
        const char whole[] = "{\"VmName\": \"app-vm\", \"Args\": [\"a\", {\"b\": [1, true]}]}";

        for (size_t i = 0; i < ELEMENTSOF(nonsense); i++)
                cr_expect_eq(try_context(nonsense[i]), -EINVAL, "%s", nonsense[i]);
        cr_expect_eq(try_context(whole), 0);
        for (size_t n = 1; n < sizeof(whole) - 1; n++) {
                _cleanup_(freep) char *cut = strndup(whole, n);

                cr_expect_eq(try_context(cut), -EINVAL, "%s", cut);
        }
}

Test(decide, a_context_has_no_more_than_a_call_has) {
        _cleanup_(freep) char *long_text = repeat("{\"a\": \"", "a", ACCESS_QUESTION_BYTES_MAX, "\"}");
        /* The object, the array, and what is in it. */
        _cleanup_(freep) char *most = repeat("{\"a\": [", "1,", ACCESS_CONTEXT_VALUES_MAX - 3, "1]}");
        _cleanup_(freep) char *many = repeat("{\"a\": [", "1,", ACCESS_CONTEXT_VALUES_MAX - 2, "1]}");
        _cleanup_(freep) char *deepest = repeat("", "{\"a\":", ACCESS_CONTEXT_DEPTH_MAX, "1");
        _cleanup_(freep) char *ends = repeat(deepest, "}", ACCESS_CONTEXT_DEPTH_MAX, "");
        _cleanup_(freep) char *deep = repeat("", "{\"a\":", ACCESS_CONTEXT_DEPTH_MAX + 1, "1");
        _cleanup_(freep) char *deep_ends = repeat(deep, "}", ACCESS_CONTEXT_DEPTH_MAX + 1, "");

        cr_expect_eq(try_context(long_text), -E2BIG);
        cr_expect_eq(try_context(most), 0);
        cr_expect_eq(try_context(many), -E2BIG);
        cr_expect_eq(try_context(ends), 0);
        cr_expect_eq(try_context(deep_ends), -E2BIG);
}

Test(decide, what_is_no_name_is_refused) {
        _cleanup_(freep) char *long_name = repeat("", "a", ACCESS_NAME_BYTES_MAX + 1, "");
        static const char *const nonsense[] = { "", "::", "Source::gui-vm", "Source::\"gui-vm", "::\"a\"",
                "Source::\"a\" x" };
        _cleanup_(arena_clear) struct arena arena = {}, small = {};
        _cleanup_(freep) char *too_long = NULL, *no_memory = NULL;
        struct cedar_request request;

        arena_init(&arena, ARENA_BYTES);
        for (size_t i = 0; i < ELEMENTSOF(nonsense); i++) {
                _cleanup_(freep) char *error = NULL;

                cr_expect_eq(read_question(&arena, nonsense[i], "", &request, &error), -EINVAL, "%s",
                                nonsense[i]);
                cr_expect(error && strstr(error, "Principal"), "%s", strempty(error));
        }
        cr_expect_eq(read_question(&arena, long_name, "", &request, &too_long), -E2BIG);
        arena_init(&small, 64);
        cr_expect_eq(read_question(&small, "gui-vm", "", &request, &no_memory), -ENOMEM);
}

static Access__DecideResponse *explain(
                struct arena *arena, struct cedar_policies **policies, const char *rules, size_t limit) {
        Access__DecideResponse *response = NULL;
        _cleanup_(freep) char *error = NULL;
        struct cedar_request request;

        cr_assert_eq(cedar_policies_new(policies, "/etc/r.cedar", rules, strlen(rules), &error), 0, "%s",
                        error);
        arena_init(arena, limit);
        cr_assert_eq(read_question(arena, "gui-vm", "{\"n\": 9223372036854775807}", &request, &error), 0);
        cr_assert_eq(access_explain(arena, *policies, NULL, &request, ACCESS_NEAR_ALL, &response), 0);
        return response;
}

Test(decide, who_decided_who_failed_and_who_is_near_are_told) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *first = NULL, *second = NULL;
        _cleanup_(arena_clear) struct arena arena = {}, other = {};
        Access__DecideResponse *said;

        said = explain(&arena, &first,
                        "permit (principal, action, resource) when { context.n + 1 > 2 };\n"
                        "@id(\"two\n words\") permit (principal == Source::\"gui-vm\", action, resource);",
                        ARENA_BYTES);
        cr_expect(said->allowed);
        cr_expect_str_eq(said->principal, "Source::\"gui-vm\"");
        cr_assert_eq(said->n_reasons, 1);
        cr_expect_str_eq(said->reasons[0]->id, "policy1");
        cr_expect_str_eq(said->reasons[0]->name, "two words");
        cr_expect_str_eq(said->reasons[0]->file, "/etc/r.cedar");
        cr_expect_eq(said->reasons[0]->line, 3);
        cr_assert_eq(said->n_errors, 1);
        cr_expect_str_eq(said->errors[0]->policy->id, "policy0");
        cr_expect_neq(said->errors[0]->message[0], '\0');

        said = explain(&other, &second,
                        "permit (principal, action, resource) when { true && context.n ==\n  1 };\n"
                        "permit (principal == Source::\"net-vm\", action, resource) unless { true };",
                        ARENA_BYTES);
        cr_expect(!said->allowed && said->n_reasons == 0);
        cr_assert_eq(said->n_nearest, 2);
        cr_expect_str_eq(said->nearest[0]->condition, "context.n == 1");
        cr_expect_eq(said->nearest[0]->met, 4);
        cr_expect_eq(said->nearest[0]->conditions, 5);
        cr_expect_eq(said->nearest[0]->line, 1);
        cr_expect_eq(said->nearest[0]->column, 53);
}

Test(decide, a_long_condition_is_cut_between_characters) {
        _cleanup_(arena_clear) struct arena arena = {};
        _cleanup_(freep) char *text = repeat("a", "ä", ACCESS_SHOWN_BYTES_MAX, "");
        char *cut;

        arena_init(&arena, ARENA_BYTES);
        cut = access_quote(&arena, cedar_text_of(text), ACCESS_SHOWN_BYTES_MAX);
        cr_expect(text_is_utf8(cut, strlen(cut)) && endswith(cut, "ä…"));
        cr_expect_leq(strlen(cut), ACCESS_SHOWN_BYTES_MAX + strlen("…"));
}
