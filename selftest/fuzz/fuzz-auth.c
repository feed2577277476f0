/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verbs of givcctl that read rules, entities and requests out of files. The first byte says which verb,
 * and whether in JSON; the three files follow, with lines of four dashes between them.
 */
#include "shown.h"

#include "failure.h"
#include "options.h"
#include "rule-lint.h"
#include "verb.h"

#include <sys/mman.h>

#define JSON 4
/* As much as any lint, or decision, of a file of this size takes. */
#define ARENA_BYTES ((size_t) 512 * 1024 * 1024)

enum { RULES, ENTITIES, REQUESTS, FILES };

static struct {
        int fds[FILES];
        char *paths[FILES];
} world;

static void make_world(void) {
        for (size_t i = 0; i < FILES; i++) {
                world.fds[i] = memfd_create("file", MFD_CLOEXEC);
                must(world.fds[i] >= 0 && asprintf(&world.paths[i], "/proc/self/fd/%i", world.fds[i]) > 0,
                                "there is memory");
        }
}

static void write_files(const uint8_t *data, size_t size) {
        static const char dashes[] = "\n----\n";

        for (size_t i = 0; i < FILES; i++) {
                const uint8_t *end = i + 1 < FILES ? memmem(data, size, dashes, strlen(dashes)) : NULL;

                size_t n = end ? (size_t) (end - data) : size;

                must(ftruncate(world.fds[i], 0) == 0 && pwrite(world.fds[i], data, n, 0) == (ssize_t) n,
                                "a file can be written");
                data += end ? n + strlen(dashes) : n;
                size -= end ? n + strlen(dashes) : n;
        }
}

/* ---- the verbs, as they are run ---- */

static int run_verb(int (*verb)(struct session *session, const struct options *options),
                const struct options *options) {
        FILE *old_stdout = stdout, *old_stderr = stderr;
        struct shown out = {}, complaints = {};
        int code;

        shown_open(&out);
        shown_open(&complaints);
        stdout = out.file;
        stderr = complaints.file;
        code = verb(NULL, options);
        stdout = old_stdout;
        stderr = old_stderr;
        shown_close(&out);
        shown_close(&complaints);

        must(code == EXIT_DONE || code == EXIT_FAILED || code == EXIT_USAGE, "it ends as verbs do");
        must((code == EXIT_USAGE) == (complaints.n > 0), "what is wrong is said");
        must(code != EXIT_FAILED || out.n > 0, "what was found is told");
        check_shown(complaints.text, complaints.n);
        if (options->json)
                check_json(out.text, out.n);
        else
                check_shown(out.text, out.n);
        free(out.text);
        free(complaints.text);
        return code;
}

static void try_verb(unsigned which, bool json, bool entities) {
        const char *const arguments[] = { world.paths[REQUESTS] };
        struct options options = {
                .json = json,
                .rules = world.paths[RULES],
                .entities = entities ? world.paths[ENTITIES] : NULL,
                .arguments = arguments,
        };

        if (which == 0)
                (void) run_verb(verb_auth_lint, &options);
        else if (which == 1) {
                options.requests = world.paths[REQUESTS];
                (void) run_verb(verb_auth_why, &options);
        } else {
                options.n_arguments = ELEMENTSOF(arguments);
                (void) run_verb(verb_auth_test, &options);
        }
}

/* ---- what is said of rules is so ---- */

struct verdict {
        bool is_dead;      /* it never applies, whoever asks for what */
        bool is_redundant; /* what is decided is the same without it */
};

static void read_findings(const struct auth_files *files, struct verdict *verdicts) {
        _cleanup_(arena_clear) struct arena arena = {};
        struct lint_finding *findings;
        size_t n = 0;
        int r;

        arena_init(&arena, ARENA_BYTES);
        r = lint_rules(files, &arena, &findings, &n);
        must(r == 0, "there is memory to look at rules");
        for (size_t i = 0; i < n; i++) {
                const struct lint_finding *finding = &findings[i];
                size_t at = (size_t) (finding->policy - cedar_policies_get(files->policies, 0));

                must(at < cedar_policies_count(files->policies), "it is one of the rules");
                must(i == 0 || finding[-1].policy <= finding->policy, "in the order of the file");
                must(!isempty(finding->message), "something is said");
                /* Of the calls that there are, which are not all requests, is what begins so. */
                if (endswith(finding->message, "the rule never applies"))
                        verdicts[at].is_dead = true;
                else if (startswith(finding->message, "the rule never counts") ||
                                startswith(finding->message, "the rule adds nothing"))
                        verdicts[at].is_redundant = true;
        }
}

static void check_request(const struct auth_files *files, const struct verdict *verdicts,
                const struct cedar_request *request, struct arena *arena) {
        bool permitted = false, forbidden = false;
        Access__DecideResponse *words;
        struct cedar_decision decision;

        must(cedar_authorize(files->policies, files->entities, request, arena, &decision) == 0,
                        "there is memory for a decision");
        must(auth_explain(files, request, ACCESS_NEAR_ALL, arena, &words) == 0 &&
                                        !words->allowed == !decision.allow,
                        "what is explained is what is decided");
        for (size_t i = 0; i < cedar_policies_count(files->policies); i++) {
                const struct cedar_policy *policy = cedar_policies_get(files->policies, i);
                struct cedar_explanation explanation;

                must(cedar_explain(policy, files->entities, request, arena, &explanation) == 0,
                                "there is memory to explain");
                if (!explanation.applies)
                        continue;
                must(!verdicts[i].is_dead, "what never applies does not");
                if (!verdicts[i].is_redundant)
                        *(policy->forbid ? &forbidden : &permitted) = true;
        }
        must(decision.allow == (permitted && !forbidden), "without what adds nothing, the same is decided");
}

static void try_requests(const struct auth_files *files, const struct verdict *verdicts) {
        _cleanup_(freep) char *text = NULL;
        char *rest, *line;

        must(text_read_file(world.paths[REQUESTS], SIZE_MAX / 2, &text, NULL) == 0, "a file can be read");
        rest = text;
        while ((line = strsep(&rest, "\n"))) {
                _cleanup_(arena_clear) struct arena arena = {};
                struct cedar_json_error error = { .name = "request" };
                struct cedar_request request = {};
                json_t *json = NULL;

                arena_init(&arena, ARENA_BYTES);
                if (cedar_json_load(&json, line, strlen(line), SIZE_MAX / 2, &error) == 0 &&
                                auth_read_request(&arena, json, &request, &error) == 0)
                        check_request(files, verdicts, &request, &arena);
                json_decref(json);
                free(error.message);
        }
}

static void try_verdicts(const char *rules, const char *entities) {
        _cleanup_(auth_files_clear) struct auth_files files = {};
        _cleanup_(freep) struct verdict *verdicts = NULL;
        struct shown complaints = {};
        FILE *old_stderr = stderr;
        int code;

        shown_open(&complaints);
        stderr = complaints.file;
        code = auth_files_load(&files, rules, entities);
        stderr = old_stderr;
        shown_close(&complaints);
        free(complaints.text);
        if (code != EXIT_DONE)
                return;
        verdicts = calloc(cedar_policies_count(files.policies) + 1, sizeof(*verdicts));
        must(verdicts != NULL, "there is memory");
        read_findings(&files, verdicts);
        try_requests(&files, verdicts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t how = take_byte(&data, &size);
        bool entities;

        if (!world.paths[0])
                make_world();
        write_files(data, size);
        entities = lseek(world.fds[ENTITIES], 0, SEEK_END) > 0;
        if (how % JSON == 3)
                try_verdicts(world.paths[RULES], entities ? world.paths[ENTITIES] : NULL);
        else
                try_verb(how % JSON, how & JSON, entities);
        return 0;
}
