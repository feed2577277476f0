/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A call that shows or moves one unit: whether that may be, the operation, waiting for systemd, the line in
 * the journal, and the answer. What several services of ours are made of.
 */

#include "call.h"
#include "manager.h"

struct unit_call_verb {
        const char *name; /* for people: "cannot start unit: …"; static */
        struct unit_operation_spec spec;
        bool suspends; /* whoever did that to itself could not be asked to undo it */
};

/* Answers the call: what the unit is now. */
typedef void (*unit_call_reply_t)(
                struct rpc_call *call, const struct whitelist_unit *unit, const struct unit_state *state);

/*
 * Carries it out on the unit that peers call name, and replies, or fails the call, when systemd is done.
 * verb is copied.
 */
void unit_call_begin(struct manager *manager, struct rpc_call *call, const char *name,
                const struct unit_call_verb *verb, unit_call_reply_t reply);

/*
 * We are stopping: calls that wait for our own unit's job end with UNAVAILABLE, since that job waits for us.
 * The others may end as they would.
 */
void unit_calls_stop(struct manager *manager);
