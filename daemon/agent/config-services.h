/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The capabilities that are a service each, and little more than switched on: exec, ctap, hwid, notifier,
 * logs. */

#include "config-read.h"
#include "config.h"

/* 0, -EINVAL (recorded in the reader), -ENOMEM. */
int config_read_services(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config);
