/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which environment variables a caller may give to a command that runs with more rights than the caller has.
 */

#include "util.h"

/* A name as systemd takes it for a variable's, of letters, digits and "_", or the beginning of names,
 * "LC_*". */
bool exec_variable_is_pattern(const char *s);

/*
 * Whether a caller may. permitted: patterns of the names that are, whatever their values, and no others;
 * NULL: every name but those by which a program is known to be made to do another's bidding.
 */
bool exec_variable_is_permitted(const char *name, const char *value, char *const *permitted);
