/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * hwid.HwidService: what tells this machine's hardware from another's, the address of one network interface:
 * capabilities.hwid.interface, else the first wl*, else the first en*. Only while its link is up: before
 * that, the address may be one that was made up.
 */

#include "manager.h"

extern const struct rpc_service hwid_service; /* userdata: the manager */
