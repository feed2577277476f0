/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How calls ended and how long they took, by method: of the methods that are served, so that peers cannot
 * make it grow. */

#include "openmetrics.h"
#include "server.h"
#include "status.h"

struct call_stats;

/* More methods than a process serves (some 60); those past it are counted with the unknown ones. */
#define CALL_STATS_METHODS 128

int call_stats_new(struct call_stats **ret);
struct call_stats *call_stats_free(struct call_stats *stats);

/* method NULL: one that is not served. Constant time, nothing allocated. */
void call_stats_add(struct call_stats *stats, const struct rpc_service *service,
                const ProtobufCMethodDescriptor *method, enum rpc_code code, uint64_t duration_usec);

/* Families "calls", "call_errors" and "call_duration_seconds" of what has been called. */
void call_stats_write(const struct call_stats *stats, struct openmetrics *metrics);
