/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* UnitControlService.MonitorUnit: what a unit uses, once a second. */

#include "manager.h"

/*
 * Each answer is of the second before it: cpu_usage in percent of one processor, memory_usage in percent of
 * the machine's memory, both of all processes of the unit together; 0 while it has none.
 */
void unit_monitor_handle(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);

/* The whitelist is another: ends what it does not permit any more. */
void unit_monitor_check(struct manager *manager);
/* We are stopping: ends every stream with UNAVAILABLE. */
void unit_monitor_stop(struct manager *manager);
