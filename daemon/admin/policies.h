/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The policies that the fleet is given: which machines get which, from the text of --policy-config in the
 * deployed admin's form, and where the file of each is, below --policy-store.
 */

#include "util.h"

#include <sys/types.h>

/* Policies, and machines that one is for: far more than a fleet has. */
#define POLICIES_MAX   64
#define POLICY_VMS_MAX 256
/* Where the deployed admin has them when it is not told. */
#define POLICIES_DEPLOYED "/etc/policies"

/* One of them: what agents take. */
#define POLICY_BYTES_MAX (16 * 1024 * 1024)
/* A URL, and a branch, tag or commit. */
#define POLICY_URL_MAX 2048
#define POLICY_REF_MAX 255
/* How the programs that fetch exit; what failed, otherwise. */
#define POLICY_FETCH_CHANGED 0
#define POLICY_FETCH_SAME    3
/* Where they find the URL: in their environment, which is nobody else's to read, as it may have a password.
 */
#define POLICY_FETCH_URL "POLICY_URL"

struct policy {
        char *name;
        char **vms;         /* NULL-terminated */
        char *url;          /* where it is fetched from; NULL: nowhere of its own */
        uint64_t poll_usec; /* 0: it is fetched at the start, and when asked for */
        /* Its file when it was looked at last; zeros: there was none. One that is replaced has another. */
        struct {
                dev_t device;
                ino_t inode;
                struct timespec changed;
        } seen;
};

struct policies {
        char *directory;         /* of which each policy has one of its name */
        char *fetched_directory; /* likewise, of those that were fetched: they go before */
        struct policy *policies;
        size_t n_policies;
        char *git_url; /* of the repository of all; NULL: there is none */
        char *git_ref;
        uint64_t git_poll_usec; /* as above */
        enum {
                POLICIES_LOCAL,
                POLICIES_GIT,
                POLICIES_BY_URL,
        } source;
};

/*
 * Reads the configuration. 0, -ENOMEM, or -EINVAL with what is wrong in *ret_error, which becomes the
 * caller's. store NULL: POLICIES_DEPLOYED. state: a directory of ours (of a list, "a:b", the first).
 */
int policies_new(struct policies **ret, const char *config, const char *store, const char *state,
                char **ret_error);
struct policies *policies_free(struct policies *policies);
DEFINE_CLEANUP(struct policies, policies_free)

/* Whether a machine is to have it. */
bool policy_is_for(const struct policy *policy, const char *vm);

/*
 * Opens the policy's file, of those that were fetched or else of those in the store: the first by name, of
 * those in its directory that are not hidden. Its descriptor; -ENOENT: there is none; or what the system
 * said.
 */
int policies_open(const struct policies *policies, const struct policy *policy);
/* Whether it is another file, or another version of it, than when this was asked last, or at policies_new().
 */
bool policies_look(const struct policies *policies, struct policy *policy);
