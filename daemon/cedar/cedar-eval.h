/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Expressions to values (https://docs.cedarpolicy.com/policies/syntax-operators.html). */

#include "cedar.h"

struct cedar_evaluation {
        const struct cedar_request *request;
        const struct cedar_entities *entities;
        struct arena *arena;
        const char *failure; /* why it failed, in the arena or static */
        bool starved;        /* for want of memory */
};

/* False: it has failed. */
bool cedar_evaluate(
                struct cedar_evaluation *evaluation, const struct cedar_node *node, struct cedar_value *ret);
/* The same where only a bool will do. */
bool cedar_evaluate_bool(struct cedar_evaluation *evaluation, const struct cedar_node *node, bool *ret);

/* Whether a part of a policy's scope is met; that cannot fail. */
bool cedar_scope_is_met(const struct cedar_evaluation *evaluation, const struct cedar_policy *policy,
                enum cedar_var var);
