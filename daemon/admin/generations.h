/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What `ota-update get` prints: a JSON array of the host's generations. */

#include "arena.h"

#include "admin.pb-c.h"

/*
 * Reads it, leniently: of each element only what is named generation, date, nixosVersion, kernelVersion,
 * configurationRevision, specialisations, current and storePath is looked at, and generation alone must be
 * there. The list is the arena's. 0, -EBADMSG (*ret_problem, static, says what is wrong) or -ENOMEM.
 */
int generations_read(const char *text, size_t n, struct arena *arena, Admin__ListGenerationsResponse *ret,
                const char **ret_problem);
