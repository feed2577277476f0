/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rule-lint-internal.h"

#include "cedar-eval.h"
#include "cedar-print.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

size_t lint_cut(const char *s, size_t n) {
        n = MIN(n, (size_t) LINT_TEXT_MAX);
        return n - text_unfinished_length(s, n);
}

/* ---- findings ---- */

static bool make_room(struct lint *lint) {
        size_t n = lint->n_room > 0 ? 2 * lint->n_room : 64;
        struct lint_finding *findings;

        if (lint->n_findings < lint->n_room)
                return true;
        findings = arena_alloc(lint->arena, n * sizeof(*findings));
        if (!findings)
                return false;
        if (lint->n_findings > 0)
                memcpy(findings, lint->findings, lint->n_findings * sizeof(*findings));
        lint->findings = findings;
        lint->n_room = n;
        return true;
}

/* This, or enough. */
static bool is_said(const struct lint *lint, const struct cedar_policy *policy, const char *message) {
        size_t i = lint->n_findings;

        for (; i > 0 && lint->findings[i - 1].policy == policy; i--)
                if (streq(lint->findings[i - 1].message, message))
                        return true;
        return lint->n_findings - i >= LINT_FINDINGS_MAX;
}

void lint_say(struct lint *lint, const struct lint_rule *rule, struct cedar_span span, const char *format,
                ...) {
        char message[512];
        size_t n;
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        n = strlen(message);
        message[n - text_unfinished_length(message, n)] = '\0';
        if (is_said(lint, rule->policy, message))
                return;
        if (!make_room(lint)) {
                lint->starved = true;
                return;
        }
        lint->findings[lint->n_findings] = (struct lint_finding){
                .policy = rule->policy,
                .span = span,
                .message = arena_strdup(lint->arena, message),
        };
        if (lint->findings[lint->n_findings].message)
                lint->n_findings++;
        else
                lint->starved = true;
}

struct rule_world lint_world(struct lint *lint) {
        return (struct rule_world){
                .entities = lint->files->entities,
                .arena = &lint->scratch,
                .steps = &lint->steps,
        };
}

bool lint_spend(struct lint *lint, uint64_t steps) {
        lint->steps -= MIN(steps, lint->steps);
        return lint->steps > 0;
}

static const char *cut(struct lint *lint, struct cedar_text text) {
        char shown[LINT_TEXT_MAX];
        bool blank = false;
        const char *copy;
        size_t n = 0;

        for (size_t i = 0; i < text.n && n < sizeof(shown); i++) {
                bool is_blank = text.s[i] == ' ' || (text.s[i] >= '\t' && text.s[i] <= '\r');

                if (!is_blank || !blank)
                        shown[n++] = is_blank ? ' ' : text.s[i];
                blank = is_blank;
        }
        copy = arena_memdup_text(lint->arena, shown, lint_cut(shown, n));
        lint->starved = lint->starved || !copy;
        return strempty(copy);
}

const char *lint_quote(struct lint *lint, const struct lint_rule *rule, const struct cedar_node *node,
                enum cedar_var var) {
        struct cedar_span span = node ? node->span : rule->policy->scopes[var].span;
        struct cedar_text text = cedar_policies_text(lint->files->policies, span);
        _cleanup_(freep) char *printed = NULL;

        if (text.n > 0)
                return cut(lint, text);
        printed = node ? cedar_print_node(node) : cedar_print_scope(rule->policy, var);
        lint->starved = lint->starved || !printed;
        return cut(lint, cedar_text_of(strempty(printed)));
}

const char *lint_name(struct lint *lint, const struct lint_rule *rule) {
        const struct cedar_policy *policy = rule->policy;
        char name[300];

        (void) snprintf(name, sizeof(name), "%.*s%s%.*s%s", LINT_TEXT(policy->id),
                        policy->name.n > 0 ? " (" : "", LINT_TEXT(policy->name),
                        policy->name.n > 0 ? ")" : "");
        if (policy->line > 0)
                (void) snprintf(name + strlen(name), sizeof(name) - strlen(name), " at line %u",
                                policy->line);
        return cut(lint, cedar_text_of(name));
}

/* ---- conditions ---- */

static void add_condition(struct lint_rule *rule, const struct cedar_node *node, bool negated) {
        if (node->op == CEDAR_OP_NOT) {
                add_condition(rule, node->left, !negated);
                return;
        }
        if (node->op == (negated ? CEDAR_OP_OR : CEDAR_OP_AND)) {
                add_condition(rule, node->left, negated);
                add_condition(rule, node->right, negated);
                return;
        }
        if (rule->n_conditions < LINT_CONDITIONS_MAX)
                rule->conditions[rule->n_conditions++] = (struct lint_condition){ node, negated };
}

static bool split(struct lint *lint, struct lint_rule *rule) {
        rule->conditions = arena_alloc(&lint->scratch, LINT_CONDITIONS_MAX * sizeof(*rule->conditions));
        if (!rule->conditions) {
                lint->starved = true;
                return false;
        }
        for (size_t i = 0; i < rule->policy->n_clauses; i++)
                add_condition(rule, rule->policy->clauses[i].node, rule->policy->clauses[i].unless);
        return true;
}

static bool may_be_met(struct rule_world *world, const struct lint_condition *condition) {
        struct rule_range range = rule_range_of(world, condition->node);

        return condition->negated ? range.can_be_false : range.can_be_true;
}

struct telling {
        struct lint *lint;
        const struct lint_rule *rule;
};

static void tell_failure(const struct cedar_node *node, const char *message, void *userdata) {
        const struct telling *telling = userdata;

        lint_say(telling->lint, telling->rule, node->span, "%s always fails: %s",
                        lint_quote(telling->lint, telling->rule, node, 0), message);
}

/* Parts that always fail, and conditions that are never met whoever asks for what. */
static void check_constants(struct lint *lint, struct lint_rule *rule) {
        struct telling telling = { .lint = lint, .rule = rule };
        struct rule_world world = lint_world(lint);

        world.failed = tell_failure;
        world.userdata = &telling;
        for (size_t i = 0; i < rule->n_conditions; i++) {
                const struct lint_condition *condition = &rule->conditions[i];
                size_t before = lint->n_findings;

                if (may_be_met(&world, condition))
                        continue;
                rule->is_dead = true;
                if (lint->n_findings == before)
                        lint_say(lint, rule, condition->node->span, "%s is never %s: the rule never applies",
                                        lint_quote(lint, rule, condition->node, 0),
                                        condition->negated ? "false" : "true");
        }
        lint->starved = lint->starved || world.starved;
}

/* ---- what rules pin down ---- */

struct pinned {
        const struct cedar_node *subject; /* NULL: nothing so far */
        struct cedar_value values[LINT_VALUES_MAX];
        size_t n;
};

static bool pin(struct pinned *pinned, const struct cedar_node *subject, struct cedar_value value) {
        if (pinned->n == LINT_VALUES_MAX ||
                        (pinned->subject && !rule_subject_equal(pinned->subject, subject)))
                return false;
        pinned->subject = subject;
        pinned->values[pinned->n++] = value;
        return true;
}

static bool pin_set(
                struct pinned *pinned, const struct cedar_node *subject, const struct rule_range *range) {
        if (!range->is_known || range->value.kind != CEDAR_SET)
                return false;
        for (size_t i = 0; i < range->value.set->n; i++)
                if (!pin(pinned, subject, range->value.set->items[i]))
                        return false;
        return range->value.set->n > 0;
}

/* Whether to be met, the condition needs a subject to be one of some values. */
static bool read_pins(struct rule_world *world, const struct cedar_node *node, bool negated,
                struct pinned *pinned) {
        const struct cedar_node *left = node->left, *right = node->right;
        struct rule_range range;

        if (node->op == (negated ? CEDAR_OP_NE : CEDAR_OP_EQ)) {
                if (!rule_is_subject(left)) {
                        left = node->right;
                        right = node->left;
                }
                range = rule_range_of(world, right);
                return rule_is_subject(left) && range.is_known && pin(pinned, left, range.value);
        }
        if (node->op == (negated ? CEDAR_OP_AND : CEDAR_OP_OR))
                return read_pins(world, left, negated, pinned) && read_pins(world, right, negated, pinned);
        if (negated)
                return false;
        if (node->op == CEDAR_OP_IN && !world->entities && rule_is_subject(left)) {
                /* Without entities, nothing is in another. */
                range = rule_range_of(world, right);
                return range.is_known && range.value.kind == CEDAR_ENTITY ? pin(pinned, left, range.value)
                                                                          : pin_set(pinned, left, &range);
        }
        if (node->op == CEDAR_OP_METHOD && node->method == CEDAR_METHOD_CONTAINS && rule_is_subject(right)) {
                range = rule_range_of(world, left);
                return pin_set(pinned, right, &range);
        }
        return false;
}

static bool read_scope_pins(const struct lint *lint, const struct cedar_policy *policy, enum cedar_var var,
                struct pinned *pinned) {
        const struct cedar_scope *scope = &policy->scopes[var];
        bool is_in = scope->op == CEDAR_SCOPE_IN || scope->op == CEDAR_SCOPE_IN_LIST;

        if (scope->slot || (scope->op != CEDAR_SCOPE_EQ && !(is_in && !lint->files->entities)))
                return false;
        for (size_t i = 0; i < scope->n_uids; i++)
                if (!pin(pinned, rule_var_node(var), cedar_entity(scope->uids[i])))
                        return false;
        return pinned->n > 0;
}

/* Which other condition cannot be met when world is so; it is said. */
static bool say_opponent(struct lint *lint, struct lint_rule *rule, struct rule_world *world,
                const struct cedar_node *node, enum cedar_var var) {
        const char *text = lint_quote(lint, rule, node, var);

        for (enum cedar_var other = CEDAR_PRINCIPAL; other <= CEDAR_RESOURCE; other++)
                if (!rule_scope_may_be_met(world, rule->policy, other)) {
                        lint_say(lint, rule, rule->policy->scopes[other].span,
                                        "%s is never met together with %s: the rule never applies",
                                        lint_quote(lint, rule, NULL, other), text);
                        return true;
                }
        for (size_t i = 0; i < rule->n_conditions; i++)
                if (rule->conditions[i].node != node && !may_be_met(world, &rule->conditions[i])) {
                        lint_say(lint, rule, rule->conditions[i].node->span,
                                        "%s%s is never met together with %s: the rule never applies",
                                        rule->conditions[i].negated ? "not " : "",
                                        lint_quote(lint, rule, rule->conditions[i].node, 0), text);
                        return true;
                }
        return false;
}

/* Keeps those values with which the rule may still apply. */
static void check_pins(struct lint *lint, struct lint_rule *rule, struct rule_world *world,
                struct pinned *pinned, const struct cedar_node *node, enum cedar_var var) {
        struct rule_world tried = *world;
        size_t n = 0;

        if (rule_bound_find(world, pinned->subject))
                return;
        for (size_t i = 0; i < pinned->n; i++) {
                tried = *world;
                if (!rule_bind(&tried, pinned->subject, pinned->values[i]))
                        return;
                if (rule_may_apply(&tried, rule->policy))
                        pinned->values[n++] = pinned->values[i];
        }
        lint->starved = lint->starved || tried.starved;
        if (n == 0) {
                rule->is_dead = true;
                if (pinned->n > 1 || !say_opponent(lint, rule, &tried, node, var))
                        lint_say(lint, rule, node ? node->span : rule->policy->scopes[var].span,
                                        "%s is never met together with the other conditions: the rule never "
                                        "applies",
                                        lint_quote(lint, rule, node, var));
                return;
        }
        pinned->n = n;
        if (n == 1)
                (void) rule_bind(world, pinned->subject, pinned->values[0]);
}

static void keep_pins(struct lint *lint, struct lint_rule *rule, const struct pinned *pinned) {
        struct lint_values *values;

        if (pinned->subject->op != CEDAR_OP_VAR || pinned->subject->var == CEDAR_CONTEXT)
                return;
        values = &rule->vars[pinned->subject->var];
        if (values->is_finite && values->n <= pinned->n)
                return;
        values->values = arena_alloc(lint->arena, pinned->n * sizeof(*values->values));
        if (!values->values) {
                lint->starved = true;
                return;
        }
        memcpy(values->values, pinned->values, pinned->n * sizeof(*values->values));
        values->n = pinned->n;
        values->is_finite = true;
}

static void check_contradictions(struct lint *lint, struct lint_rule *rule) {
        struct rule_world world = lint_world(lint);
        struct pinned pinned;

        for (enum cedar_var var = CEDAR_PRINCIPAL; var <= CEDAR_RESOURCE && !rule->is_dead; var++) {
                pinned = (struct pinned){};
                if (!read_scope_pins(lint, rule->policy, var, &pinned))
                        continue;
                check_pins(lint, rule, &world, &pinned, NULL, var);
                keep_pins(lint, rule, &pinned);
        }
        for (size_t i = 0; i < rule->n_conditions && !rule->is_dead; i++) {
                const struct lint_condition *condition = &rule->conditions[i];

                pinned = (struct pinned){};
                if (!read_pins(&world, condition->node, condition->negated, &pinned))
                        continue;
                check_pins(lint, rule, &world, &pinned, condition->node, 0);
                keep_pins(lint, rule, &pinned);
        }
        lint->starved = lint->starved || world.starved;
}

static bool is_opposite(const struct lint_condition *a, const struct lint_condition *b) {
        return a->negated != b->negated && a->node->op == b->node->op && a->node->steps == b->node->steps;
}

/* The one before it that asks for the opposite; NULL: there is none. */
static const struct lint_condition *find_opposite(const struct lint_rule *rule, size_t i, char **texts) {
        for (size_t j = 0; texts[i] && j < i; j++)
                if (texts[j] && is_opposite(&rule->conditions[i], &rule->conditions[j]) &&
                                streq(texts[i], texts[j]))
                        return &rule->conditions[j];
        return NULL;
}

/* What is asked for, and must not be. */
static void check_opposites(struct lint *lint, struct lint_rule *rule) {
        char *texts[LINT_CONDITIONS_MAX] = {};

        for (size_t i = 0; i < rule->n_conditions && !rule->is_dead; i++) {
                const struct cedar_node *node = rule->conditions[i].node;

                if (node->steps > LINT_TEXT_STEPS_MAX || !lint_spend(lint, node->steps))
                        continue;
                texts[i] = cedar_print_node(node);
                rule->is_dead = find_opposite(rule, i, texts);
                if (rule->is_dead)
                        lint_say(lint, rule, node->span,
                                        "%s is asked for and ruled out: the rule never applies",
                                        lint_quote(lint, rule, node, 0));
        }
        for (size_t i = 0; i < rule->n_conditions; i++)
                free(texts[i]);
}

/* ---- all of them ---- */

static bool is_link(const struct cedar_policy *policy) {
        return policy->slots[0] || policy->slots[1];
}

static int compare_findings(const void *x, const void *y) {
        const struct lint_finding *a = x, *b = y;

        if (a->policy != b->policy)
                return a->policy < b->policy ? -1 : 1;
        return a->span.offset < b->span.offset ? -1 : a->span.offset > b->span.offset;
}

/* 0 or -ENOMEM. */
static int check_rule(struct lint *lint, struct lint_rule *rule) {
        if (!split(lint, rule))
                return -ENOMEM;
        check_constants(lint, rule);
        check_contradictions(lint, rule);
        check_opposites(lint, rule);
        if (!rule->is_dead)
                lint_contract(lint, rule);
        return lint->starved ? -ENOMEM : 0;
}

static int check_rules(struct lint *lint) {
        uint64_t left = LINT_STEPS_MAX, most;
        int r = 0;

        for (size_t i = 0; r == 0 && i < lint->n_rules; i++) {
                /* The conditions of links are their template's, and are looked at there. */
                if (is_link(lint->rules[i].policy))
                        continue;
                most = lint->steps = MIN(left, LINT_RULE_STEPS_MAX);
                arena_init(&lint->scratch, lint->arena->limit);
                r = check_rule(lint, &lint->rules[i]);
                arena_clear(&lint->scratch);
                left -= most - lint->steps;
        }
        return r;
}

static int check_all(struct lint *lint) {
        int r;

        lint->n_rules = cedar_policies_count(lint->files->policies);
        lint->rules = arena_alloc0(lint->arena, lint->n_rules * sizeof(*lint->rules));
        if (!lint->rules)
                return -ENOMEM;
        for (size_t i = 0; i < lint->n_rules; i++)
                lint->rules[i].policy = cedar_policies_get(lint->files->policies, i);
        lint->steps = LINT_STEPS_MAX;
        r = lint_contract_begin(lint);
        if (r < 0)
                return r;
        r = check_rules(lint);
        if (r >= 0)
                r = lint_cover(lint);
        return r < 0 || lint->starved ? -ENOMEM : 0;
}

int lint_rules(const struct auth_files *files, struct arena *arena, struct lint_finding **ret,
                size_t *ret_n) {
        struct lint lint = { .files = files, .arena = arena };
        int r = check_all(&lint);

        for (size_t i = 0; lint.rules && i < lint.n_rules; i++)
                free(lint.rules[i].text);
        if (r < 0)
                return r;
        cedar_sort(lint.findings, lint.n_findings, sizeof(*lint.findings), compare_findings);
        *ret = lint.findings;
        *ret_n = lint.n_findings;
        return 0;
}
