/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a peer wants to have run (exec.StartCommand): whether it may, and with which arguments and variables.
 */

#include "arena.h"
#include "config.h"

#include "exec.pb-c.h"

/* What is wrong with the request, in the arena, or NULL. */
const char *exec_start_refusal(
                const Exec__StartCommand *start, const struct config *config, struct arena *arena);

/* All of them, NULL-terminated, in the arena and the request. NULL: out of memory. */
char **exec_start_argv(const Exec__StartCommand *start, struct arena *arena);
char **exec_start_environment(const Exec__StartCommand *start, struct arena *arena);
