/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-eval.h"

#include "cedar-index.h"

/* The first condition that is not met is the one that is told of; those behind it are still counted. */
static void miss(struct cedar_explanation *explanation, const struct cedar_node *node, bool unless,
                const char *failure) {
        if (explanation->node || explanation->in_scope)
                return;
        explanation->node = node;
        explanation->unless = unless;
        explanation->span = node->span;
        explanation->failure = failure;
}

/* A failure that is behind an unmet condition would not have come to be. */
static void weigh(struct cedar_evaluation *e, const struct cedar_node *node, bool unless,
                struct cedar_explanation *ret) {
        bool met = false;

        if (node->op == CEDAR_OP_AND && !unless) {
                weigh(e, node->left, unless, ret);
                weigh(e, node->right, unless, ret);
                return;
        }
        ret->n_conditions++;
        e->failure = NULL;
        if (cedar_evaluate_bool(e, node, &met) && met != unless)
                ret->n_met++;
        else
                miss(ret, node, unless, e->failure);
}

int cedar_explain(const struct cedar_policy *policy, const struct cedar_entities *entities,
                const struct cedar_request *request, struct arena *arena, struct cedar_explanation *ret) {
        struct cedar_evaluation e = { .request = request, .entities = entities, .arena = arena };

        *ret = (struct cedar_explanation){ .n_conditions = 3 };
        for (enum cedar_var var = CEDAR_PRINCIPAL; var <= CEDAR_RESOURCE; var++) {
                if (cedar_scope_is_met(&e, policy, var)) {
                        ret->n_met++;
                        continue;
                }
                if (!ret->in_scope)
                        ret->var = var;
                ret->in_scope = true;
                ret->span = policy->scopes[ret->var].span;
        }
        for (size_t i = 0; i < policy->n_clauses; i++)
                weigh(&e, policy->clauses[i].node, policy->clauses[i].unless, ret);
        ret->applies = ret->n_met == ret->n_conditions;
        return e.starved ? -ENOMEM : 0;
}

/* Fewer conditions that are not met come first, then more that are. */
static bool is_nearer(const struct cedar_explanation *a, const struct cedar_explanation *b) {
        size_t missing_a = a->n_conditions - a->n_met, missing_b = b->n_conditions - b->n_met;

        return missing_a != missing_b ? missing_a < missing_b : a->n_met > b->n_met;
}

/* Puts it where it belongs among the nearest so far, of which there are *n of at most max. */
static void insert(struct cedar_near *nearest, size_t *n, size_t max, const struct cedar_near *near) {
        size_t at;

        for (at = *n; at > 0 && is_nearer(&near->explanation, &nearest[at - 1].explanation); at--)
                if (at < max)
                        nearest[at] = nearest[at - 1];
        if (at < max)
                nearest[at] = *near;
        *n = MIN(*n + 1, max);
}

int cedar_nearest(const struct cedar_policies *policies, const struct cedar_entities *entities,
                const struct cedar_request *request, bool likely, struct arena *arena,
                struct cedar_near *ret, size_t n) {
        struct cedar_index_cursor cursor;
        size_t found = 0, all = 0, i;

        cedar_index_find(cedar_policies_index(policies), request, &cursor);
        while (likely ? cedar_index_next(&cursor, &i) : (i = all++) < cedar_policies_count(policies)) {
                struct cedar_near near = { .policy = cedar_policies_get(policies, i) };

                if (near.policy->forbid || near.policy->is_template)
                        continue;
                if (cedar_explain(near.policy, entities, request, arena, &near.explanation) < 0)
                        return -ENOMEM;
                if (!near.explanation.applies)
                        insert(ret, &found, n, &near);
        }
        return (int) found;
}
