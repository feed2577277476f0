/* SPDX-License-Identifier: GPL-2.0-or-later */
/* auth why: what a file of rules decides, and why; nothing is done, and nobody is asked. */
#include "auth.h"

#include "cedar-json.h"
#include "cedar-parser.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"

#include <inttypes.h>

/* Of rules that nearly permit, so many are told of. */
#define NEAR_MAX 3

/* ---- the answer ---- */

static void print_uid(const struct cedar_uid *uid) {
        auth_print_text(uid->type);
        fputs("::\"", stdout);
        auth_print_text(uid->id);
        putchar('"');
}

static int print_nearest(
                const struct auth_files *files, const struct cedar_request *request, struct arena *arena) {
        struct cedar_near near[NEAR_MAX];
        int n = cedar_nearest(files->policies, files->entities, request, false, arena, near, NEAR_MAX);

        for (int i = 0; i < n; i++) {
                fputs("  near: ", stdout);
                auth_print_near(files, &near[i]);
                putchar('\n');
        }
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
                auth_print_policy(files, decision->reasons[i]);
                putchar('\n');
        }
        for (size_t i = 0; i < decision->n_failures; i++) {
                fputs("  not counted: ", stdout);
                auth_print_policy(files, decision->failures[i].policy);
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
                r = options->json ? output_json(stdout, auth_decision_json(&decision))
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

        r = auth_read_file(path, CEDAR_TEXT_MAX, &text, &size);
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

        arena_init(&arena, AUTH_DECISION_BYTES);
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
        arena_init(&arena, AUTH_DECISION_BYTES);
        return options->requests ? answer_lines(options, &files) : answer_arguments(options, &files, &arena);
}
