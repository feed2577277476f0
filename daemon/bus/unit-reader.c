/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-reader.h"

#include "log.h"

/*
 * No time limit: when systemd is busy (reloading for seconds, say) there is nothing better to do than to
 * wait. That it is gone shows otherwise: the bus answers in its place, or goes with it.
 */
static int get_all(sd_bus *connection, sd_bus_slot **ret, const char *path, const char *interface,
                sd_bus_message_handler_t handler, void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(
                        connection, &m, SYSTEMD_NAME, path, "org.freedesktop.DBus.Properties", "GetAll");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", interface);
        if (r < 0)
                return r;
        return sd_bus_call_async(connection, ret, m, handler, userdata, UINT64_MAX);
}

static int on_type_properties(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct unit_reader *reader = userdata;
        int r;

        reader->type_call = sd_bus_slot_unref(reader->type_call);
        /* The other call will fail as well, and tell. */
        if (sd_bus_message_is_method_error(m, NULL))
                return 0;
        r = unit_properties_update(reader->into, m);
        if (r < 0)
                log_warning_errno(r, "Cannot read what systemd says about %s", reader->into->name);
        return 0;
}

static int on_unit_properties(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        struct unit_reader *reader = userdata;
        int r;

        reader->unit_call = sd_bus_slot_unref(reader->unit_call);
        if (sd_bus_message_is_method_error(m, NULL)) {
                reader->done(sd_bus_message_get_error(m), reader->userdata);
                return 0;
        }
        r = unit_properties_update(reader->into, m);
        if (r < 0) {
                sd_bus_error_set_errno(&error, r);
                reader->done(&error, reader->userdata);
                return 0;
        }
        reader->done(NULL, reader->userdata);
        return 0;
}

int unit_reader_start(struct unit_reader *reader, sd_bus *connection, struct unit_properties *into,
                unit_read_t done, void *userdata) {
        const char *type_interface = unit_type_interface(into->name);
        int r;

        *reader = (struct unit_reader){ .into = into, .done = done, .userdata = userdata };
        if (type_interface) {
                r = get_all(connection, &reader->type_call, into->path, type_interface, on_type_properties,
                                reader);
                if (r < 0)
                        return r;
        }
        r = get_all(connection, &reader->unit_call, into->path, SYSTEMD_UNIT_INTERFACE, on_unit_properties,
                        reader);
        if (r < 0)
                unit_reader_clear(reader);
        return r;
}

void unit_reader_clear(struct unit_reader *reader) {
        reader->type_call = sd_bus_slot_unref(reader->type_call);
        reader->unit_call = sd_bus_slot_unref(reader->unit_call);
}
