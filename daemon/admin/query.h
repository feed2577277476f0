/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Registry entries as QueryListItem, the way in which the outside sees them. VmStatus is the last known;
 * whether it can still be vouched for is what Online says.
 */

#include "arena.h"
#include "registry.h"

#include "admin.pb-c.h"

/* The whole registry at its largest, as items and pointers to them. */
#define QUERY_BYTES_MAX (8 * 1024 * 1024)

/* The VM that an entry belongs to; name[] may be used for it. A VM's unit, although the host's, belongs to the VM
 * that it is. */
const char *query_vm(const struct registry_entry *entry, char name[static REGISTRY_NAME_MAX + 1]);
/* Fills the item; its texts are the entry's, and the arena's. 0 or -ENOMEM. */
int query_item(const struct registry_entry *entry, struct arena *arena, Admin__QueryListItem *item);

/* All entries, by name, in the arena. 0 or -ENOMEM. */
int query_list(const struct registry *registry, struct arena *arena, Admin__QueryListResponse *list);
