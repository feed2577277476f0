/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* systemd.UnitControlService: one unit's state, and the operations on it. */

#include "manager.h"

extern const struct rpc_service unit_control_service; /* userdata: the manager */

/*
 * We are stopping: calls that wait for our own unit's job end with UNAVAILABLE, since that job waits for us.
 * The others may end as they would.
 */
void unit_control_stop(struct manager *manager);
