/* SPDX-License-Identifier: GPL-2.0-or-later */
/* auth lint: what is wrong with a file of rules that can be read. */
#include "failure.h"
#include "options.h"
#include "output.h"
#include "rule-lint.h"
#include "text.h"

/* A megabyte of rules is looked at many times over. */
#define LINT_BYTES ((size_t) 1024 * 1024 * 1024)

/* "rules.cedar:12:3: policy3 (clock-only): …" */
static void print_finding(const struct auth_files *files, const struct lint_finding *finding) {
        unsigned line, column;

        fputs(cedar_policies_name(files->policies), stdout);
        if (finding->policy->line > 0) {
                cedar_policies_position(files->policies, finding->span, &line, &column);
                printf(":%u:%u", line, column);
        }
        fputs(": ", stdout);
        auth_print_text(finding->policy->id);
        if (finding->policy->name.n > 0) {
                fputs(" (", stdout);
                auth_print_text(finding->policy->name);
                putchar(')');
        }
        fputs(": ", stdout);
        auth_print_text(cedar_text_of(finding->message));
        putchar('\n');
}

static json_t *text_json(struct cedar_text text) {
        return text.n > 0 ? json_stringn_nocheck(text.s, text.n) : json_null();
}

static json_t *finding_json(const struct auth_files *files, const struct lint_finding *finding) {
        unsigned line = 0, column = 0;

        if (finding->policy->line > 0)
                cedar_policies_position(files->policies, finding->span, &line, &column);
        return json_pack("{s:o,s:i,s:i,s:o,s:o,s:o}", "file",
                        output_text_json(cedar_policies_name(files->policies)), "line", (int) line, "column",
                        (int) column, "rule", text_json(finding->policy->id), "id",
                        text_json(finding->policy->name), "message", output_text_json(finding->message));
}

static int print_findings(const struct options *options, const struct auth_files *files,
                const struct lint_finding *findings, size_t n) {
        json_t *list = options->json ? json_array() : NULL;

        for (size_t i = 0; i < n; i++)
                if (!options->json)
                        print_finding(files, &findings[i]);
                else if (json_array_append_new(list, finding_json(files, &findings[i])) < 0) {
                        json_decref(list);
                        return -ENOMEM;
                }
        return options->json ? output_json(stdout, list) : 0;
}

int verb_auth_lint(struct session *session _unused_, const struct options *options) {
        _cleanup_(auth_files_clear) struct auth_files files = {};
        _cleanup_(arena_clear) struct arena arena = {};
        struct lint_finding *findings;
        size_t n = 0;
        int r;

        if (!options->rules)
                return fail_usage("--rules=FILE says which rules to look at");
        r = auth_files_load(&files, options->rules, options->entities);
        if (r != EXIT_DONE)
                return r;
        arena_init(&arena, LINT_BYTES);
        r = lint_rules(&files, &arena, &findings, &n);
        if (r >= 0)
                r = print_findings(options, &files, findings, n);
        if (r < 0)
                return fail_errno(r, "cannot look at the rules");
        return n > 0 ? EXIT_FAILED : EXIT_DONE;
}
