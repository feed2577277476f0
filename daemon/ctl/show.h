/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a verb prints of an answer, in the form that the options ask for. Returns an enum exit_code. */

#include "systemd.pb-c.h"

struct options;

int show_status(const struct options *options, const Systemd__UnitStatus *status);
