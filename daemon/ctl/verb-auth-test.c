/* SPDX-License-Identifier: GPL-2.0-or-later */
/* auth test: whether rules in a file decide as a file of expectations says, for CI. */
#include "auth.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "text.h"
#include "verb.h"

#include <inttypes.h>

/* Some ten thousand expectations. */
#define TESTS_BYTES_MAX ((size_t) 16 * 1024 * 1024)

struct expectation {
        struct cedar_request request;
        struct cedar_text name; /* n is 0: none */
        bool allow;
        bool by; /* n_rules says something: 0: no rule may have decided */
        struct cedar_text *rules;
        size_t n_rules;
};

struct tests {
        const struct auth_files *files;
        json_t *failures; /* NULL: they are printed as they are found */
        uint64_t n_passed, n_failed;
        bool broken; /* some of them could not be read */
};

/* ---- expectations ---- */

static int read_rules(struct arena *arena, const json_t *by, struct expectation *ret,
                struct cedar_json_error *error) {
        size_t n = json_is_array(by) ? json_array_size(by) : 1;

        ret->by = true;
        ret->rules = arena_alloc(arena, n * sizeof(*ret->rules));
        if (!ret->rules)
                return -ENOMEM;
        for (ret->n_rules = 0; ret->n_rules < n; ret->n_rules++) {
                const json_t *rule = json_is_array(by) ? json_array_get(by, ret->n_rules) : by;

                if (!json_is_string(rule))
                        return cedar_json_fail(error, "by is a rule's id or @id, or an array of these");
                if (cedar_json_text(arena, rule, &ret->rules[ret->n_rules]) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* A member that is misspelt would go for one that is not there. */
static int check_members(const json_t *json, struct cedar_json_error *error) {
        static const char *const known[] = { "principal", "action", "resource", "context", "expect", "by",
                "name" };
        const char *key;
        json_t *value;

        json_object_foreach((json_t *) json, key, value) {
                bool found = false;

                for (size_t i = 0; i < ELEMENTSOF(known); i++)
                        found = found || streq(key, known[i]);
                if (!found) {
                        _cleanup_(freep) char *shown = text_escape(key, strlen(key), 40);

                        return cedar_json_fail(error,
                                        "\"%s\" is no member of an expectation: known are principal, "
                                        "action, "
                                        "resource, context, expect, by and name",
                                        strempty(shown));
                }
        }
        return 0;
}

static int read_expectation(struct arena *arena, const json_t *json, struct expectation *ret,
                struct cedar_json_error *error) {
        const char *expect = json_string_value(json_object_get(json, "expect"));
        const json_t *name = json_object_get(json, "name"), *by = json_object_get(json, "by");
        int r;

        if (!json_is_object(json))
                return cedar_json_fail(error, "an object is expected");
        r = check_members(json, error);
        if (r < 0)
                return r;
        if (!expect || (!streq(expect, "allow") && !streq(expect, "deny")))
                return cedar_json_fail(error, "expect is \"allow\" or \"deny\"");
        ret->allow = streq(expect, "allow");
        if (name && !json_is_string(name))
                return cedar_json_fail(error, "name is a text");
        r = name ? cedar_json_text(arena, name, &ret->name) : 0;
        if (r >= 0 && by)
                r = read_rules(arena, by, ret, error);
        return r < 0 ? r : auth_read_request(arena, json, &ret->request, error);
}

/* ---- judging ---- */

static bool is_rule(const struct cedar_policy *policy, struct cedar_text name) {
        return cedar_text_equal(policy->id, name) ||
                        (policy->name.n > 0 && cedar_text_equal(policy->name, name));
}

/* The first rule that was to decide and did not; NULL: there is none. */
static const struct cedar_text *find_absent(
                const struct expectation *expectation, const struct cedar_decision *decision) {
        for (size_t i = 0; i < expectation->n_rules; i++) {
                bool found = false;

                for (size_t j = 0; j < decision->n_reasons; j++)
                        found = found || is_rule(decision->reasons[j], expectation->rules[i]);
                if (!found)
                        return &expectation->rules[i];
        }
        return NULL;
}

static bool is_met(const struct expectation *expectation, const struct cedar_decision *decision) {
        if (decision->allow != expectation->allow)
                return false;
        if (!expectation->by)
                return true;
        return expectation->n_rules == 0 ? decision->n_reasons == 0 : !find_absent(expectation, decision);
}

static void print_expected(const struct expectation *expectation, const struct cedar_decision *decision) {
        const struct cedar_text *absent = find_absent(expectation, decision);

        fputs(expectation->allow ? "expected allow" : "expected deny", stdout);
        if (decision->allow != expectation->allow || !expectation->by)
                return;
        fputs(" by ", stdout);
        auth_print_text(absent ? *absent : cedar_text_of("no rule"));
}

static void print_decided(const Access__DecideResponse *decision) {
        if (decision->n_reasons == 0)
                fputs(", but no rule permits it", stdout);
        if (decision->n_nearest > 0) {
                fputs("; near: ", stdout);
                auth_print_near(decision->nearest[0]);
        }
        for (size_t i = 0; i < decision->n_reasons; i++) {
                fputs(i > 0                                         ? ", "
                                                : decision->allowed ? ", but permitted by "
                                                                    : ", but forbidden by ",
                                stdout);
                auth_print_policy(decision->reasons[i]);
        }
        for (size_t i = 0; i < decision->n_errors; i++) {
                fputs("; not counted: ", stdout);
                auth_print_policy(decision->errors[i]->policy);
                fputs(" fails: ", stdout);
                output_text(stdout, decision->errors[i]->message);
        }
}

static int print_failure(const char *where, const struct expectation *expectation,
                const struct cedar_decision *decision, const Access__DecideResponse *words) {
        fputs(where, stdout);
        if (expectation->name.n > 0) {
                fputs(" (", stdout);
                auth_print_text(expectation->name);
                putchar(')');
        }
        fputs(": ", stdout);
        print_expected(expectation, decision);
        print_decided(words);
        putchar('\n');
        return 0;
}

static int add_failure(struct tests *tests, const char *where, const struct expectation *expectation,
                const Access__DecideResponse *words) {
        json_t *failure = auth_decision_json(words);

        if (!failure || json_object_set_new(failure, "where", output_text_json(where)) < 0 ||
                        json_object_set_new(failure, "name",
                                        expectation->name.n > 0 ? json_stringn_nocheck(expectation->name.s,
                                                                                  expectation->name.n)
                                                                : json_null()) < 0 ||
                        json_object_set_new(failure, "expect",
                                        json_string(expectation->allow ? "allow" : "deny")) < 0) {
                json_decref(failure);
                return -ENOMEM;
        }
        return json_array_append_new(tests->failures, failure) < 0 ? -ENOMEM : 0;
}

/* where: of what the expectation is. One that cannot be read does not keep the others from being tested. */
static int test_one(struct tests *tests, const char *where, const json_t *json) {
        _cleanup_(arena_clear) struct arena arena = {};
        struct cedar_json_error error = { .name = where };
        struct expectation expectation = {};
        struct cedar_decision decision;
        Access__DecideResponse *words;
        int r;

        arena_init(&arena, AUTH_DECISION_BYTES);
        r = read_expectation(&arena, json, &expectation, &error);
        if (r < 0) {
                complain("%s", error.message ?: strerror(-r));
                free(error.message);
                tests->broken = true;
                return 0;
        }
        r = cedar_authorize(tests->files->policies, tests->files->entities, &expectation.request, &arena,
                        &decision);
        if (r < 0)
                return r;
        if (is_met(&expectation, &decision)) {
                tests->n_passed++;
                return 0;
        }
        tests->n_failed++;
        r = auth_explain(tests->files, &expectation.request,
                        tests->failures ? ACCESS_NEAR_NONE : ACCESS_NEAR_ALL, &arena, &words);
        if (r < 0)
                return r;
        return tests->failures ? add_failure(tests, where, &expectation, words)
                               : print_failure(where, &expectation, &decision, words);
}

/* ---- files ---- */

static int test_array(struct tests *tests, const char *name, const json_t *array) {
        for (size_t i = 0; i < json_array_size(array); i++) {
                _cleanup_(freep) char *where = text_printf("%s[%zu]", name, i);
                int r = where ? test_one(tests, where, json_array_get(array, i)) : -ENOMEM;

                if (r < 0)
                        return r;
        }
        return 0;
}

static int test_line(struct tests *tests, const char *name, size_t number, const char *line, size_t n) {
        _cleanup_(freep) char *where = text_printf("%s:%zu", name, number);
        struct cedar_json_error error = { .name = where };
        json_t *json = NULL;
        int r;

        if (!where)
                return -ENOMEM;
        r = cedar_json_load(&json, line, n, TESTS_BYTES_MAX, &error);
        if (r == 0)
                r = test_one(tests, where, json);
        else if (error.message) {
                complain("%s", error.message);
                tests->broken = true;
                r = 0;
        }
        json_decref(json);
        free(error.message);
        return r;
}

static int test_lines(struct tests *tests, const char *name, const char *text, size_t size) {
        const char *end = text + size;

        for (size_t number = 1; text < end; number++) {
                const char *newline = memchr(text, '\n', (size_t) (end - text)), *stop = newline ?: end;
                int r = 0;

                if (strspn(text, " \t\r\n") < (size_t) (stop - text))
                        r = test_line(tests, name, number, text, (size_t) (stop - text));
                if (r < 0)
                        return r;
                text = newline ? newline + 1 : end;
        }
        return 0;
}

/* Returns an enum exit_code; what is wrong has been said. */
static int test_file(struct tests *tests, const char *path) {
        _cleanup_(freep) char *text = NULL;
        struct cedar_json_error error = { .name = path };
        uint64_t before = tests->n_passed + tests->n_failed;
        json_t *array = NULL;
        size_t size;
        int r;

        r = auth_read_file(streq(path, "-") ? "/dev/stdin" : path, TESTS_BYTES_MAX, &text, &size);
        if (r != EXIT_DONE)
                return r;
        if (text[strspn(text, " \t\r\n")] != '[')
                r = test_lines(tests, path, text, size);
        else {
                r = cedar_json_load(&array, text, size, TESTS_BYTES_MAX, &error);
                if (r >= 0)
                        r = test_array(tests, path, array);
                json_decref(array);
        }
        if (r < 0) {
                complain("%s", error.message ?: strerror(-r));
                free(error.message);
                return r == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
        }
        if (tests->n_passed + tests->n_failed > before || tests->broken)
                return EXIT_DONE;
        complain("%s: there is no expectation in it", path);
        return EXIT_USAGE;
}

static int finish(struct tests *tests) {
        int r;

        if (!tests->failures) {
                printf("%" PRIu64 " passed, %" PRIu64 " failed\n", tests->n_passed, tests->n_failed);
                return 0;
        }
        r = output_json(stdout,
                        json_pack("{s:I,s:I,s:O}", "passed", (json_int_t) tests->n_passed, "failed",
                                        (json_int_t) tests->n_failed, "failures", tests->failures));
        json_decref(tests->failures);
        return r;
}

int verb_auth_test(struct session *session _unused_, const struct options *options) {
        _cleanup_(auth_files_clear) struct auth_files files = {};
        struct tests tests = { .files = &files };
        int code = EXIT_DONE, r;

        if (!options->rules)
                return fail_usage("--rules=FILE says which rules to test");
        r = auth_files_load(&files, options->rules, options->entities);
        if (r != EXIT_DONE)
                return r;
        tests.failures = options->json ? json_array() : NULL;
        for (size_t i = 0; i < options->n_arguments; i++) {
                r = test_file(&tests, options->arguments[i]);
                code = code == EXIT_DONE ? r : code;
        }
        r = finish(&tests);
        if (r < 0)
                return fail_errno(r, "cannot tell what was decided");
        if (code == EXIT_DONE && tests.broken)
                return EXIT_USAGE;
        return code == EXIT_DONE && tests.n_failed > 0 ? EXIT_FAILED : code;
}
