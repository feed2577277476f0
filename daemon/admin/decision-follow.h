/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the access rules of agents decide, for those who watch the whole fleet: each agent's WatchDecisions
 * is followed as long as somebody wants that, and passed on with the name of its VM.
 */

#include "decision-watch.h"
#include "registry.h"

struct decision_follow;

/* watchers get what is followed, say what is wanted, and may be of every VM that is registered. */
int decision_follow_new(struct decision_follow **ret, sd_event *event, struct registry *registry,
                struct decision_watchers *watchers);
/* Before the watchers, and before links to agents. */
struct decision_follow *decision_follow_free(struct decision_follow *follow);

/* Calls to the agent can be made (again). */
void decision_follow_ready(struct decision_follow *follow, struct registry_agent *agent);
/* The agent leaves the registry; its link is still there. */
void decision_follow_left(struct decision_follow *follow, const struct registry_agent *agent);
