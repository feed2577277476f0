/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the parts of rule-lint.c share. */

#include "rule-lint.h"
#include "rule-range.h"

/* Conditions of one rule that are looked at, and values that one of them may pin something down to: rules
 * that people write have a dozen. What is more is not looked at. */
#define LINT_CONDITIONS_MAX 128
#define LINT_VALUES_MAX     256

/* One of what && joins. */
struct lint_condition {
        const struct cedar_node *node;
        bool negated; /* it must not be met */
};

/* Of what a rule pins principal, action or resource down to. */
struct lint_values {
        bool is_finite;
        struct cedar_value *values;
        size_t n;
};

struct lint_rule {
        const struct cedar_policy *policy;
        struct lint_condition *conditions;
        size_t n_conditions;
        struct lint_values vars[3];
        bool is_dead; /* never applies, which has been said */
        char *text;   /* without annotations, on the heap; NULL: not looked at */
};

struct lint {
        const struct auth_files *files;
        struct arena *arena;
        struct lint_rule *rules;
        size_t n_rules;
        const struct contract_method *methods;
        const struct cedar_uid **actions, **modules; /* of each method */
        size_t n_methods;
        bool is_of_givc; /* the file has entities of givc's types */
        struct lint_finding *findings;
        size_t n_findings, n_room;
        bool starved;
};

/* A finding, at a part of the rule; the same at the same place is said once. */
void lint_say(struct lint *lint, const struct lint_rule *rule, struct cedar_span span, const char *format,
                ...) _printf_(4, 5);
struct rule_world lint_world(struct lint *lint);
/* In one line, cut short; of a scope's part where node is NULL. In the arena. */
const char *lint_quote(struct lint *lint, const struct lint_rule *rule, const struct cedar_node *node,
                enum cedar_var var);
/* "policy3 (its @id) at line 12" */
const char *lint_name(struct lint *lint, const struct lint_rule *rule);
/* "%.*s" */
#define LINT_TEXT(text) (int) MIN((text).n, (size_t) 80), (text).s

/* rule-lint-contract.c: */
int lint_contract_begin(struct lint *lint);
void lint_contract(struct lint *lint, struct lint_rule *rule);
/* rule-lint-cover.c: */
void lint_cover(struct lint *lint);
