/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* systemd.UnitManageService: what systemctl can do to a unit, and how units ended. */

#include "manager.h"

extern const struct rpc_service unit_manage_service; /* userdata: the manager */
