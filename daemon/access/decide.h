/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* access.AccessService.Decide: what the rules in force say of a request that nobody makes. */

#include "guard.h"

/* Answers the call. The message is an access.DecideRequest. */
void access_decide(struct rpc_call *call, const ProtobufCMessage *message, const struct access_guard *guard);

/* Whether there are rules; else the call has ended with FAILED_PRECONDITION, which says that there are none.
 */
bool access_is_controlled(struct rpc_call *call, const struct access_guard *guard);
/* What is said then. */
#define ACCESS_IS_OFF "access control is off: whoever can connect may make every call"
