/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Policies on the disk. In the store each has STORE/NAME/policy.bin, and a copy at its destination, where it
 * has one; what was installed is in STORE/policies.json. Every file is replaced atomically.
 */

#include "policy-book.h"

/* One policy. Those of browsers and firewalls are some kilobytes. */
#define POLICY_BYTES_MAX (16 * 1024 * 1024)

/* Makes the store, and takes away what a crash has left. 0 or a negative errno. */
int policy_prepare_store(const struct config *config);

/*
 * A file below the store that has no name any more, to keep a policy in while it comes: its descriptor, or a
 * negative errno.
 */
int policy_open_temporary(const struct config *config);

/*
 * Installs what the file holds as one of the configuration's policies. 1; 0: what is there is the same
 * already, and was not touched; or a negative errno, with the place that could not be written in *ret_place,
 * which is the caller's: then a later attempt begins anew. sha becomes its SHA-256. It takes as long as the
 * disk does, and one at a time may be at it: that is for a process of its own (policy-installer.h).
 */
int policy_install(const struct config *config, const struct config_policy *policy, int fd,
                char sha[static POLICY_SHA_SIZE], char **ret_place);
