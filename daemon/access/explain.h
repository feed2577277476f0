/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What policies decide on a request, and why: as a message, for people to read. */

#include "cedar.h"

#include "access.pb-c.h"

/* Of policies that nearly permit, so many are told of. */
#define ACCESS_NEAREST_MAX 3
/* A part of the policies' text: a condition is one comparison for the most part. */
#define ACCESS_SHOWN_BYTES_MAX 200

/* Which policies are looked at for what nearly permits. */
enum access_near {
        ACCESS_NEAR_NONE,
        ACCESS_NEAR_LIKELY, /* that are about this principal, action and resource, which are few */
        ACCESS_NEAR_ALL,    /* takes as long again as the decision by policies that nothing tells apart */
};

/* Decides, in the arena; policies and entities (which may be NULL) must last as long. 0 or -ENOMEM. */
int access_explain(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_entities *entities, const struct cedar_request *request,
                enum access_near near, Access__DecideResponse **ret);

/* In the arena; NULL: ENOMEM. */
Access__Policy *access_policy_message(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_policy *policy);
/* The text in one line, cut short where it has more than max bytes. */
char *access_quote(struct arena *arena, struct cedar_text text, size_t max);
