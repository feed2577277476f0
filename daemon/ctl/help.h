/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdio.h>

struct verb;

/* verb NULL: of all whose first word is family, or of the whole program. Fits a screen of 80 by 24. */
void help_print(FILE *file, const struct verb *verb, const char *family);
