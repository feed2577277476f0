/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-list.h"
#include "log.h"
#include "unit-properties.h"

/* A busy systemd; nobody waits for this. */
#define LIST_TIMEOUT_USEC (30 * USEC_PER_SEC)

struct unit_list {
        sd_bus_slot *call;
        struct unit_list **owner; /* what is set to NULL at the end */
        unit_listed_t listed;
        void *userdata;
};

/* a(ssssssouso): name, description, load, active, sub state, followed, path, job's id, type and path. */
static int read_units(sd_bus_message *m, unit_listed_t listed, void *userdata) {
        const char *name, *active_state;
        int r;

        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(ssssssouso)", &name, NULL, NULL, &active_state, NULL, NULL,
                                NULL, NULL, NULL, NULL)) > 0)
                listed(name, active_state, userdata);
        return r;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct unit_list *list = userdata;
        unit_listed_t listed = list->listed;
        void *listed_userdata = list->userdata;
        int r;

        *list->owner = unit_list_cancel(list);
        r = sd_bus_message_is_method_error(m, NULL) ? -sd_bus_message_get_errno(m)
                                                    : read_units(m, listed, listed_userdata);
        if (r < 0)
                log_warning_errno(r, "Cannot ask systemd which units there are");
        return 0;
}

int unit_list_begin(struct unit_list **ret, struct bus *bus, const char *const *patterns,
                unit_listed_t listed, void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *connection = bus_connection(bus);
        struct unit_list *list;
        int r;

        if (!connection)
                return -ENOTCONN;
        r = sd_bus_message_new_method_call(
                        connection, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsByPatterns");
        if (r >= 0)
                r = sd_bus_message_append(m, "as", 0); /* in any state */
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) patterns);
        if (r < 0)
                return r;

        list = malloc(sizeof(*list));
        if (!list)
                return -ENOMEM;
        *list = (struct unit_list){ .owner = ret, .listed = listed, .userdata = userdata };
        r = sd_bus_call_async(connection, &list->call, m, on_answer, list, LIST_TIMEOUT_USEC);
        if (r < 0) {
                free(list);
                return r;
        }
        *ret = list;
        return 0;
}

struct unit_list *unit_list_cancel(struct unit_list *list) {
        if (!list)
                return NULL;
        sd_bus_slot_unref(list->call);
        free(list);
        return NULL;
}
