/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * stats.StatsService. GetStats: the machine's memory and load, and its processes. User and Sys of a process
 * are its share in the time of all processors, in percent, since the caller's previous call (of which the
 * first has none); cycles are the kernel's ticks since boot; ResSetSize is in pages, as deployed readers
 * have it. GetSysinfo: sysinfo.h.
 */

#include "server.h"

#include <systemd/sd-event.h>

struct stats;

extern const struct rpc_service stats_service; /* userdata: the struct stats */

int stats_new(struct stats **ret, sd_event *event);
/* Not before the server, whose calls may wait for it. */
struct stats *stats_free(struct stats *stats);
DEFINE_CLEANUP(struct stats, stats_free)
