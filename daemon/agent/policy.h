/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * policyadmin.PolicyAdmin: policies that the admin sends, installed where the configuration says. Where TLS
 * is on, the admin alone may send them.
 */

#include "manager.h"

extern const struct rpc_service policy_service; /* userdata: the manager */

/* Before the first stream, and when the configuration is another. What fails is logged. */
void policy_prepare(struct manager *manager);
/* After the last stream. */
void policy_end(struct manager *manager);
