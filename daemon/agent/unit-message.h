/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Units on the wire: their state as a message, and how what befell an operation is told. */

#include "status.h"
#include "systemd.pb-c.h"
#include "units.h"
#include "whitelist.h"

/*
 * Points message at the texts of unit and state, so that it lasts as long as they do. The agent's own unit,
 * where systemd does not have it (started by hand) or has not told yet (state NULL, permitted for that one
 * alone), is shown as what it is: running.
 */
void unit_message_fill(Systemd__UnitStatus *message, const struct whitelist_unit *unit,
                const struct unit_state *state);

/* The same with how its last run ended, and since when it is what it is; status is what message->status
 * becomes. */
void unit_message_fill_detail(Systemd__UnitDetail *message, Systemd__UnitStatus *status,
                const struct whitelist_unit *unit, const struct unit_state *state);

/* The one place in which errors of bus/units.h become gRPC status. error is a negative errno. */
enum rpc_code unit_error_code(int error);
/* What is told with it: message (may be NULL or empty) or, where systemd is out of reach, just that. */
const char *unit_error_text(int error, const char *message);
