/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A policy that is being installed by a process of its own, as the disk would hold up the loop. */

#include "policy-report.h"

#include <systemd/sd-event.h>

struct policy_installer;

/* How it has ended: once. The installer may be freed in here. */
typedef void (*policy_installed_t)(const struct policy_report *report, void *userdata);

/* Begins. One at a time. Nothing given need last. 0 or a negative errno. */
int policy_installer_new(struct policy_installer **ret, sd_event *event, const struct config *config,
                const struct config_policy *policy, int fd, policy_installed_t installed, void *userdata);
/* Where it has not ended, it is killed, as by a crash. */
struct policy_installer *policy_installer_free(struct policy_installer *installer);
DEFINE_CLEANUP(struct policy_installer, policy_installer_free)
