/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* access.AccessService: what the access rules decide, ours and those of the fleet. */

#include "manager.h"

extern const struct rpc_service access_service; /* userdata: the manager */
