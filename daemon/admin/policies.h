/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The policies that the fleet is given: which machines get which, from the text of --policy-config in the
 * deployed admin's form, and where the file of each is, below --policy-store.
 */

#include "util.h"

/* Policies, and machines that one is for: far more than a fleet has. */
#define POLICIES_MAX   64
#define POLICY_VMS_MAX 256
/* Where the deployed admin has them when it is not told. */
#define POLICIES_DEPLOYED "/etc/policies"

struct policy {
        char *name;
        char **vms; /* NULL-terminated */
};

struct policies {
        char *directory; /* of which each policy has one of its name */
        struct policy *policies;
        size_t n_policies;
        bool fetched; /* the configuration has a source to fetch them from */
};

/*
 * Reads the configuration. 0, -ENOMEM, or -EINVAL with what is wrong in *ret_error, which becomes the
 * caller's. store NULL: POLICIES_DEPLOYED.
 */
int policies_new(struct policies **ret, const char *config, const char *store, char **ret_error);
struct policies *policies_free(struct policies *policies);
DEFINE_CLEANUP(struct policies, policies_free)

/* Whether a machine is to have it. */
bool policy_is_for(const struct policy *policy, const char *vm);

/*
 * Opens the policy's file: the first by name, of those in its directory that are not hidden. Its descriptor;
 * -ENOENT: there is none; or what the system said.
 */
int policies_open(const struct policies *policies, const struct policy *policy);
