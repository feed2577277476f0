/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "auth.h"

#include "cedar-parser.h"
#include "cedar-print.h"
#include "failure.h"
#include "output.h"
#include "text.h"

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

/* ---- words ---- */

void auth_print_text(struct cedar_text text) {
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

void auth_print_policy(const struct auth_files *files, const struct cedar_policy *policy) {
        auth_print_text(policy->id);
        if (policy->name.n > 0) {
                fputs(" (", stdout);
                auth_print_text(policy->name);
                putchar(')');
        }
        printf(" at %s", cedar_policies_name(files->policies));
        if (policy->line > 0)
                printf(":%u", policy->line);
}

void auth_print_near(const struct auth_files *files, const struct cedar_near *near) {
        const struct cedar_explanation *explanation = &near->explanation;
        struct cedar_text text = cedar_policies_text(files->policies, explanation->span);
        _cleanup_(freep) char *printed = NULL;
        unsigned line, column;

        auth_print_policy(files, near->policy);
        printf(" meets %zu of its %zu conditions, not ", explanation->n_met, explanation->n_conditions);
        if (explanation->unless)
                fputs("unless ", stdout);
        if (text.n > 0) {
                cedar_policies_position(files->policies, explanation->span, &line, &column);
                auth_print_text(text);
                printf(" at line %u, column %u", line, column);
        } else {
                printed = explanation->in_scope ? cedar_print_scope(near->policy, explanation->var)
                                                : cedar_print_node(explanation->node);
                auth_print_text(cedar_text_of(strempty(printed)));
        }
        if (explanation->failure)
                printf(", which fails: %s", explanation->failure);
}

static json_t *id_json(const struct cedar_policy *policy) {
        return json_stringn_nocheck(policy->id.s, policy->id.n);
}

json_t *auth_decision_json(const struct cedar_decision *decision) {
        json_t *reasons = json_array(), *errors = json_array();

        for (size_t i = 0; i < decision->n_reasons; i++)
                json_array_append_new(reasons, id_json(decision->reasons[i]));
        for (size_t i = 0; i < decision->n_failures; i++)
                json_array_append_new(errors, id_json(decision->failures[i].policy));
        return json_pack("{s:s,s:o,s:o}", "decision", decision->allow ? "allow" : "deny", "reason", reasons,
                        "errors", errors);
}
