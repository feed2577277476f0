/* SPDX-License-Identifier: GPL-2.0-or-later */
/* auth why: what rules decide, of a file or of a daemon, and why; nothing is done. */
#include "admin.pb-c.h"
#include "auth.h"

#include "cedar-json.h"
#include "cedar-parser.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "unit-name.h"

#include <inttypes.h>

/* ---- the answer ---- */

static void print_decision(const Access__DecideResponse *decision) {
        output_text(stdout, decision->principal);
        fputs(decision->allowed ? " may " : " may not ", stdout);
        output_text(stdout, decision->action);
        fputs(" on ", stdout);
        output_text(stdout, decision->resource);
        putchar('\n');
        for (size_t i = 0; i < decision->n_reasons; i++) {
                fputs(decision->allowed ? "  permitted by " : "  forbidden by ", stdout);
                auth_print_policy(decision->reasons[i]);
                putchar('\n');
        }
        for (size_t i = 0; i < decision->n_errors; i++) {
                fputs("  not counted: ", stdout);
                if (decision->errors[i]->policy)
                        auth_print_policy(decision->errors[i]->policy);
                fputs(" fails: ", stdout);
                output_text(stdout, decision->errors[i]->message);
                putchar('\n');
        }
        if (decision->n_reasons == 0)
                puts("  no policy permits it");
        for (size_t i = 0; i < decision->n_nearest; i++) {
                fputs("  near: ", stdout);
                auth_print_near(decision->nearest[i]);
                putchar('\n');
        }
}

static int show(const struct options *options, const Access__DecideResponse *decision) {
        if (options->json)
                return output_json(stdout, auth_decision_json(decision));
        print_decision(decision);
        return 0;
}

static int decide(const struct options *options, const struct auth_files *files,
                const struct cedar_request *request, struct arena *arena) {
        Access__DecideResponse *decision;
        int r;

        /* What is near is told to people alone. */
        r = auth_explain(files, request, options->json ? ACCESS_NEAR_NONE : ACCESS_NEAR_ALL, arena,
                        &decision);
        if (r >= 0)
                r = show(options, decision);
        return r < 0 ? fail_errno(r, "cannot decide") : EXIT_DONE;
}

/* ---- one request, of the command line ---- */

static int read_arguments(
                const struct options *options, struct arena *arena, struct cedar_request *request) {
        static const char *const types[] = { ACCESS_PRINCIPAL, ACCESS_ACTION, ACCESS_RESOURCE };
        const struct cedar_uid **uids[] = { &request->principal, &request->action, &request->resource };
        _cleanup_(freep) char *error = NULL;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                r = access_read_uid(arena, options->arguments[i], types[i],
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

/* ---- one request, to a daemon ---- */

static int on_answer(
                struct session *session, const ProtobufCMessage *response, const char *subject _unused_) {
        int r = show(session->options, (const Access__DecideResponse *) response);

        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

/* Of the admin itself or, through it, of a VM's agent. */
static int ask(struct session *session, const struct options *options, Access__DecideRequest *request) {
        Admin__DecideRequest in_vm = ADMIN__DECIDE_REQUEST__INIT;
        struct session_request asked = { .method = "Decide", .what = "cannot ask", .show = on_answer };
        _cleanup_(freep) char *what = NULL;
        int r;

        if (options->vm) {
                r = vm_name_check(options->vm);
                if (r != EXIT_DONE)
                        return r;
                in_vm.vmname = (char *) options->vm;
                in_vm.request = request;
                asked.service = &admin__fleet_service__descriptor;
                asked.message = &in_vm.base;
                what = text_printf("cannot ask the agent of %s", options->vm);
        } else {
                asked.service = &access__access_service__descriptor;
                asked.message = &request->base;
                what = text_printf("cannot ask %s", options->name);
        }
        if (!what)
                return fail_errno(-ENOMEM, "cannot ask");
        asked.what = what;
        r = session_call(session, &asked);
        return r == EXIT_DONE ? session_run(session) : r;
}

static int ask_arguments(struct session *session, const struct options *options) {
        Access__DecideRequest request = ACCESS__DECIDE_REQUEST__INIT;
        _cleanup_(freep) char *context = NULL;
        size_t size;
        int r;

        request.principal = (char *) options->arguments[0];
        request.action = (char *) options->arguments[1];
        request.resource = (char *) options->arguments[2];
        if (options->context) {
                r = auth_read_file(options->context, ACCESS_QUESTION_BYTES_MAX, &context, &size);
                if (r != EXIT_DONE)
                        return r;
                if (!text_is_utf8(context, size) || strlen(context) != size) {
                        complain("%s: not JSON: there are bytes that are no text", options->context);
                        return EXIT_USAGE;
                }
                request.context = context;
        }
        return ask(session, options, &request);
}

int verb_auth_why(struct session *session, const struct options *options) {
        _cleanup_(auth_files_clear) struct auth_files files = {};
        _cleanup_(arena_clear) struct arena arena = {};
        int r;

        if (!options->rules && options->entities)
                return fail_usage("--entities goes with --rules=FILE: a daemon decides by its own entities, "
                                  "and takes none from who asks");
        if (!options->rules && options->requests)
                return fail_usage(
                                "--requests goes with --rules=FILE: a daemon is asked one thing at a time");
        if (options->rules && options->vm)
                return fail_usage("either --rules=FILE, or --vm=VM");
        if (options->requests ? options->n_arguments > 0 || options->context : options->n_arguments != 3)
                return fail_usage("either PRINCIPAL ACTION RESOURCE, or --requests=FILE");
        if (!options->rules)
                return ask_arguments(session, options);
        r = auth_files_load(&files, options->rules, options->entities);
        if (r != EXIT_DONE)
                return r;
        arena_init(&arena, AUTH_DECISION_BYTES);
        return options->requests ? answer_lines(options, &files) : answer_arguments(options, &files, &arena);
}
