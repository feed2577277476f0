/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Brings settings and policies to agents that have just come, or come back, or could not be reached when
 * they were made: until they have taken them, or say that they cannot, or are gone again.
 */

#include "policies.h"
#include "registry.h"
#include "settings.h"

struct deliveries;

/* All must outlive it. policies NULL: there are none. */
int deliveries_new(struct deliveries **ret, sd_event *event, struct registry *registry,
                struct settings *settings, const struct policies *policies);
/* Before the agents' links. */
struct deliveries *deliveries_free(struct deliveries *deliveries);
DEFINE_CLEANUP(struct deliveries, deliveries_free)

/* Begins, or begins anew, to bring one setting to the agent of a VM; nothing where it was never set. */
void deliveries_begin(struct deliveries *deliveries, const char *vm, enum setting setting);
/* Likewise a policy, where it is for that VM. */
void deliveries_begin_policy(struct deliveries *deliveries, const char *vm, const struct policy *policy);
/* All that are. */
void deliveries_begin_policies(struct deliveries *deliveries, const char *vm);
/* All of both. */
void deliveries_begin_all(struct deliveries *deliveries, const char *vm);
