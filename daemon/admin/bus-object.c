/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bus-object.h"

#include "daemon-object.h"
#include "query.h"
#include "recovery.h"

#define ADMIN_NAME      "org.ghaf.Givc1.Admin"
#define ADMIN_INTERFACE "org.ghaf.Givc1.Admin"
#define ENTRY_INTERFACE "org.ghaf.Givc1.Entry"
#define ENTRY_KIND      "entry"
#define ENTRY_PATH      DAEMON_OBJECT_PATH "/" ENTRY_KIND

struct bus_object {
        struct manager *manager;
        struct daemon_object *daemon;
        struct registry_observer observer;
};

/* ---- the admin ---- */

static int get_figure(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct manager *manager = userdata;
        struct registry_agent *agent;
        uint64_t agents = 0, online = 0;

        if (streq(property, "Entries"))
                return sd_bus_message_append(reply, "t", (uint64_t) registry_count(manager->registry));
        if (streq(property, "Watchers"))
                return sd_bus_message_append(reply, "t", (uint64_t) watchers_count(manager->watchers));
        if (streq(property, "Recoveries"))
                return sd_bus_message_append(reply, "t", recovery_count(manager->recovery));

        LIST_FOREACH(agent, registry_agents(manager->registry), agents) {
                agents++;
                online += agent->online;
        }
        return sd_bus_message_append(reply, "t", streq(property, "Agents") ? agents : online);
}

static const sd_bus_vtable admin_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Entries", "t", get_figure, 0, 0),
        SD_BUS_PROPERTY("Agents", "t", get_figure, 0, 0),
        SD_BUS_PROPERTY("AgentsOnline", "t", get_figure, 0, 0),
        SD_BUS_PROPERTY("Watchers", "t", get_figure, 0, 0),
        SD_BUS_PROPERTY("Recoveries", "t", get_figure, 0, 0),
        SD_BUS_VTABLE_END,
};

/* ---- entries ---- */

static int find_entry(sd_bus *connection, const char *path, const char *interface, void *userdata,
                void **ret_found, sd_bus_error *error) {
        struct bus_object *object = userdata;
        _cleanup_(freep) char *name = NULL;
        int r;

        r = daemon_object_find(ENTRY_KIND, path, &name);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        *ret_found = registry_find(object->manager->registry, name);
        return *ret_found ? 1 : 0;
}

static void add_path(const struct registry_entry *entry, void *userdata) {
        daemon_object_paths_add(userdata, entry->name);
}

static int enumerate_entries(
                sd_bus *connection, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        const struct registry *registry = ((struct bus_object *) userdata)->manager->registry;
        struct daemon_object_paths paths;

        if (startswith(prefix, ENTRY_PATH "/"))
                return 0; /* below one entry there is none */
        if (daemon_object_paths_begin(&paths, ENTRY_KIND, registry_count(registry)) < 0)
                return -ENOMEM;
        registry_foreach(registry, add_path, &paths);
        return daemon_object_paths_end(&paths, ret);
}

static int get_text(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct registry_entry *entry = userdata;
        char vm[REGISTRY_NAME_MAX + 1];
        const struct {
                const char *property, *text;
        } texts[] = {
                { "Name", entry->name },
                { "Description", strempty(entry->description) },
                { "Vm", query_vm(entry, vm) },
                { "Agent", entry->agent->entry->name },
                { "VmType", component_vm_text(entry->type.vm) },
                { "ServiceType", component_service_text(entry->type.service) },
                { "Status", component_state_text(entry->state) },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (streq(texts[i].property, property))
                        return sd_bus_message_append(reply, "s", daemon_object_text(texts[i].text));
        return -EINVAL;
}

static int get_state(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct registry_entry *entry = userdata;
        Systemd__UnitStatus status;

        component_state_to_wire(entry->state, &status);
        return sd_bus_message_append(reply, "s",
                        streq(property, "LoadState")                     ? status.loadstate
                                        : streq(property, "ActiveState") ? status.activestate
                                        : streq(property, "SubState")    ? status.substate
                                                                         : status.freezerstate);
}

static int get_online(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct registry_entry *entry = userdata;

        return sd_bus_message_append(reply, "b", entry->agent->online);
}

static int get_online_since(sd_bus *connection, const char *path, const char *interface,
                const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct registry_entry *entry = userdata;

        return sd_bus_message_append(reply, "t", entry->agent->since_usec);
}

static const sd_bus_vtable entry_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Name", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Vm", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Agent", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("VmType", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ServiceType", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Description", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Status", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LoadState", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ActiveState", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SubState", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("FreezerState", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Online", "b", get_online, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("OnlineSince", "t", get_online_since, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

/* What may change is told together, as it is at that moment. */
static const char *const entry_changes[] = {
        "VmType",
        "ServiceType",
        "Description",
        "Status",
        "LoadState",
        "ActiveState",
        "SubState",
        "FreezerState",
        "Online",
        "OnlineSince",
        NULL,
};

static void registry_changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        struct bus_object *object = userdata;

        if (event == REGISTRY_ADDED)
                daemon_object_added(object->daemon, ENTRY_KIND, entry->name);
        else if (event == REGISTRY_REMOVED)
                daemon_object_removed(object->daemon, ENTRY_KIND, entry->name);
        else
                daemon_object_changed(
                                object->daemon, ENTRY_KIND, entry->name, ENTRY_INTERFACE, entry_changes);
}

void bus_object_peers_changed(const struct bus_object *object) {
        if (object)
                daemon_object_peers_changed(object->daemon);
}

/* ---- life ---- */

static int publish(sd_bus *connection, void *userdata) {
        struct bus_object *object = userdata;
        int r;

        r = sd_bus_add_object_vtable(connection, NULL, DAEMON_OBJECT_PATH, ADMIN_INTERFACE, admin_vtable,
                        object->manager);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(connection, NULL, ENTRY_PATH, ENTRY_INTERFACE, entry_vtable,
                                find_entry, object);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(connection, NULL, ENTRY_PATH, enumerate_entries, object);
        return r;
}

static int reload(void *userdata) {
        struct bus_object *object = userdata;

        return reactor_reload(object->manager->reactor);
}

int bus_object_new(struct bus_object **ret, struct manager *manager) {
        _cleanup_(bus_object_freep) struct bus_object *object = NULL;
        struct daemon_object_config config = {
                .name = ADMIN_NAME,
                .identifier = "givc-admin",
                .version = GIVC_VERSION,
                .tls = manager->tls,
                .access_control = manager->options->access_control,
                .server = manager->server,
                .reload = reload,
                .publish = publish,
        };
        int r;

        object = calloc(1, sizeof(*object));
        if (!object)
                return -ENOMEM;
        object->manager = manager;
        object->observer = (struct registry_observer){ .changed = registry_changed, .userdata = object };
        list_init(&object->observer.observers);
        config.userdata = object;
        r = daemon_object_new(&object->daemon, reactor_event(manager->reactor), BUS_SYSTEM, &config);
        if (r < 0)
                return r;
        registry_observe(manager->registry, &object->observer);
        *ret = TAKE_PTR(object);
        return 0;
}

struct bus_object *bus_object_free(struct bus_object *object) {
        if (!object)
                return NULL;
        registry_ignore(&object->observer);
        daemon_object_free(object->daemon);
        free(object);
        return NULL;
}
