/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-build.h"
#include "cedar-eval.h"
#include "cedar-index.h"
#include "cedar-lexer.h"
#include "cedar-parser.h"
#include "cedar-policy-json.h"
#include "text.h"

/* A node takes some hundred bytes, and a few bytes of text make one. */
#define ARENA_BYTES ((size_t) 64 * CEDAR_TEXT_MAX)

struct cedar_policies {
        struct arena arena;
        const char *name;
        struct cedar_text text; /* n is 0: it was JSON */
        struct cedar_policy *policies;
        size_t n;
        struct cedar_index *index;
};

/* ---- reading ---- */

static bool looks_like_json(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (!strchr(" \t\r\n", text[i]) || text[i] == '\0')
                        return text[i] == '{';
        return false;
}

static int read_policies(struct cedar_policies *policies, const char *name, const char *text, size_t size,
                char **ret_error) {
        struct arena *arena = &policies->arena;

        policies->name = arena_strdup(arena, name);
        if (!policies->name)
                return -ENOMEM;
        if (looks_like_json(text, size))
                return cedar_parse_policy_json(
                                arena, name, text, size, &policies->policies, &policies->n, ret_error);
        policies->text = cedar_text_copy(arena, (struct cedar_text){ text, size });
        if (!policies->text.s)
                return -ENOMEM;
        return cedar_parse_text(
                        arena, name, policies->text.s, size, &policies->policies, &policies->n, ret_error);
}

static int check_steps(const struct cedar_policies *policies, char **ret_error) {
        uint64_t steps = 0;

        for (size_t i = 0; i < policies->n; i++)
                for (size_t j = 0; j < policies->policies[i].n_clauses; j++)
                        steps += policies->policies[i].clauses[j].node->steps;
        if (steps <= CEDAR_STEPS_MAX)
                return 0;
        *ret_error = text_printf(
                        "%s: a decision would take more than %u steps", policies->name, CEDAR_STEPS_MAX);
        return *ret_error ? -EINVAL : -ENOMEM;
}

int cedar_policies_new(struct cedar_policies **ret, const char *name, const char *text, size_t size,
                char **ret_error) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies = calloc(1, sizeof(*policies));
        int r;

        *ret_error = NULL;
        if (!policies)
                return -ENOMEM;
        arena_init(&policies->arena, ARENA_BYTES);
        r = read_policies(policies, name, text, size, ret_error);
        if (r >= 0)
                r = check_steps(policies, ret_error);
        if (r < 0)
                return r;
        policies->index = cedar_index_new(&policies->arena, policies->policies, policies->n);
        if (!policies->index)
                return -ENOMEM;
        *ret = TAKE_PTR(policies);
        return 0;
}

struct cedar_policies *cedar_policies_free(struct cedar_policies *policies) {
        if (!policies)
                return NULL;
        arena_clear(&policies->arena);
        free(policies);
        return NULL;
}

/* ---- looking at them ---- */

const struct cedar_index *cedar_policies_index(const struct cedar_policies *policies) {
        return policies->index;
}

const struct cedar_policy *cedar_policies_get(const struct cedar_policies *policies, size_t i) {
        return i < policies->n ? &policies->policies[i] : NULL;
}

size_t cedar_policies_count(const struct cedar_policies *policies) {
        return policies->n;
}

const char *cedar_policies_name(const struct cedar_policies *policies) {
        return policies->name;
}

struct cedar_text cedar_policies_text(const struct cedar_policies *policies, struct cedar_span span) {
        if (span.length == 0 || (size_t) span.offset + span.length > policies->text.n)
                return CEDAR_TEXT("");
        return (struct cedar_text){ policies->text.s + span.offset, span.length };
}

void cedar_policies_position(const struct cedar_policies *policies, struct cedar_span span,
                unsigned *ret_line, unsigned *ret_column) {
        *ret_line = *ret_column = 0;
        if (cedar_policies_text(policies, span).n > 0)
                cedar_text_position(policies->text.s, span.offset, ret_line, ret_column);
}

/* ---- deciding ---- */

/* Whether the policy applies. False with e->failure: it could not be evaluated. */
static bool applies(struct cedar_evaluation *e, const struct cedar_policy *policy) {
        bool met;

        for (enum cedar_var var = CEDAR_PRINCIPAL; var <= CEDAR_RESOURCE; var++)
                if (!cedar_scope_is_met(e, policy, var))
                        return false;
        for (size_t i = 0; i < policy->n_clauses; i++)
                if (!cedar_evaluate_bool(e, policy->clauses[i].node, &met) ||
                                met == policy->clauses[i].unless)
                        return false;
        return true;
}

/* Lists that grow in the arena, of which the caller's decision is one at the end. */
struct verdict {
        const struct cedar_policy **permits, **forbids;
        size_t n_permits, n_forbids;
        struct cedar_failure *failures;
        size_t n_failures;
};

static int note(struct arena *arena, const struct cedar_policy ***list, size_t *n,
                const struct cedar_policy *policy) {
        *list = cedar_grow(arena, *list, *n, sizeof(**list));
        if (!*list)
                return -ENOMEM;
        (*list)[(*n)++] = policy;
        return 0;
}

static int note_failure(struct arena *arena, struct verdict *verdict, const struct cedar_policy *policy,
                const char *message) {
        verdict->failures = cedar_grow(
                        arena, verdict->failures, verdict->n_failures, sizeof(*verdict->failures));
        if (!verdict->failures)
                return -ENOMEM;
        verdict->failures[verdict->n_failures++] =
                        (struct cedar_failure){ .policy = policy, .message = message };
        return 0;
}

static int judge(struct cedar_evaluation *e, const struct cedar_policy *policy, struct verdict *verdict) {
        e->failure = NULL;
        if (applies(e, policy))
                return policy->forbid ? note(e->arena, &verdict->forbids, &verdict->n_forbids, policy)
                                      : note(e->arena, &verdict->permits, &verdict->n_permits, policy);
        if (e->starved)
                return -ENOMEM;
        return e->failure ? note_failure(e->arena, verdict, policy, e->failure) : 0;
}

int cedar_authorize(const struct cedar_policies *policies, const struct cedar_entities *entities,
                const struct cedar_request *request, struct arena *arena, struct cedar_decision *ret) {
        struct cedar_evaluation e = { .request = request, .entities = entities, .arena = arena };
        struct cedar_index_cursor cursor;
        struct verdict verdict = {};
        size_t i;

        *ret = (struct cedar_decision){};
        cedar_index_find(policies->index, request, &cursor);
        while (cedar_index_next(&cursor, &i))
                if (judge(&e, &policies->policies[i], &verdict) < 0)
                        return -ENOMEM;
        *ret = (struct cedar_decision){
                .allow = verdict.n_forbids == 0 && verdict.n_permits > 0,
                .reasons = verdict.n_forbids > 0 ? verdict.forbids : verdict.permits,
                .n_reasons = verdict.n_forbids > 0 ? verdict.n_forbids : verdict.n_permits,
                .failures = verdict.failures,
                .n_failures = verdict.n_failures,
        };
        return 0;
}
