/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the programs that fetch policies for the admin have in common. They speak with servers that nobody
 * vouches for, with the admin's user and its network: so each lets go of what else the admin may before it
 * does anything. The admin reads their exit status (policies.h) and one line of standard error.
 */

#include "util.h"

/* Of the whole program, and of one file that it writes: what it needs at most, with much room. */
#define POLICY_HELPER_MEMORY_BYTES (512 * 1024 * 1024)
#define POLICY_HELPER_FILE_BYTES   (64 * 1024 * 1024)

/*
 * Bounds on memory, files and time of the processor; no new privileges; and, where the kernel has Landlock,
 * no file but those below directory, which it may write, and those that resolving names and checking
 * certificates need, which it may read. The admin's keys and registry are not among them.
 *
 * 0, or what the system said.
 */
int policy_helper_confine(const char *directory);

/* Writes that line, and returns EXIT_FAILURE. */
int policy_helper_fail(const char *what, const char *why);

/* The URL without the user and password that it may have: for that line. On the heap, or NULL (ENOMEM). */
char *policy_helper_show_url(const char *url);
