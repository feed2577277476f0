/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Cedar (https://docs.cedarpolicy.com): policies, and what they decide. A policy set is read once and never
 * changes. A decision allocates from the caller's arena alone, and takes no more steps than the conditions
 * of the policies that may apply, which is bounded.
 */

#include "cedar-entities.h"
#include "cedar-node.h"

struct cedar_policies;

/*
 * A hundred milliseconds. No text makes so many by itself; but what stands before has is evaluated for each
 * of the names behind it, and may hold another has.
 */
#define CEDAR_STEPS_MAX (16U * 1024 * 1024)

/*
 * Reads policies: Cedar's text, or, where it begins with '{', its JSON format: one policy, or a policy set.
 * name is that of the file, for messages; name and text are copied. -EINVAL: *ret_error, which becomes the
 * caller's, says NAME:LINE:COLUMN, what was found and what was expected, or that a decision would take more
 * than CEDAR_STEPS_MAX steps; -E2BIG, likewise; -ENOMEM, with *ret_error NULL.
 */
int cedar_policies_new(struct cedar_policies **ret, const char *name, const char *text, size_t size,
                char **ret_error);
struct cedar_policies *cedar_policies_free(struct cedar_policies *policies);
DEFINE_CLEANUP(struct cedar_policies, cedar_policies_free)

/* In the order of the file, templates and all; from 0. NULL past the last one. */
const struct cedar_policy *cedar_policies_get(const struct cedar_policies *policies, size_t i);
size_t cedar_policies_count(const struct cedar_policies *policies);
/* The text that a span is of: "" for policies out of JSON. */
struct cedar_text cedar_policies_text(const struct cedar_policies *policies, struct cedar_span span);
void cedar_policies_position(const struct cedar_policies *policies, struct cedar_span span,
                unsigned *ret_line, unsigned *ret_column);
const char *cedar_policies_name(const struct cedar_policies *policies);

struct cedar_request {
        const struct cedar_uid *principal, *action, *resource;
        const struct cedar_record *context; /* not NULL */
};

struct cedar_failure {
        const struct cedar_policy *policy;
        const char *message;
};

/* Why: in the arena. */
struct cedar_decision {
        bool allow;
        const struct cedar_policy **reasons; /* who decided; none: no policy permits */
        size_t n_reasons;
        struct cedar_failure *failures; /* policies that could not be evaluated, which do not count */
        size_t n_failures;
};

/*
 * Decides: allowed when a policy permits and none forbids. entities may be NULL: there are none. 0; -ENOMEM
 * when the arena has no more: then nobody may rely on *ret, and the answer is no.
 */
int cedar_authorize(const struct cedar_policies *policies, const struct cedar_entities *entities,
                const struct cedar_request *request, struct arena *arena, struct cedar_decision *ret);

/* How far a policy is from applying to a request. */
struct cedar_explanation {
        size_t n_met, n_conditions; /* the scope's three, and what && joins in the clauses */
        bool applies;
        const char *failure; /* could not be evaluated: why; else NULL */
        bool in_scope;       /* the first condition that is not met: this part of the scope */
        enum cedar_var var;
        bool unless;                   /* or this one of a when, or an unless */
        const struct cedar_node *node; /* NULL unless that is it */
        struct cedar_span span;        /* of either */
};

/* 0 or -ENOMEM. Templates apply to nothing. */
int cedar_explain(const struct cedar_policy *policy, const struct cedar_entities *entities,
                const struct cedar_request *request, struct arena *arena, struct cedar_explanation *ret);

/*
 * Of those that permit and do not apply, the nearest: whose conditions are met for the most part. likely:
 * only those that are about this principal, action and resource, which are few; else all. At most n, nearest
 * first. Returns how many there are, or -ENOMEM.
 */
struct cedar_near {
        const struct cedar_policy *policy;
        struct cedar_explanation explanation;
};
int cedar_nearest(const struct cedar_policies *policies, const struct cedar_entities *entities,
                const struct cedar_request *request, bool likely, struct arena *arena,
                struct cedar_near *ret, size_t n);
