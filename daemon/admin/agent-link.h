/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The one connection that we hold to a registered agent: calls to it go over it, and so do the changes of
 * its units (UnitWatchService.WatchUnits; from an agent that has none of that, by asking). That it stands is
 * the agent's liveness.
 */

#include "channel.h"
#include "registry.h"

struct agent_link;

/* Begins to connect. tls NULL: in clear. -EINVAL: the agent's transport is no address; -ENOMEM. */
int agent_link_new(struct agent_link **ret, sd_event *event, struct registry *registry,
                struct registry_agent *agent, struct tls_context *tls);
struct agent_link *agent_link_free(struct agent_link *link);
DEFINE_CLEANUP(struct agent_link, agent_link_free)

/*
 * The agent has registered again over a newer connection: it may be another process at another address, and
 * what we hold may be dead without our knowing. Connects anew; calls that are under way end with CANCELLED.
 * On failure the old connection stays.
 */
int agent_link_renew(struct agent_link *link);
/* It has registered, and may be the one to whom the connection leads: that stays if it does, and we hear the
 * present state of all its units. */
void agent_link_watch_anew(struct agent_link *link);

/*
 * From now on, told whenever calls to the agent can be made (again): it has registered, or come back. What
 * it missed meanwhile can be brought to it then.
 */
void agent_link_set_ready(struct agent_link *link,
                void (*ready)(struct registry_agent *agent, void *userdata), void *userdata);

/* Certificates for the next connection. */
void agent_link_set_tls(struct agent_link *link, struct tls_context *tls);

/*
 * A unit has registered while we are connected. A change could have come before its registration, when
 * nobody here knew it: so its state is asked for once.
 */
void agent_link_unit_added(struct agent_link *link);

/* Whether the agent pushes what changes: then nothing else that is heard of a unit may be newer. */
bool agent_link_is_pushed(const struct agent_link *link);

/* Whether the connection stands. */
bool agent_link_is_ready(const struct agent_link *link);

/* For calls to the agent. */
struct rpc_channel *agent_link_channel(struct agent_link *link);
