/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which policies may apply to a request, or fail on it: found by what they ask of principal, action and
 * resource, in the scope and at the beginning of their conditions, without looking at the others.
 */

#include "cedar.h"

struct cedar_index;

/* Of policies that stay where they are, all in the arena. NULL: ENOMEM. */
struct cedar_index *cedar_index_new(struct arena *arena, const struct cedar_policy *policies, size_t n);

/* Goes through them in the order of the file. */
struct cedar_index_cursor {
        const size_t *at[8], *end[8];
};

void cedar_index_find(const struct cedar_index *index, const struct cedar_request *request,
                struct cedar_index_cursor *ret);
/* False: there are no more. */
bool cedar_index_next(struct cedar_index_cursor *cursor, size_t *ret);

/* The one of a policy set. */
const struct cedar_index *cedar_policies_index(const struct cedar_policies *policies);
