/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The registry in a memory file that outlives this process, since the service manager keeps it
 * (sd_pid_notify_with_fds(3), FDSTORE=1). Every change is appended as it happens, so that a crash forgets
 * nothing; a log that has grown to twice of what it says is written anew.
 *
 * The file: a line that names the format, then records. A record is length and checksum (each 32 bits,
 * little-endian), then so many bytes: '+' with an admin.RegistryRequest, or '-' with a name.
 */

#include "registry.h"

struct registry_store;

/*
 * Reads what an earlier run has left into an empty registry. Returns how many entries the registry has now;
 * what cannot be read ends the reading, and is said in the journal; or -ENOMEM.
 */
int registry_store_read(struct registry *registry, int fd);

/*
 * From now on writes every change of the registry, beginning with all of it. keep is told each file that
 * takes the place of the former one; it does not become its own, and is read-write.
 */
int registry_store_new(struct registry_store **ret, struct registry *registry,
                void (*keep)(int fd, void *userdata), void *userdata);
struct registry_store *registry_store_free(struct registry_store *store);
DEFINE_CLEANUP(struct registry_store, registry_store_free)
