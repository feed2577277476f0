/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server.h"

/* admin.AdminService: the methods that are offered. Those that are not in it are answered with
 * UNIMPLEMENTED. */
extern const struct rpc_service admin_service;
