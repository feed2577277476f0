/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* wifimanager.WifiService: the adapter of this VM, by NetworkManager (org.freedesktop.NetworkManager(5)). */

#include "manager.h"

extern const struct rpc_service wifi_service; /* userdata: the manager */
