/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The agent's figures, on the socket "metrics" of systemd's: none, where it hands none over. */

#include "manager.h"

/* Uses the manager's reactor, server, whitelist and registration. What fails is logged. 0 or a negative
 * errno. */
int agent_metrics_begin(struct manager *manager);
