/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Asks systemd for all that a struct unit_properties holds: two calls, sent at once. */

#include "unit-properties.h"

/* error is NULL when all is in. The reader may be cleared or started again in here. */
typedef void (*unit_read_t)(const sd_bus_error *error, void *userdata);

struct unit_reader {
        struct unit_properties *into;
        sd_bus_slot *type_call, *unit_call;
        unit_read_t done;
        void *userdata;
};

/* reader is zeroed, or was cleared. 0 or a negative errno; then done() is not called. */
int unit_reader_start(struct unit_reader *reader, sd_bus *connection, struct unit_properties *into,
                unit_read_t done, void *userdata);
/* done() is not called any more. */
void unit_reader_clear(struct unit_reader *reader);
