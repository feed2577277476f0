/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* access.AccessService: what this agent's access rules decide. */

#include "manager.h"

extern const struct rpc_service access_service; /* userdata: the manager */
