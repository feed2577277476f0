/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "util.h"

#include <sys/types.h>

/*
 * Replaces a file, below directory_fd (AT_FDCWD: as the path says) or makes it: whoever reads it sees the
 * old one or the new one, whole, and after a power cut, too. It has that mode whatever the umask is, and is
 * ours. On return it is on the disk, which is waited for: for small files that change seldom. Another file
 * in the same directory, hidden and ending in ".new", is what is written meanwhile; one at a time, and one
 * that a crash has left is replaced.
 *
 * 0, or what the system said: then the old one is still there; but where it is the directory that could not
 * be brought to the disk, which is the last step, the new one is there for now and may not be after a power
 * cut.
 */
int file_write_atomic(int directory_fd, const char *path, const void *data, size_t size, mode_t mode);

/* The same of a file that is new: -EEXIST where there is anything of that name, at whatever time it has come. */
int file_write_new(int directory_fd, const char *path, const void *data, size_t size, mode_t mode);

/* Takes away what a crash while that file was replaced has left. 0, also where there is nothing, or what the
 * system said. */
int file_remove_leftover(int directory_fd, const char *path);
