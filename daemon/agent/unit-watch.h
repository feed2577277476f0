/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* systemd.UnitWatchService: units' states, and every change of them, pushed. */

#include "manager.h"

extern const struct rpc_service unit_watch_service; /* userdata: the manager */

/* A unit has changed: tells everybody who watches it. */
void unit_watch_tell(
                struct manager *manager, const struct whitelist_unit *unit, const struct unit_state *state);
/* The whitelist is another: ends what it does not permit any more. */
void unit_watch_check(struct manager *manager);
/* We are stopping: ends every stream with UNAVAILABLE. */
void unit_watch_stop(struct manager *manager);
