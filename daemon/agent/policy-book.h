/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The bookkeeping of policies, policies.json in their store: which is installed where, by its SHA-256. In
 * the deployed agents' form: { NAME: { "Destination": PATH, "Sha": HEX }, … }.
 */

#include "config.h"

/* Digits, and a NUL. */
#define POLICY_SHA_SIZE 65
/* Of CONFIG_POLICIES_MAX policies with the longest names and paths, twice over. */
#define POLICY_BOOK_BYTES_MAX (1024 * 1024)

/*
 * What the file is to say after one policy (NULL: none) has become sha: all policies of the configuration,
 * and no others. Of the rest, what old (n bytes; what is no such file counts as empty) says is kept. It
 * becomes the caller's; NULL: ENOMEM.
 */
char *policy_book_update(const char *old, size_t n, const struct config *config,
                const struct config_policy *policy, const char *sha);
