/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bus-object.h"

#include "application-instances.h"
#include "daemon-object.h"
#include "registration.h"

#define AGENT_NAME      "org.ghaf.Givc1.Agent"
#define AGENT_INTERFACE "org.ghaf.Givc1.Agent"
#define UNIT_INTERFACE  "org.ghaf.Givc1.Unit"
#define UNIT_KIND       "unit"
#define UNIT_PATH       DAEMON_OBJECT_PATH "/" UNIT_KIND

struct bus_object {
        struct manager *manager;
        struct daemon_object *daemon;
};

/* ---- the agent ---- */

static int get_identity(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct manager *manager = userdata;

        return sd_bus_message_append(reply, "s", daemon_object_text(manager->config.name));
}

static int get_admin(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct config_transport *admin = &((const struct manager *) userdata)->config.admin;

        return sd_bus_message_append(reply, "(ssss)", daemon_object_text(admin->name),
                        daemon_object_text(admin->protocol), daemon_object_text(admin->address),
                        daemon_object_text(admin->port));
}

static int get_admin_online(sd_bus *connection, const char *path, const char *interface,
                const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct manager *manager = userdata;

        return sd_bus_message_append(reply, "b",
                        manager->registration && registration_is_connected(manager->registration));
}

static int get_admin_since(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct manager *manager = userdata;

        return sd_bus_message_append(reply, "t",
                        manager->registration ? registration_since(manager->registration) : UINT64_C(0));
}

static const sd_bus_vtable agent_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Identity", "s", get_identity, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Admin", "(ssss)", get_admin, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("AdminOnline", "b", get_admin_online, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("AdminOnlineSince", "t", get_admin_since, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

void bus_object_admin_changed(const struct bus_object *object) {
        sd_bus *connection = object ? daemon_object_connection(object->daemon) : NULL;

        if (connection)
                (void) sd_bus_emit_properties_changed(connection, DAEMON_OBJECT_PATH, AGENT_INTERFACE,
                                "Admin", "AdminOnline", "AdminOnlineSince", NULL);
}

/* ---- units ---- */

/* Of the whitelist, or an instance of an application that is not in it. */
static const struct whitelist_unit *unit_of_name(struct manager *manager, const char *name) {
        const struct whitelist_unit *unit = whitelist_find(&manager->whitelist, name);
        struct application_instance *instance;

        if (unit)
                return unit;
        instance = application_instance_find(manager, name);
        return instance && instance->shown ? &instance->unit : NULL;
}

/* The properties look their unit up by its path: what is found here has no state of its own. */
static int find_unit(sd_bus *connection, const char *path, const char *interface, void *userdata,
                void **ret_found, sd_bus_error *error) {
        struct bus_object *object = userdata;
        _cleanup_(freep) char *name = NULL;
        int r;

        r = daemon_object_find(UNIT_KIND, path, &name);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (!unit_of_name(object->manager, name))
                return 0;
        *ret_found = object;
        return 1;
}

static int enumerate_units(
                sd_bus *connection, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        struct manager *manager = ((struct bus_object *) userdata)->manager;
        const struct whitelist *whitelist = &manager->whitelist;
        struct application_instance *instance;
        struct daemon_object_paths paths;

        if (startswith(prefix, UNIT_PATH "/"))
                return 0; /* below one unit there is none */
        if (daemon_object_paths_begin(&paths, UNIT_KIND, whitelist->n_units + APPLICATION_INSTANCES_MAX) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < whitelist->n_units; i++)
                daemon_object_paths_add(&paths, whitelist->units[i].name);
        LIST_FOREACH(instance, &manager->instances, instances)
                if (unit_of_name(manager, instance->unit.name) == &instance->unit)
                        daemon_object_paths_add(&paths, instance->unit.name);
        return daemon_object_paths_end(&paths, ret);
}

/* A unit that find_unit() has found, and its state. */
static const struct whitelist_unit *unit_of_path(
                struct manager *manager, const char *path, const struct unit_state **ret_state) {
        static const struct unit_state unknown = {
                .description = "",
                .load_state = "",
                .active_state = "",
                .sub_state = "",
                .freezer_state = "",
                .result = "",
        };
        const struct whitelist_unit *unit;
        _cleanup_(freep) char *name = NULL;

        unit = daemon_object_find(UNIT_KIND, path, &name) < 0 ? NULL : unit_of_name(manager, name);
        *ret_state = (unit ? units_get(manager->units, unit->target) : NULL) ?: &unknown;
        return unit;
}

static int get_text(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct unit_state *state;
        const struct whitelist_unit *unit =
                        unit_of_path(((struct bus_object *) userdata)->manager, path, &state);
        const struct {
                const char *property, *text;
        } texts[] = {
                { "Name", unit ? unit->name : "" },
                { "SystemdUnit", unit ? unit->target : "" },
                { "Description", state->description },
                { "LoadState", state->load_state },
                { "ActiveState", state->active_state },
                { "SubState", state->sub_state },
                { "FreezerState", state->freezer_state },
                { "Result", state->result },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (streq(texts[i].property, property))
                        return sd_bus_message_append(reply, "s", daemon_object_text(texts[i].text));
        return -EINVAL;
}

static int get_since(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct unit_state *state;

        (void) unit_of_path(((struct bus_object *) userdata)->manager, path, &state);
        return sd_bus_message_append(reply, "t", state->since_usec);
}

static int get_application(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct manager *manager = ((struct bus_object *) userdata)->manager;
        const struct unit_state *state;
        const struct whitelist_unit *unit = unit_of_path(manager, path, &state);

        return sd_bus_message_append(reply, "b", unit && !whitelist_find(&manager->whitelist, unit->name));
}

static const sd_bus_vtable unit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Name", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("SystemdUnit", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Application", "b", get_application, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Description", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LoadState", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ActiveState", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SubState", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("FreezerState", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Result", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Since", "t", get_since, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

/* What may change is told together, as it is at that moment. */
static const char *const unit_changes[] = {
        "Description",
        "LoadState",
        "ActiveState",
        "SubState",
        "FreezerState",
        "Result",
        "Since",
        NULL,
};

void bus_object_unit_added(const struct bus_object *object, const struct whitelist_unit *unit) {
        if (object)
                daemon_object_added(object->daemon, UNIT_KIND, unit->name);
}

void bus_object_unit_removed(const struct bus_object *object, const struct whitelist_unit *unit) {
        if (object)
                daemon_object_removed(object->daemon, UNIT_KIND, unit->name);
}

void bus_object_unit_changed(const struct bus_object *object, const struct whitelist_unit *unit) {
        if (object)
                daemon_object_changed(object->daemon, UNIT_KIND, unit->name, UNIT_INTERFACE, unit_changes);
}

void bus_object_peers_changed(const struct bus_object *object) {
        if (object)
                daemon_object_peers_changed(object->daemon);
}

/* ---- life ---- */

static int publish(sd_bus *connection, void *userdata) {
        struct bus_object *object = userdata;
        int r;

        r = sd_bus_add_object_vtable(connection, NULL, DAEMON_OBJECT_PATH, AGENT_INTERFACE, agent_vtable,
                        object->manager);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(
                                connection, NULL, UNIT_PATH, UNIT_INTERFACE, unit_vtable, find_unit, object);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(connection, NULL, UNIT_PATH, enumerate_units, object);
        return r;
}

static int reload(void *userdata) {
        struct bus_object *object = userdata;

        return reactor_reload(object->manager->reactor);
}

int bus_object_new(struct bus_object **ret, struct manager *manager) {
        struct daemon_object_config config = {
                .name = AGENT_NAME,
                .identifier = "givc-agent",
                .version = GIVC_VERSION,
                .tls = manager->tls,
                .access_control = manager->config.access.enable,
                .server = manager->server,
                .reload = reload,
                .publish = publish,
        };
        struct bus_object *object;
        int r;

        object = calloc(1, sizeof(*object));
        if (!object)
                return -ENOMEM;
        object->manager = manager;
        config.userdata = object;
        r = daemon_object_new(&object->daemon, reactor_event(manager->reactor), bus_get_kind(manager->bus),
                        &config);
        if (r < 0) {
                free(object);
                return r;
        }
        *ret = object;
        return 0;
}

struct bus_object *bus_object_free(struct bus_object *object) {
        if (!object)
                return NULL;
        daemon_object_free(object->daemon);
        free(object);
        return NULL;
}
