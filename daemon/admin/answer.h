/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * How calls are refused: with the right code, the reason in the message, and once more in
 * google.rpc.DebugInfo, which is where deployed clients look for it.
 */

#include "call.h"

/* Ends the call. */
void answer_fail(struct rpc_call *call, enum rpc_code code, const char *format, ...) _printf_(3, 4);

/* Ends the call since another, made for it, has failed: with that one's code, and context before its
 * message. */
void answer_failure_of(struct rpc_call *call, const struct rpc_status *status, const char *format, ...)
                _printf_(3, 4);
