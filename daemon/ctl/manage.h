/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* FleetService.ManageUnit: what an agent of ours does to a unit beyond starting and stopping it. */

#include "admin.pb-c.h"

struct options;
struct session;

struct manage_action {
        const char *verb; /* of givcctl; for "cannot VERB x.service on y" */
        const char *done; /* "Restarted" */
        Systemd__UnitVerb unit_verb;
        const char *started; /* with --no-block: "Restarting"; NULL: does not wait for anything in any case
                              */
};

extern const struct manage_action manage_start, manage_stop;

/* Both begin a call of which the answer is shown. vm "": the host. They return an enum exit_code. */
int manage_unit(struct session *session, const char *vm, const char *unit,
                const struct manage_action *action);
/* Of the unit on the host that runs the VM. */
int manage_vm(struct session *session, const char *vm, const struct manage_action *action);
/* Number of a signal by its name, with or without SIG, or in digits; -EINVAL. */
int manage_signal(const char *name);
