/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The registry in a memory file that outlives this process, since the service manager keeps it
 * (sd_pid_notify_with_fds(3), FDSTORE=1). Every change is appended as it happens, so that a crash forgets
 * nothing. A log that has grown to twice of what it says goes on with all that is held now, and gives the
 * memory of what was before back: the file stays the same one, so that it is handed over once.
 *
 * The file: a line that names the format, the place where reading begins (64 bits, little-endian), then,
 * from there on, records. A record is length and checksum (each 32 bits), then so many bytes: '+' with an
 * admin.RegistryRequest, or
 * '-' with a name.
 */

#include "registry.h"

struct registry_store;

/*
 * Reads what an earlier run has left into an empty registry. Returns how many entries the registry has now;
 * what cannot be read ends the reading, and is said in the journal; or -ENOMEM.
 */
int registry_store_read(struct registry *registry, int fd);

/* Writes the registry into a file of its own, and from now on every change of it. */
int registry_store_new(struct registry_store **ret, struct registry *registry);
struct registry_store *registry_store_free(struct registry_store *store);
DEFINE_CLEANUP(struct registry_store, registry_store_free)

/* The file, for the service manager to keep; it stays the store's. */
int registry_store_fd(const struct registry_store *store);
