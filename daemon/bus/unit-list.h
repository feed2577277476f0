/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Asks systemd once which of its units have names like that. */

#include "bus.h"

struct unit_list;

/* A unit that is loaded; names last until the function returns. */
typedef void (*unit_listed_t)(const char *name, const char *active_state, void *userdata);

/*
 * Begins to ask for the units that match one of the glob patterns (NULL-terminated). listed is told of each,
 * later; that it fails is logged. *ret can be cancelled until *ret is NULL again, which is when all have
 * been told. 0, -ENOTCONN: no bus; -ENOMEM.
 */
int unit_list_begin(struct unit_list **ret, struct bus *bus, const char *const *patterns,
                unit_listed_t listed, void *userdata);
/* Returns NULL; takes NULL. */
struct unit_list *unit_list_cancel(struct unit_list *list);
