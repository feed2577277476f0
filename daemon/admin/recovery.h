/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Starts system and application VMs again that have crashed. Of their units on the host, "failed" is a
 * crash, and "inactive" was wanted, by whoever. What looks like a crash is asked about once more, after a
 * while, before anything is done: silence alone, or a clock that jumps, starts nothing.
 */

#include "manager.h"

struct recovery;

/* Starts of one VM in a row, after 0.5, 1, 2, 4 and 8 s; then it takes a person to look. */
#define RECOVERY_STARTS_MAX 5

/* Follows the manager's registry, from what it holds on. 0 or -ENOMEM. */
int recovery_new(struct recovery **ret, struct manager *manager);
/* Before the links to the agents go. */
struct recovery *recovery_free(struct recovery *recovery);
DEFINE_CLEANUP(struct recovery, recovery_free)

/* How often a VM has been started again; recovery may be NULL. */
uint64_t recovery_count(const struct recovery *recovery);

/*
 * Somebody stops that unit, whose VM may be down and about to be started again: it is not. recovery may be
 * NULL, and the unit any.
 */
void recovery_forget(struct recovery *recovery, const char *unit);
