/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One policy on its way to one agent: as much of its file is in memory as the connection takes. */

#include "channel.h"
#include "policies.h"

struct policy_send;

/* How it has ended: once; the sending may be freed in here. */
typedef void (*policy_sent_t)(const struct rpc_status *status, void *userdata);

/* Begins. deadline_usec: CLOCK_MONOTONIC. 0; -ENOENT: there is no such file; or another negative errno. */
int policy_send_new(struct policy_send **ret, const struct policies *policies, const struct policy *policy,
                struct rpc_channel *channel, uint64_t deadline_usec, policy_sent_t sent, void *userdata);
/* Abandons it, where it is under way. */
struct policy_send *policy_send_free(struct policy_send *send);
DEFINE_CLEANUP(struct policy_send, policy_send_free)
