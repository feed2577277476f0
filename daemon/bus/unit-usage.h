/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a unit uses of the machine, as systemd accounts it. No signal tells of it: it is read when it is
 * wanted. */

#include "bus.h"

struct unit_usage_read;

/* Not accounted, or no control group: the unit is not active. */
#define UNIT_USAGE_UNKNOWN UINT64_MAX

struct unit_usage {
        uint64_t cpu_nsec;     /* since the unit was started */
        uint64_t memory_bytes; /* now */
};

/* error: 0, or a negative errno (-ENOTCONN: the bus is lost), and usage is NULL. */
typedef void (*unit_usage_done_t)(int error, const struct unit_usage *usage, void *userdata);

/*
 * Begins to read. done is called once, later; *ret can be cancelled until then. 0; -EOPNOTSUPP: units of
 * that kind have no processes; -ENOTCONN: no bus; -ENOMEM.
 */
int unit_usage_read(struct unit_usage_read **ret, struct bus *bus, const char *name, unit_usage_done_t done,
                void *userdata);
/* Returns NULL; takes NULL. */
struct unit_usage_read *unit_usage_read_cancel(struct unit_usage_read *reading);
