/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-usage.h"

/* Two properties, asked for one after the other in one go; the answers come in that order. */
enum {
        USAGE_CPU,
        USAGE_MEMORY,
        _USAGE_MAX,
};

struct unit_usage_read {
        sd_bus_slot *slots[_USAGE_MAX];
        struct unit_usage usage;
        unit_usage_done_t done;
        void *userdata;
};

/* org.freedesktop.systemd1(5): the accounting stands in the interface of the unit's type. */
static const char *interface_of(const char *name) {
        static const struct {
                const char *suffix, *interface;
        } types[] = {
                { ".service", "org.freedesktop.systemd1.Service" },
                { ".scope", "org.freedesktop.systemd1.Scope" },
                { ".slice", "org.freedesktop.systemd1.Slice" },
                { ".socket", "org.freedesktop.systemd1.Socket" },
                { ".mount", "org.freedesktop.systemd1.Mount" },
                { ".swap", "org.freedesktop.systemd1.Swap" },
        };

        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (endswith(name, types[i].suffix))
                        return types[i].interface;
        return NULL;
}

struct unit_usage_read *unit_usage_read_cancel(struct unit_usage_read *reading) {
        if (!reading)
                return NULL;
        for (size_t i = 0; i < _USAGE_MAX; i++)
                sd_bus_slot_unref(reading->slots[i]);
        free(reading);
        return NULL;
}
DEFINE_CLEANUP(struct unit_usage_read, unit_usage_read_cancel)

/* The reading is over when done is called: it may not be cancelled from in there. */
static void finish(struct unit_usage_read *reading, int error) {
        unit_usage_done_t done = reading->done;
        struct unit_usage usage = reading->usage;
        void *userdata = reading->userdata;

        unit_usage_read_cancel(reading);
        done(error, error < 0 ? NULL : &usage, userdata);
}

static int read_counter(sd_bus_message *reply, uint64_t *ret) {
        int r;

        r = sd_bus_message_get_errno(reply);
        if (r > 0)
                return -r;
        return sd_bus_message_read(reply, "v", "t", ret);
}

static int on_cpu(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        struct unit_usage_read *reading = userdata;
        int r;

        r = read_counter(reply, &reading->usage.cpu_nsec);
        if (r < 0)
                finish(reading, r);
        return 0;
}

static int on_memory(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        struct unit_usage_read *reading = userdata;
        int r;

        r = read_counter(reply, &reading->usage.memory_bytes);
        finish(reading, MIN(r, 0));
        return 0;
}

static int ask(struct unit_usage_read *reading, sd_bus *connection, const char *path, const char *interface,
                size_t which, const char *property, sd_bus_message_handler_t handler) {
        return sd_bus_call_method_async(connection, &reading->slots[which], "org.freedesktop.systemd1", path,
                        "org.freedesktop.DBus.Properties", "Get", handler, reading, "ss", interface,
                        property);
}

int unit_usage_read(struct unit_usage_read **ret, struct bus *bus, const char *name, unit_usage_done_t done,
                void *userdata) {
        _cleanup_(unit_usage_read_cancelp) struct unit_usage_read *reading = NULL;
        _cleanup_(freep) char *path = NULL;
        const char *interface = interface_of(name);
        sd_bus *connection = bus_connection(bus);
        int r;

        if (!interface)
                return -EOPNOTSUPP;
        if (!connection)
                return -ENOTCONN;
        reading = calloc(1, sizeof(*reading));
        if (!reading)
                return -ENOMEM;
        reading->done = done;
        reading->userdata = userdata;
        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", name, &path);
        if (r < 0)
                return r;
        r = ask(reading, connection, path, interface, USAGE_CPU, "CPUUsageNSec", on_cpu);
        if (r < 0)
                return r;
        r = ask(reading, connection, path, interface, USAGE_MEMORY, "MemoryCurrent", on_memory);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reading);
        return 0;
}
