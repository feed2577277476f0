/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules that add nothing to others. */
#include "rule-lint-internal.h"

#include "cedar-eval.h"
#include "cedar-index.h"
#include "cedar-print.h"

/* Rules without conditions. What they ask for in the scope leads to those that may cover another. */
struct broad {
        struct lint_rule **rules;
        struct cedar_policy *policies; /* of these */
        size_t n;
        struct cedar_index *index;
};

static bool is_unconditional(const struct lint_rule *rule) {
        return rule->policy->n_clauses == 0 && !rule->policy->is_template;
}

static bool is_met_by(const struct lint *lint, const struct lint_rule *rule, enum cedar_var var,
                const struct cedar_value *value) {
        const struct cedar_request request = {
                .principal = value->uid,
                .action = value->uid,
                .resource = value->uid,
        };
        const struct cedar_evaluation e = { .request = &request, .entities = lint->files->entities };

        return value->kind == CEDAR_ENTITY && cedar_scope_is_met(&e, rule->policy, var);
}

/* Whether whoever meets the narrow one's scope meets the broad one's. */
static bool covers_var(const struct lint *lint, const struct lint_rule *broad,
                const struct lint_rule *narrow, enum cedar_var var) {
        const struct cedar_scope *a = &broad->policy->scopes[var], *b = &narrow->policy->scopes[var];
        const struct lint_values *values = &narrow->vars[var];

        if (a->op == CEDAR_SCOPE_ANY)
                return true;
        for (size_t i = 0; values->is_finite && i < values->n; i++)
                if (!is_met_by(lint, broad, var, &values->values[i]))
                        return false;
        if (values->is_finite)
                return true;
        if (a->op == CEDAR_SCOPE_IS)
                return (b->op == CEDAR_SCOPE_IS || b->op == CEDAR_SCOPE_IS_IN) &&
                                cedar_text_equal(a->type, b->type);
        return a->op == CEDAR_SCOPE_IN && b->op == CEDAR_SCOPE_IN && !a->slot && !b->slot &&
                        cedar_uid_equal(a->uids[0], b->uids[0]);
}

static bool covers(const struct lint *lint, const struct lint_rule *broad, const struct lint_rule *narrow) {
        return covers_var(lint, broad, narrow, CEDAR_PRINCIPAL) &&
                        covers_var(lint, broad, narrow, CEDAR_ACTION) &&
                        covers_var(lint, broad, narrow, CEDAR_RESOURCE);
}

/* Some entity that the rule may be about; NULL: it may be any. */
static const struct cedar_uid *some_uid(const struct lint_rule *rule, enum cedar_var var) {
        const struct lint_values *values = &rule->vars[var];

        return values->is_finite && values->values[0].kind == CEDAR_ENTITY ? values->values[0].uid : NULL;
}

/*
 * The first that permits or forbids, without conditions, all that the rule is about. One that asks for an
 * entity asks for each that the rule may be about.
 */
static const struct lint_rule *find_cover(
                struct lint *lint, const struct lint_rule *rule, bool forbid, const struct broad *broad) {
        const struct cedar_request request = {
                .principal = some_uid(rule, CEDAR_PRINCIPAL),
                .action = some_uid(rule, CEDAR_ACTION),
                .resource = some_uid(rule, CEDAR_RESOURCE),
        };
        struct cedar_index_cursor cursor;
        size_t i;

        cedar_index_find(broad->index, &request, &cursor);
        while (cedar_index_next(&cursor, &i)) {
                const struct lint_rule *other = broad->rules[i];

                if (!lint_spend(lint, 1))
                        return NULL;
                if (other == rule || other->policy->forbid != forbid || !covers(lint, other, rule))
                        continue;
                /* Of two that are the same, the later one is too many. */
                if (forbid == rule->policy->forbid && other > rule && is_unconditional(rule) &&
                                covers(lint, rule, other))
                        continue;
                return other;
        }
        return NULL;
}

static void check_cover(struct lint *lint, struct lint_rule *rule, const struct broad *broad) {
        const struct lint_rule *cover = find_cover(lint, rule, true, broad);

        if (cover && !rule->policy->forbid)
                lint_say(lint, rule, rule->policy->span,
                                "the rule never counts: %s forbids all that it permits",
                                lint_name(lint, cover));
        if (!cover && !rule->policy->forbid)
                cover = find_cover(lint, rule, false, broad);
        if (cover && cover->policy->forbid == rule->policy->forbid)
                lint_say(lint, rule, rule->policy->span, "the rule adds nothing: %s %s all of it",
                                lint_name(lint, cover), cover->policy->forbid ? "forbids" : "permits");
        rule->is_dead = rule->is_dead || cover;
}

static int compare_texts(const void *x, const void *y) {
        const struct lint_rule *const *a = x, *const *b = y;
        int order = strcmp((*a)->text, (*b)->text);

        return order != 0 ? order : (*a < *b ? -1 : *a > *b);
}

static uint64_t steps_of(const struct cedar_policy *policy) {
        uint64_t steps = 0;

        for (size_t i = 0; i < policy->n_clauses; i++)
                steps += policy->clauses[i].node->steps;
        return steps;
}

static void check_duplicates(struct lint *lint, struct lint_rule **rules) {
        const struct lint_rule *first = NULL;
        size_t n = 0;

        for (size_t i = 0; i < lint->n_rules; i++) {
                struct cedar_policy bare = *lint->rules[i].policy;

                if (lint->rules[i].is_dead || bare.is_template || steps_of(&bare) > LINT_TEXT_STEPS_MAX)
                        continue;
                bare.n_annotations = 0;
                lint->rules[i].text = cedar_print_policy(&bare);
                if (!lint->rules[i].text) {
                        lint->starved = true;
                        return;
                }
                rules[n++] = &lint->rules[i];
        }
        cedar_sort(rules, n, sizeof(*rules), compare_texts);
        for (size_t i = 0; i < n; i++) {
                if (!first || !streq(first->text, rules[i]->text)) {
                        first = rules[i];
                        continue;
                }
                lint_say(lint, rules[i], rules[i]->policy->span,
                                "the rule adds nothing: it is the same as %s", lint_name(lint, first));
        }
}

/* 0 or -ENOMEM. */
static int find_broad(struct lint *lint, struct broad *ret) {
        *ret = (struct broad){
                .rules = arena_alloc(lint->arena, lint->n_rules * sizeof(*ret->rules)),
                .policies = arena_alloc(lint->arena, lint->n_rules * sizeof(*ret->policies)),
        };
        if (!ret->rules || !ret->policies)
                return -ENOMEM;
        for (size_t i = 0; i < lint->n_rules; i++)
                if (is_unconditional(&lint->rules[i])) {
                        ret->rules[ret->n] = &lint->rules[i];
                        ret->policies[ret->n++] = *lint->rules[i].policy;
                }
        ret->index = cedar_index_new(lint->arena, ret->policies, ret->n);
        return ret->index ? 0 : -ENOMEM;
}

int lint_cover(struct lint *lint) {
        struct lint_rule **rules = arena_alloc(lint->arena, lint->n_rules * sizeof(*rules));
        struct broad broad;

        if (lint->n_rules == 0)
                return 0;
        if (!rules || find_broad(lint, &broad) < 0)
                return -ENOMEM;
        lint->steps = LINT_STEPS_MAX;
        for (size_t i = 0; i < lint->n_rules; i++)
                if (!lint->rules[i].is_dead && !lint->rules[i].policy->is_template)
                        check_cover(lint, &lint->rules[i], &broad);
        check_duplicates(lint, rules);
        return 0;
}
