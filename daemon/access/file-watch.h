/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Told when a file was written as a whole, or another one has taken its place: also by a change of a directory or
 * of a link by which its path leads to it. */

#include "util.h"

#include <systemd/sd-event.h>

struct file_watch;

/* The directory must be there; the file need not. 0 or a negative errno. */
int file_watch_new(struct file_watch **ret, sd_event *event, const char *path,
                void (*changed)(void *userdata), void *userdata);
/* From changed(), too. */
struct file_watch *file_watch_free(struct file_watch *watch);
DEFINE_CLEANUP(struct file_watch, file_watch_free)
