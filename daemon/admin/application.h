/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Applications in the registry: their names, and what is said when one has ended. */

#include "registry.h"

#include "admin.pb-c.h"

/* Letters, digits, "_" and "-", and so many that an instance of it can be a unit. */
bool application_name_is_valid(const char *name);
/* The N of <application>@N.service; -EINVAL. */
int application_instance_number(const char *unit);
/*
 * Whether a unit is meant by what people stop and pause: its whole name, a beginning of it with the "@", or
 * the application's name, which means all of its instances.
 */
bool application_is_meant(const char *unit, const char *name);

/* The VM that a request names; NULL: none. */
const char *application_vm(const Admin__ApplicationRequest *request);

/* Of an application that leaves the registry as it has ended: how it did. On the heap, or NULL (ENOMEM). */
char *application_end_text(const struct registry_entry *entry);
/* The same as a line in the journal, as much as one VM may write into it. */
void application_log_end(const struct registry_entry *entry);
