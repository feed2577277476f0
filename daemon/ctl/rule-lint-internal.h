/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the parts of rule-lint.c share. */

#include "rule-lint.h"
#include "rule-range.h"

/* Conditions of one rule that are looked at, and values that one of them may pin something down to: rules
 * that people write have a dozen. What is more is not looked at. */
#define LINT_CONDITIONS_MAX 128
#define LINT_VALUES_MAX     256
/* Parts that are looked at, of all rules and of one, each as often as it is: some seconds, and enough for 4
 * MiB of rules that people write. What is more may be anything, so that nothing is found in it. */
#define LINT_STEPS_MAX      (UINT64_C(256) * 1024 * 1024)
#define LINT_RULE_STEPS_MAX (UINT64_C(4) * 1024 * 1024)
/* Findings in one rule: who sees that many corrects it, and looks again. */
#define LINT_FINDINGS_MAX 64
/* Parts (as often as they are met) of a condition, or a rule, that is compared with others by its text. */
#define LINT_TEXT_STEPS_MAX (64 * 1024)

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
        struct arena *arena;  /* what is found */
        struct arena scratch; /* of the rule that is looked at, which is gone with it */
        uint64_t steps;       /* that it may yet take */
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
/* False: no more of the rule can be looked at. */
bool lint_spend(struct lint *lint, uint64_t steps);
/* In one line, cut short; of a scope's part where node is NULL. In the arena. */
const char *lint_quote(struct lint *lint, const struct lint_rule *rule, const struct cedar_node *node,
                enum cedar_var var);
/* "policy3 (its @id) at line 12" */
const char *lint_name(struct lint *lint, const struct lint_rule *rule);
/* "%.*s", cut short */
#define LINT_TEXT(text) (int) lint_cut((text).s, (text).n), (text).s
/* At most so many bytes of it, and whole characters. */
#define LINT_TEXT_MAX 80
size_t lint_cut(const char *s, size_t n);

/* rule-lint-contract.c: */
int lint_contract_begin(struct lint *lint);
void lint_contract(struct lint *lint, struct lint_rule *rule);
/* rule-lint-cover.c: */
int lint_cover(struct lint *lint);
