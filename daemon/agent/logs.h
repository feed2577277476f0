/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* logs.LogsService: what the journal has of a unit that peers may see or, where the configuration says so,
 * all of it. */

#include "manager.h"

extern const struct rpc_service logs_service; /* userdata: the manager */

/* The configuration is another: ends what it does not permit any more. */
void logs_check(struct manager *manager);
/* We are stopping: ends every stream with UNAVAILABLE. */
void logs_stop(struct manager *manager);
