/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "auth.h"

#include "cedar-parser.h"
#include "explain.h"
#include "failure.h"
#include "output.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- files ---- */

int auth_read_file(const char *path, size_t max, char **ret, size_t *ret_size) {
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

        r = auth_read_file(rules, CEDAR_TEXT_MAX, &text, &size);
        if (r != EXIT_DONE)
                return r;
        r = cedar_policies_new(&files->policies, rules, text, size, &error);
        if (r >= 0 && entities) {
                r = auth_read_file(entities, CEDAR_ENTITIES_BYTES_MAX, &json, &size);
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
        return access_read_uid(arena, name, type, text, ret, &error->message);
}

int auth_read_request(struct arena *arena, const json_t *json, struct cedar_request *ret,
                struct cedar_json_error *error) {
        static const struct cedar_record empty = {};
        const json_t *context = json_object_get(json, "context");
        int r;

        ret->context = &empty;
        r = read_json_uid(arena, json, "principal", ACCESS_PRINCIPAL, &ret->principal, error);
        if (r >= 0)
                r = read_json_uid(arena, json, "action", ACCESS_ACTION, &ret->action, error);
        if (r >= 0)
                r = read_json_uid(arena, json, "resource", ACCESS_RESOURCE, &ret->resource, error);
        return r < 0 || !context ? r : cedar_json_context(arena, context, &ret->context, error);
}

int auth_explain(const struct auth_files *files, const struct cedar_request *request, enum access_near near,
                struct arena *arena, Access__DecideResponse **ret) {
        return access_explain(arena, files->policies, files->entities, request, near, ret);
}

/* ---- words ---- */

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The blanks at i, up to what follows them, which is its end where nothing does. */
static size_t skip_blanks(struct cedar_text text, size_t i) {
        while (i < text.n && is_blank(text.s[i]))
                i++;
        return i;
}

void auth_print_text(struct cedar_text text) {
        for (size_t i = 0, next; i < text.n; i = next) {
                for (next = i; next < text.n && !is_blank(text.s[next]);)
                        next++;
                output_bytes(stdout, text.s + i, next - i);
                i = next;
                next = skip_blanks(text, i);
                if (next > i && next < text.n)
                        putchar(' ');
        }
}

void auth_print_policy(const Access__Policy *policy) {
        output_text(stdout, policy->id);
        if (!isempty(policy->name)) {
                fputs(" (", stdout);
                output_text(stdout, policy->name);
                putchar(')');
        }
        fputs(" at ", stdout);
        output_text(stdout, policy->file);
        if (policy->line > 0)
                printf(":%" PRIu32, policy->line);
}

void auth_print_near(const Access__NearPolicy *near) {
        if (near->policy)
                auth_print_policy(near->policy);
        printf(" meets %" PRIu32 " of its %" PRIu32 " conditions, not ", near->met, near->conditions);
        if (near->unless)
                fputs("unless ", stdout);
        output_text(stdout, near->condition);
        if (near->line > 0)
                printf(" at line %" PRIu32 ", column %" PRIu32, near->line, near->column);
        if (!isempty(near->error)) {
                fputs(", which fails: ", stdout);
                output_text(stdout, near->error);
        }
}

static void append_id(json_t *ids, const Access__Policy *policy) {
        if (policy)
                json_array_append_new(ids, output_text_json(policy->id));
}

json_t *auth_decision_json(const Access__DecideResponse *decision) {
        json_t *reasons = json_array(), *errors = json_array();

        for (size_t i = 0; i < decision->n_reasons; i++)
                append_id(reasons, decision->reasons[i]);
        for (size_t i = 0; i < decision->n_errors; i++)
                append_id(errors, decision->errors[i]->policy);
        return json_pack("{s:s,s:o,s:o}", "decision", decision->allowed ? "allow" : "deny", "reason",
                        reasons, "errors", errors);
}
