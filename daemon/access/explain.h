/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What policies decide on a request, and why: as a message, for people to read. */

#include "cedar.h"

#include "access.pb-c.h"

/* Of policies that nearly permit, so many are told of. */
#define ACCESS_NEAREST_MAX 3
/* A part of the policies' text: a condition is one comparison for the most part. */
#define ACCESS_SHOWN_BYTES_MAX 200

/*
 * Decides, in the arena; policies and entities (which may be NULL) must last as long. likely: only policies
 * that are about this principal, action and resource are looked at for what is near, which are few; else
 * all. 0 or -ENOMEM.
 */
int access_explain(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_entities *entities, const struct cedar_request *request, bool likely,
                Access__DecideResponse **ret);

/* In the arena; NULL: ENOMEM. */
Access__Policy *access_policy_message(struct arena *arena, const struct cedar_policies *policies,
                const struct cedar_policy *policy);
/* The text in one line, cut short where it has more than max bytes. */
char *access_quote(struct arena *arena, struct cedar_text text, size_t max);
