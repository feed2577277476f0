/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "server.h"

/*
 * admin.FleetService: what our agents offer beyond the deployed ones, passed on to the VM that is named; no
 * name is the host. userdata is the manager.
 */
extern const struct rpc_service fleet_service;
