/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A call that is passed on to an agent and answered with a stream. Each answer goes on as it comes; a caller
 * who reads slowly slows the agent down; and whoever of the two ends goes, the other one goes, too.
 */

#include "forward.h"

/*
 * As forward_unary(), but that the agent's method answers with a stream, and that a caller who gives no
 * deadline may stay for ever.
 */
void forward_stream(struct manager *manager, struct rpc_call *call, const struct forward_target *target,
                const ProtobufCMessage *request);

/* We are stopping: every stream ends with UNAVAILABLE. */
void forward_streams_stop(struct manager *manager);
