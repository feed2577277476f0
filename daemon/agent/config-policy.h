/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* capabilities.policy: which policies the agent takes from the admin, and where it puts them. */

#include "config-read.h"
#include "config.h"

/* 0, -EINVAL (recorded in the reader), -ENOMEM. */
int config_read_policy(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config);

/* Frees what was read. */
void config_policy_clear(struct config *config);
