/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Asks an agent for the state of its units, one after the other: each that is stale, and, once started, all
 * of them every few seconds, which is how an agent is followed that cannot push.
 */

#include "channel.h"
#include "registry.h"

struct unit_poll;

/* heard: the agent has answered, or (false) has let the deadline pass; may start or stop nothing here. */
int unit_poll_new(struct unit_poll **ret, sd_event *event, struct registry *registry,
                struct registry_agent *agent, void (*heard)(bool answered, void *userdata), void *userdata);
struct unit_poll *unit_poll_free(struct unit_poll *poll);
DEFINE_CLEANUP(struct unit_poll, unit_poll_free)

/* There is a connection, over which stale units can be asked for; or, NULL, none any more. */
void unit_poll_set_channel(struct unit_poll *poll, struct rpc_channel *channel);
/* From now on, all of them again and again, until there is no connection any more. */
void unit_poll_start(struct unit_poll *poll);
/* A unit may have become stale. */
void unit_poll_kick(struct unit_poll *poll);
/*
 * All will be pushed, so nothing is stale but applications: of one that has ended while nobody listened,
 * nothing is pushed, so these are asked for once.
 */
void unit_poll_forget(struct unit_poll *poll);
/* This unit's state was pushed: an answer that is under way may be older. */
void unit_poll_forget_unit(struct unit_poll *poll, struct registry_entry *unit);
