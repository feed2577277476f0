/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "util.h"

/*
 * The names that the user gave, checked. These return EXIT_DONE, or have complained and return the code to
 * exit with; the text is the caller's.
 */

/* A unit's full name: what has no suffix is a service, as with systemctl. */
int unit_name_complete(const char *given, char **ret);
/* "VM/UNIT", or "UNIT" alone where vm (which may be NULL) says where it is. */
int unit_name_split(const char *given, const char *vm, char **ret_vm, char **ret_unit);
int vm_name_check(const char *given);
