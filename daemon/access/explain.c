/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "explain.h"

#include "cedar-print.h"
#include "text.h"

#include <stdio.h>

/* ---- texts ---- */

char *access_quote(struct arena *arena, struct cedar_text text, size_t max) {
        char *shown = arena_alloc(arena, MIN(text.n, max) + sizeof("…"));
        bool blank = false;
        size_t n = 0;

        if (!shown)
                return NULL;
        for (size_t i = 0; i < text.n; i++) {
                bool is_blank = text.s[i] == ' ' || (text.s[i] >= '\t' && text.s[i] <= '\r');

                if (is_blank && blank)
                        continue;
                blank = is_blank;
                if (n == max) {
                        /* Not in the middle of a character. */
                        n -= text_unfinished_length(shown, n);
                        memcpy(shown + n, "…", sizeof("…") - 1);
                        n += sizeof("…") - 1;
                        break;
                }
                shown[n++] = is_blank ? ' ' : text.s[i];
        }
        shown[n] = '\0';
        return shown;
}

/* Type::"id", its texts whole: they are the asker's own, or the policies'. */
static char *name_uid(struct arena *arena, const struct cedar_uid *uid) {
        size_t n = uid->type.n + uid->id.n + sizeof("::\"\"");
        char *name = arena_alloc(arena, n);

        if (name)
                (void) snprintf(name, n, "%.*s::\"%.*s\"", (int) uid->type.n, uid->type.s, (int) uid->id.n,
                                uid->id.s);
        return name;
}

Access__Policy *access_policy_message(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_policy *policy) {
        Access__Policy *message = arena_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        access__policy__init(message);
        message->id = arena_memdup_text(arena, policy->id.s, policy->id.n);
        message->name = access_quote(arena, policy->name, ACCESS_SHOWN_BYTES_MAX);
        message->file = (char *) cedar_policies_name(policies);
        message->line = policy->line;
        return message->id && message->name ? message : NULL;
}

/* ---- what nearly permits ---- */

/* What is not met, as it stands in the file; of policies out of JSON, as it would stand there. */
static int name_condition(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_near *near, Access__NearPolicy *ret) {
        const struct cedar_explanation *explanation = &near->explanation;
        struct cedar_text text = cedar_policies_text(policies, explanation->span);
        _cleanup_(freep) char *printed = NULL;

        cedar_policies_position(policies, explanation->span, &ret->line, &ret->column);
        if (text.n == 0) {
                printed = explanation->in_scope ? cedar_print_scope(near->policy, explanation->var)
                                                : cedar_print_node(explanation->node);
                if (!printed)
                        return -ENOMEM;
                text = cedar_text_of(printed);
        }
        ret->condition = access_quote(arena, text, ACCESS_SHOWN_BYTES_MAX);
        return ret->condition ? 0 : -ENOMEM;
}

static Access__NearPolicy *near_message(
                struct arena *arena, const struct cedar_policies *policies, const struct cedar_near *near) {
        Access__NearPolicy *message = arena_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        access__near_policy__init(message);
        message->policy = access_policy_message(arena, policies, near->policy);
        if (!message->policy || name_condition(arena, policies, near, message) < 0)
                return NULL;
        message->met = (uint32_t) near->explanation.n_met;
        message->conditions = (uint32_t) near->explanation.n_conditions;
        message->unless = near->explanation.unless;
        if (near->explanation.failure)
                message->error = (char *) near->explanation.failure;
        return message;
}

static int find_nearest(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_entities *entities, const struct cedar_request *request, bool likely,
                Access__DecideResponse *ret) {
        struct cedar_near near[ACCESS_NEAREST_MAX];
        int n;

        n = cedar_nearest(policies, entities, request, likely, arena, near, ACCESS_NEAREST_MAX);
        if (n <= 0)
                return n;
        ret->nearest = arena_alloc(arena, (size_t) n * sizeof(*ret->nearest));
        if (!ret->nearest)
                return -ENOMEM;
        for (; ret->n_nearest < (size_t) n; ret->n_nearest++) {
                ret->nearest[ret->n_nearest] = near_message(arena, policies, &near[ret->n_nearest]);
                if (!ret->nearest[ret->n_nearest])
                        return -ENOMEM;
        }
        return 0;
}

/* ---- the whole ---- */

static int add_reasons(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_decision *decision, Access__DecideResponse *ret) {
        ret->reasons = arena_alloc(arena, decision->n_reasons * sizeof(*ret->reasons));
        if (!ret->reasons)
                return -ENOMEM;
        for (; ret->n_reasons < decision->n_reasons; ret->n_reasons++) {
                ret->reasons[ret->n_reasons] =
                                access_policy_message(arena, policies, decision->reasons[ret->n_reasons]);
                if (!ret->reasons[ret->n_reasons])
                        return -ENOMEM;
        }
        return 0;
}

static int add_errors(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_decision *decision, Access__DecideResponse *ret) {
        Access__PolicyError *errors = arena_alloc(arena, decision->n_failures * sizeof(*errors));

        ret->errors = arena_alloc(arena, decision->n_failures * sizeof(*ret->errors));
        if (!errors || !ret->errors)
                return -ENOMEM;
        for (; ret->n_errors < decision->n_failures; ret->n_errors++) {
                const struct cedar_failure *failure = &decision->failures[ret->n_errors];
                Access__PolicyError *error = &errors[ret->n_errors];

                access__policy_error__init(error);
                error->policy = access_policy_message(arena, policies, failure->policy);
                error->message = (char *) failure->message;
                if (!error->policy)
                        return -ENOMEM;
                ret->errors[ret->n_errors] = error;
        }
        return 0;
}

int access_explain(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_entities *entities, const struct cedar_request *request,
                enum access_near near, Access__DecideResponse **ret) {
        Access__DecideResponse *response = arena_alloc(arena, sizeof(*response));
        struct cedar_decision decision;
        int r;

        if (!response)
                return -ENOMEM;
        access__decide_response__init(response);
        response->principal = name_uid(arena, request->principal);
        response->action = name_uid(arena, request->action);
        response->resource = name_uid(arena, request->resource);
        if (!response->principal || !response->action || !response->resource)
                return -ENOMEM;
        r = cedar_authorize(policies, entities, request, arena, &decision);
        if (r < 0)
                return r;
        response->allowed = decision.allow;
        r = add_reasons(arena, policies, &decision, response);
        if (r >= 0)
                r = add_errors(arena, policies, &decision, response);
        if (r >= 0 && decision.n_reasons == 0 && near != ACCESS_NEAR_NONE)
                r = find_nearest(arena, policies, entities, request, near == ACCESS_NEAR_LIKELY, response);
        *ret = response;
        return r;
}
