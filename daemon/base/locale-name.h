/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Names of locales and of time zones. They end up in files and in environments, so their form is asked for;
 * whether a machine has what they name, only that machine can tell.
 */

#include "util.h"

/* The longest of either. */
#define LOCALE_NAME_MAX   64
#define TIMEZONE_NAME_MAX 64

/*
 * "C" or "POSIX" with an optional ".codeset"; or "ll[_CC]", two or three and two letters, with an optional
 * ".codeset" and "@modifier" in either order (setlocale(3) has the codeset first).
 */
bool locale_name_is_valid(const char *s);
/* For messages: what it must look like. */
#define LOCALE_NAME_ALLOWED "\"C\", \"POSIX\" or like \"de_DE\", with an optional \".UTF-8\" and \"@euro\""

/* "UTC", "Europe/Helsinki", "America/Argentina/Buenos_Aires": parts of letters, digits, "_", "+" and "-",
 * each starting with a capital letter. */
bool timezone_name_is_valid(const char *s);
#define TIMEZONE_NAME_ALLOWED "like \"Europe/Helsinki\" or \"UTC\""
