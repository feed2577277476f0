/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What cedar-policy-json.c (policies) and cedar-node-json.c (expressions) share. Functions return 0, -EINVAL
 * with the error's message set, or -ENOMEM. */

#include "cedar-json.h"
#include "cedar-node.h"

struct cedar_policy_reader {
        struct arena *arena;
        struct cedar_json_error error;
        struct cedar_policy *policies;
        size_t n;
        json_t *places; /* in policies, by id */
};

/* A member of a name that is not known may be a known one that is misspelt. known ends with NULL; each of
 * them may be absent. */
int cedar_check_members(struct cedar_policy_reader *reader, const json_t *json, const char *what,
                const char *const *known);

#define CEDAR_MEMBERS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* The member of that name, an expression, which stands depth deep. */
int cedar_read_expression(struct cedar_policy_reader *reader, const json_t *json, const char *key,
                unsigned depth, const struct cedar_node **ret);
/* "entity_type" */
int cedar_read_type(struct cedar_policy_reader *reader, const json_t *json, struct cedar_text *ret);
