/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* systemd.UnitControlService: one unit's state, and the operations on it. */

#include "manager.h"

extern const struct rpc_service unit_control_service; /* userdata: the manager */
