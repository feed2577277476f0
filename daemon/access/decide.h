/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* access.AccessService: what the rules in force say of a request that nobody makes. */

#include "guard.h"

extern const struct rpc_service access_service; /* userdata: the guard */
