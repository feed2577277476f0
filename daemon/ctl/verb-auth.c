/* SPDX-License-Identifier: GPL-2.0-or-later */
/* auth why: what a file of rules decides, and why; nothing is done, and nobody is asked. */
#include "auth.h"

#include "cedar-json.h"
#include "cedar-parser.h"
#include "cedar-print.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"

#include <inttypes.h>

/* What one decision, and its explanation, may take. */
#define DECISION_BYTES ((size_t) 256 * 1024 * 1024)
/* Of rules that nearly permit, so many are told of. */
#define NEAR_MAX 3

/* As text_read_file(). Returns an enum exit_code; what is wrong has been said. */
static int read_file(const char *path, size_t max, char **ret, size_t *ret_size) {
        int r = text_read_file(path, max, ret, ret_size);

        if (r == -E2BIG)
                complain("%s has more than %zu bytes", path, max);
        else if (r < 0)
                complain("cannot read %s: %s", path, strerror(-r));
        return r < 0 ? EXIT_USAGE : EXIT_DONE;
}

int auth_files_load(struct auth_files *files, const char *rules, const char *entities) {
        _cleanup_(freep) char *text = NULL, *json = NULL, *error = NULL;
        size_t size;
        int r;

        r = read_file(rules, CEDAR_TEXT_MAX, &text, &size);
        if (r != EXIT_DONE)
                return r;
        r = cedar_policies_new(&files->policies, rules, text, size, &error);
        if (r >= 0 && entities) {
                r = read_file(entities, CEDAR_ENTITIES_BYTES_MAX, &json, &size);
                if (r != EXIT_DONE)
                        return r;
                r = cedar_entities_new(&files->entities, entities, json, size, &error);
        }
        if (r < 0) {
                complain("%s", error ?: strerror(-r));
                return EXIT_USAGE;
        }
        return EXIT_DONE;
}

void auth_files_clear(struct auth_files *files) {
        cedar_policies_free(files->policies);
        cedar_entities_free(files->entities);
        *files = (struct auth_files){};
}

/* ---- the request ---- */

int auth_read_uid(struct arena *arena, const char *what, const char *type, struct cedar_text text,
                const struct cedar_uid **ret, char **ret_error) {
        if (!memmem(text.s, text.n, "::", 2)) {
                text = cedar_text_copy(arena, text);
                *ret = text.s ? cedar_uid_new(arena, cedar_text_of(type), text) : NULL;
                return *ret ? 0 : -ENOMEM;
        }
        return cedar_parse_uid(arena, what, text, ret, ret_error);
}

/* A member of a request in JSON: a text, or an entity's object. */
static int read_json_uid(struct arena *arena, const json_t *request, const char *key, const char *type,
                const struct cedar_uid **ret, struct cedar_json_error *error) {
        const json_t *json = json_object_get(request, key);
        _cleanup_(freep) char *name = NULL;
        struct cedar_text text;

        if (!json_is_string(json))
                return cedar_json_uid(arena, json, key, ret, error);
        name = text_printf("%s: %s", error->name, key);
        if (!name || cedar_json_text(arena, json, &text) < 0)
                return -ENOMEM;
        return auth_read_uid(arena, name, type, text, ret, &error->message);
}

int auth_read_request(struct arena *arena, const json_t *json, struct cedar_request *ret,
                struct cedar_json_error *error) {
        static const struct cedar_record empty = {};
        const json_t *context = json_object_get(json, "context");
        int r;

        ret->context = &empty;
        r = read_json_uid(arena, json, "principal", AUTH_PRINCIPAL, &ret->principal, error);
        if (r >= 0)
                r = read_json_uid(arena, json, "action", AUTH_ACTION, &ret->action, error);
        if (r >= 0)
                r = read_json_uid(arena, json, "resource", AUTH_RESOURCE, &ret->resource, error);
        return r < 0 || !context ? r : cedar_json_context(arena, context, &ret->context, error);
}

/* ---- the answer ---- */

static json_t *id_json(const struct cedar_policy *policy) {
        return json_stringn_nocheck(policy->id.s, policy->id.n);
}

static json_t *decision_json(const struct cedar_decision *decision) {
        json_t *reasons = json_array(), *errors = json_array();

        for (size_t i = 0; i < decision->n_reasons; i++)
                json_array_append_new(reasons, id_json(decision->reasons[i]));
        for (size_t i = 0; i < decision->n_failures; i++)
                json_array_append_new(errors, id_json(decision->failures[i].policy));
        return json_pack("{s:s,s:o,s:o}", "decision", decision->allow ? "allow" : "deny", "reason", reasons,
                        "errors", errors);
}

static void print_text(struct cedar_text text) {
        bool blank = false;

        /* As it stands in the file, but in one line. */
        for (size_t i = 0; i < text.n; i++) {
                char c[2] = { text.s[i], '\0' };

                if (strchr(" \t\r\n", *c) && *c) {
                        blank = true;
                        continue;
                }
                if (blank)
                        putchar(' ');
                blank = false;
                if ((unsigned char) *c < 0x20 || *c == 0x7F)
                        output_text(stdout, c);
                else
                        putchar(*c);
        }
}

static void print_uid(const struct cedar_uid *uid) {
        print_text(uid->type);
        fputs("::\"", stdout);
        print_text(uid->id);
        putchar('"');
}

/* "policy3 (clock-only) at rules.cedar:12" */
static void print_policy(const struct auth_files *files, const struct cedar_policy *policy) {
        print_text(policy->id);
        if (policy->name.n > 0) {
                fputs(" (", stdout);
                print_text(policy->name);
                putchar(')');
        }
        printf(" at %s", cedar_policies_name(files->policies));
        if (policy->line > 0)
                printf(":%u", policy->line);
}

static void print_near(const struct auth_files *files, const struct cedar_near *near) {
        const struct cedar_explanation *explanation = &near->explanation;
        struct cedar_text text = cedar_policies_text(files->policies, explanation->span);
        _cleanup_(freep) char *printed = NULL;
        unsigned line, column;

        fputs("  near: ", stdout);
        print_policy(files, near->policy);
        printf(" meets %zu of its %zu conditions, not ", explanation->n_met, explanation->n_conditions);
        if (explanation->unless)
                fputs("unless ", stdout);
        if (text.n > 0) {
                cedar_policies_position(files->policies, explanation->span, &line, &column);
                print_text(text);
                printf(" at line %u, column %u", line, column);
        } else {
                printed = explanation->in_scope ? cedar_print_scope(near->policy, explanation->var)
                                                : cedar_print_node(explanation->node);
                print_text(cedar_text_of(strempty(printed)));
        }
        if (explanation->failure)
                printf(", which fails: %s", explanation->failure);
        putchar('\n');
}

static int print_nearest(
                const struct auth_files *files, const struct cedar_request *request, struct arena *arena) {
        struct cedar_near near[NEAR_MAX];
        int n = cedar_nearest(files->policies, files->entities, request, false, arena, near, NEAR_MAX);

        for (int i = 0; i < n; i++)
                print_near(files, &near[i]);
        return MIN(n, 0);
}

static int print_decision(const struct auth_files *files, const struct cedar_request *request,
                const struct cedar_decision *decision, struct arena *arena) {
        print_uid(request->principal);
        fputs(decision->allow ? " may " : " may not ", stdout);
        print_uid(request->action);
        fputs(" on ", stdout);
        print_uid(request->resource);
        putchar('\n');
        for (size_t i = 0; i < decision->n_reasons; i++) {
                fputs(decision->allow ? "  permitted by " : "  forbidden by ", stdout);
                print_policy(files, decision->reasons[i]);
                putchar('\n');
        }
        for (size_t i = 0; i < decision->n_failures; i++) {
                fputs("  not counted: ", stdout);
                print_policy(files, decision->failures[i].policy);
                printf(" fails: %s\n", decision->failures[i].message);
        }
        if (decision->n_reasons > 0)
                return 0;
        puts("  no policy permits it");
        return print_nearest(files, request, arena);
}

static int decide(const struct options *options, const struct auth_files *files,
                const struct cedar_request *request, struct arena *arena) {
        struct cedar_decision decision;
        int r;

        r = cedar_authorize(files->policies, files->entities, request, arena, &decision);
        if (r >= 0)
                r = options->json ? output_json(stdout, decision_json(&decision))
                                  : print_decision(files, request, &decision, arena);
        return r < 0 ? fail_errno(r, "cannot decide") : EXIT_DONE;
}

/* ---- one request, of the command line ---- */

static int read_arguments(
                const struct options *options, struct arena *arena, struct cedar_request *request) {
        static const char *const types[] = { AUTH_PRINCIPAL, AUTH_ACTION, AUTH_RESOURCE };
        const struct cedar_uid **uids[] = { &request->principal, &request->action, &request->resource };
        _cleanup_(freep) char *error = NULL;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                r = auth_read_uid(arena, options->arguments[i], types[i],
                                cedar_text_of(options->arguments[i]), uids[i], &error);
                if (r < 0)
                        return error ? fail_usage("%s", error) : fail_errno(r, options->arguments[i]);
        }
        return EXIT_DONE;
}

static int read_context(const char *path, struct arena *arena, struct cedar_request *request) {
        _cleanup_(freep) char *text = NULL;
        struct cedar_json_error error = { .name = path };
        json_t *json = NULL;
        size_t size;
        int r;

        r = read_file(path, CEDAR_TEXT_MAX, &text, &size);
        if (r != EXIT_DONE)
                return r;
        r = cedar_json_load(&json, text, size, CEDAR_TEXT_MAX, &error);
        if (r == 0)
                r = cedar_json_context(arena, json, &request->context, &error);
        json_decref(json);
        if (r < 0)
                complain("%s", error.message ?: strerror(-r));
        free(error.message);
        return r < 0 ? EXIT_USAGE : EXIT_DONE;
}

static int answer_arguments(
                const struct options *options, const struct auth_files *files, struct arena *arena) {
        static const struct cedar_record empty = {};
        struct cedar_request request = { .context = &empty };
        int r;

        r = read_arguments(options, arena, &request);
        if (r == EXIT_DONE && options->context)
                r = read_context(options->context, arena, &request);
        return r == EXIT_DONE ? decide(options, files, &request, arena) : r;
}

/* ---- many, of a file ---- */

static int answer_line(const struct options *options, const struct auth_files *files, const char *name,
                const char *line, size_t n) {
        _cleanup_(arena_clear) struct arena arena = {};
        struct cedar_json_error error = { .name = name };
        struct cedar_request request = {};
        json_t *json = NULL;
        int r;

        arena_init(&arena, DECISION_BYTES);
        r = cedar_json_load(&json, line, n, CEDAR_TEXT_MAX, &error);
        if (r == 0)
                r = auth_read_request(&arena, json, &request, &error);
        json_decref(json);
        if (r == 0)
                return decide(options, files, &request, &arena);
        complain("%s", error.message ?: strerror(-r));
        free(error.message);
        return EXIT_USAGE;
}

/* A line that is no request is complained of, and the others are answered. */
static int answer_lines(const struct options *options, const struct auth_files *files) {
        _cleanup_(freep) char *line = NULL;
        int code = EXIT_DONE;
        size_t size = 0;
        ssize_t n;
        FILE *file;

        file = streq(options->requests, "-") ? stdin : fopen(options->requests, "re");
        if (!file) {
                complain("cannot read %s: %s", options->requests, strerror(errno));
                return EXIT_USAGE;
        }
        for (unsigned i = 1; (n = getline(&line, &size, file)) >= 0; i++) {
                _cleanup_(freep) char *name = text_printf("%s:%u", options->requests, i);
                int r = EXIT_DONE;

                if (strspn(line, " \t\r\n") < (size_t) n)
                        r = answer_line(options, files, strempty(name), line, (size_t) n);
                code = code == EXIT_DONE ? r : code;
        }
        if (ferror(file)) {
                complain("cannot read %s: %s", options->requests, strerror(errno));
                code = EXIT_FAILED;
        }
        if (file != stdin)
                fclose(file);
        return code;
}

int verb_auth_why(struct session *session _unused_, const struct options *options) {
        _cleanup_(auth_files_clear) struct auth_files files = {};
        _cleanup_(arena_clear) struct arena arena = {};
        int r;

        if (!options->rules)
                return fail_usage("--rules=FILE says which rules to decide by");
        if (options->requests ? options->n_arguments > 0 || options->context : options->n_arguments != 3)
                return fail_usage("either PRINCIPAL ACTION RESOURCE, or --requests=FILE");
        r = auth_files_load(&files, options->rules, options->entities);
        if (r != EXIT_DONE)
                return r;
        arena_init(&arena, DECISION_BYTES);
        return options->requests ? answer_lines(options, &files) : answer_arguments(options, &files, &arena);
}
