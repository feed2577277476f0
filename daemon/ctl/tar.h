/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * An archive in the ustar format (POSIX.1-2017, pax, "ustar Interchange Format"), of plain files that are
 * the reader's own. Not by libarchive: that loads 15 libraries, which would double what each run of givcctl
 * takes.
 */

#include "util.h"

#include <stdio.h>

/* Bytes of a file's name, without the directory; and of the directory. */
#define TAR_NAME_MAX      100
#define TAR_DIRECTORY_MAX 155

/*
 * Adds a file, directory/name, of that time (seconds since 1970). 0, -ENAMETOOLONG or -EFBIG (8 GiB), both
 * of which leave the archive as it was; what fails to be written is for ferror() to tell.
 */
int tar_add(FILE *file, const char *directory, const char *name, const void *data, size_t n,
                uint64_t seconds);
/* Nothing follows. */
void tar_end(FILE *file);
