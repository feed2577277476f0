/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Fetches policies, each by its URL at its interval, or all of them from a repository: by programs of their
 * own (givc-policy-fetch, givc-policy-git), so that neither a slow server nor what it sends can do anything
 * to the admin. What fails is tried again, with growing pauses.
 */

#include "policies.h"

#include <systemd/sd-event.h>

struct policy_fetch;

/* A policy is another; NULL: any of them may be. */
typedef void (*policy_fetched_t)(const struct policy *policy, void *userdata);

/* Begins at once. policies must outlive it. */
int policy_fetch_new(struct policy_fetch **ret, sd_event *event, const struct policies *policies,
                policy_fetched_t fetched, void *userdata);
/* Ends what is under way. */
struct policy_fetch *policy_fetch_free(struct policy_fetch *fetch);
DEFINE_CLEANUP(struct policy_fetch, policy_fetch_free)

/* All of them now, whatever their interval or pause; NULL: there are none. */
void policy_fetch_now(struct policy_fetch *fetch);
