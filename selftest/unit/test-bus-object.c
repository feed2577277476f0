/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The admin's object on a bus of our own: what a client sees of a registry that changes, also a large one,
 * and a bus that has stopped to read. Who may what, and both daemons on real systems:
 * selftest/fleet/test_dbus.py.
 */
#include "bus-object.h"
#include "bytestream.h"
#include "dbus-daemon.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#define NAME "org.ghaf.Givc1.Admin"
#define ROOT "/org/ghaf/Givc1"

static struct {
        char directory[32], address[64];
        struct options options;
        struct manager manager;
        struct registry_agent *agent;
        struct child *daemon;
        sd_bus *client;
        unsigned answers, signals, owners, reloads;
        sd_bus_message *answer, *signal; /* the last */
} world;

static int on_reload(struct reactor *reactor, void *userdata) {
        world.reloads++;
        return world.reloads > 1 ? -EINVAL : 0;
}

static void on_stop(struct reactor *reactor, void *userdata) {
}

static void run_until(const unsigned *counter, unsigned value) {
        while (*counter < value)
                cr_assert_geq(sd_event_run(reactor_event(world.manager.reactor), UINT64_MAX), 0);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message_unref(world.answer);
        world.answer = sd_bus_message_ref(m);
        world.answers++;
        return 0;
}

/* Asks and waits for the answer, while the object is served by the same loop. */
#define ask(path, interface, method, ...)                                                                   \
        ({                                                                                                  \
                cr_assert_geq(sd_bus_call_method_async(world.client, NULL, NAME, path, interface, method,   \
                                              on_answer, NULL, __VA_ARGS__),                                \
                                0);                                                                         \
                run_until(&world.answers, world.answers + 1);                                               \
                world.answer;                                                                               \
        })

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message_unref(world.signal);
        world.signal = sd_bus_message_ref(m);
        world.signals++;
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *owner;

        cr_assert_geq(sd_bus_message_read(m, "sss", NULL, NULL, &owner), 0);
        world.owners += !isempty(owner);
        return 0;
}

/* A client of the bus, as soon as that is there, which hears all that the admin's name signals. */
static void join(void) {
        sd_event *event = reactor_event(world.manager.reactor);

        while (sd_bus_open_system(&world.client) < 0)
                cr_assert_geq(sd_event_run(event, 10 * USEC_PER_MSEC),
                                0); /* nothing tells of a socket to come */
        cr_assert_geq(sd_bus_attach_event(world.client, event, 0), 0);
        /* Whose answers show that they stand. */
        cr_assert_geq(sd_bus_match_signal_async(world.client, NULL, NAME, NULL, NULL, NULL, on_signal,
                                      on_answer, NULL),
                        0);
        cr_assert_geq(sd_bus_add_match_async(world.client, NULL,
                                      "type='signal',member='NameOwnerChanged',arg0='" NAME "'", on_owner,
                                      on_answer, NULL),
                        0);
        run_until(&world.answers, 2);
}

static void set_up(void) {
        static const struct reactor_ops ops = { .reload = on_reload, .stop = on_stop };
        const struct registry_agent_values values = {
                .vm = "app-vm",
                .type = { COMPONENT_APPVM, COMPONENT_MGR },
                .transport = { (char *) "tcp", (char *) "127.0.0.1", (char *) "1" },
        };
        struct manager *manager = &world.manager;

        snprintf(world.directory, sizeof(world.directory), "/tmp/test-bus-object.XXXXXX");
        cr_assert_not_null(mkdtemp(world.directory));
        snprintf(world.address, sizeof(world.address), "unix:path=%s/bus", world.directory);
        setenv("DBUS_SYSTEM_BUS_ADDRESS", world.address, true);

        manager->options = &world.options;
        cr_assert_eq(reactor_new(&manager->reactor, &ops, USEC_PER_SEC, NULL), 0);
        cr_assert_eq(registry_new(&manager->registry), 0);
        cr_assert_eq(watchers_new(&manager->watchers, manager->registry), 0);
        cr_assert_eq(rpc_server_new(&manager->server, reactor_event(manager->reactor), NULL, NULL, NULL), 0);
        cr_assert_eq(registry_put_agent(manager->registry, &values, &world.agent), 0);
        world.daemon = start_dbus_daemon(
                        reactor_event(world.manager.reactor), world.address + strlen("unix:path="));
        join();
        cr_assert_eq(bus_object_new(&manager->bus_object, manager), 0);
        run_until(&world.owners, 1);
        world.signals = 0;
}

static void tear_down(void) {
        char path[64];

        sd_bus_message_unref(world.answer);
        sd_bus_message_unref(world.signal);
        bus_object_free(world.manager.bus_object);
        sd_bus_close_unref(world.client);
        rpc_server_free(world.manager.server);
        watchers_free(world.manager.watchers);
        registry_free(world.manager.registry);
        child_free(world.daemon);
        reactor_free(world.manager.reactor);
        snprintf(path, sizeof(path), "%s/bus", world.directory);
        unlink(path);
        rmdir(world.directory);
}

TestSuite(bus_object, .init = set_up, .fini = tear_down, .timeout = 120);

static struct registry_entry *put(const char *name, const char *active, const char *description) {
        const struct component_type type = { COMPONENT_APPVM, COMPONENT_SVC };
        Systemd__UnitStatus state = SYSTEMD__UNIT_STATUS__INIT;
        struct registry_entry *entry;

        state.loadstate = (char *) "loaded";
        state.activestate = (char *) active;
        state.substate = (char *) (streq(active, "active") ? "running" : "dead");
        state.description = (char *) description;
        cr_assert_eq(registry_put_unit(world.manager.registry, world.agent, name, type, &state, &entry), 0);
        return entry;
}

Test(bus_object, an_entry_comes_changes_and_goes) {
        const char *path, *text;
        struct registry_entry *entry;

        entry = put("a.service", "active", "A\xc3\xa4");
        run_until(&world.signals, 1);
        cr_assert(sd_bus_message_is_signal(
                        world.signal, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded"));
        cr_assert_geq(sd_bus_message_read(world.signal, "o", &path), 0);
        cr_assert_str_eq(path, ROOT "/entry/a_2eservice");

        (void) put("a.service", "inactive", "A");
        run_until(&world.signals, 2);
        cr_assert(sd_bus_message_is_signal(
                        world.signal, "org.freedesktop.DBus.Properties", "PropertiesChanged"));
        cr_assert_str_eq(sd_bus_message_get_path(world.signal), ROOT "/entry/a_2eservice");
        cr_assert_geq(sd_bus_message_read(
                                      ask(ROOT "/entry/a_2eservice", "org.freedesktop.DBus.Properties",
                                                      "Get", "ss", "org.ghaf.Givc1.Entry", "ActiveState"),
                                      "v", "s", &text),
                        0);
        cr_assert_str_eq(text, "inactive");

        (void) put("a.service", "inactive", "A"); /* the same again: nobody is told */
        registry_remove(world.manager.registry, entry);
        run_until(&world.signals, 3);
        cr_assert(sd_bus_message_is_signal(
                        world.signal, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved"));
        cr_assert(sd_bus_message_is_method_error(
                        ask(ROOT "/entry/a_2eservice", "org.freedesktop.DBus.Properties", "Get", "ss",
                                        "org.ghaf.Givc1.Entry", "Name"),
                        SD_BUS_ERROR_UNKNOWN_OBJECT));
}

Test(bus_object, reload_says_how_it_ended) {
        cr_assert(!sd_bus_message_is_method_error(ask(ROOT, "org.ghaf.Givc1.Daemon", "Reload", NULL), NULL));
        cr_assert(sd_bus_message_is_method_error(
                        ask(ROOT, "org.ghaf.Givc1.Daemon", "Reload", NULL), SD_BUS_ERROR_FAILED));
        cr_assert_eq(world.reloads, 2);
}

static int on_turn(sd_event_source *source, void *userdata) {
        unsigned *turns = userdata;

        ++*turns;
        return 0;
}

/* Until the bus has taken what the client has sent before, and the client what has been sent to it. */
static void synchronize(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *id = NULL;

        cr_assert_geq(sd_bus_call_method(world.client, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                      "org.freedesktop.DBus", "GetId", NULL, &id, NULL),
                        0);
}

/* All of them wait at our socket when a handshake is to go on: it does not wait for them. */
Test(bus_object, who_asks_and_asks_goes_after_who_is_in_a_handshake) {
        sd_event *event = reactor_event(world.manager.reactor);
        unsigned asked = 500, turns = 0, before = world.answers;
        sd_event_source *handshake;

        for (unsigned i = 0; i < asked; i++)
                cr_assert_geq(sd_bus_call_method_async(world.client, NULL, NAME, ROOT,
                                              "org.freedesktop.DBus.Peer", "Ping", on_answer, NULL, NULL),
                                0);
        synchronize();
        cr_assert_geq(sd_bus_detach_event(world.client), 0);
        cr_assert_geq(sd_event_add_defer(event, &handshake, on_turn, &turns), 0);
        cr_assert_geq(sd_event_source_set_priority(handshake, BYTESTREAM_HANDSHAKE_PRIORITY), 0);
        run_until(&turns, 1);
        sd_event_source_unref(handshake);
        synchronize();
        while (sd_bus_process(world.client, NULL) > 0)
                ;
        cr_assert_lt(world.answers, before + asked / 10);
        cr_assert_geq(sd_bus_attach_event(world.client, event, 0), 0);
        run_until(&world.answers, before + asked);
}

Test(bus_object, levels_that_are_none) {
        cr_assert(sd_bus_message_is_method_error(
                        ask(ROOT, "org.ghaf.Givc1.Daemon", "SetLogLevel", "s", "loud"),
                        SD_BUS_ERROR_INVALID_ARGS));
        cr_assert(sd_bus_message_is_method_error(
                        ask(ROOT, "org.freedesktop.DBus.Properties", "Set", "ssv", "org.ghaf.Givc1.Daemon",
                                        "LogLevel", "u", 7),
                        SD_BUS_ERROR_INVALID_ARGS));
        cr_assert(sd_bus_message_is_method_error(
                        ask(ROOT, "org.freedesktop.DBus.Properties", "Set", "ssv", "org.ghaf.Givc1.Daemon",
                                        "Version", "s", "9"),
                        SD_BUS_ERROR_PROPERTY_READ_ONLY));
}

/* Everything at once, of a registry as large as one agent may make it. */
Test(bus_object, a_large_registry) {
        char name[32];
        unsigned n = 0;
        sd_bus_message *all;

        for (unsigned i = 0; i < REGISTRY_UNITS_MAX; i++) {
                snprintf(name, sizeof(name), "unit-%u.service", i);
                (void) put(name, "active", "One of many");
        }
        all = ask(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL);
        cr_assert_geq(sd_bus_message_enter_container(all, 'a', "{oa{sa{sv}}}"), 0);
        while (sd_bus_message_skip(all, "{oa{sa{sv}}}") > 0 && !sd_bus_message_at_end(all, false))
                n++;
        cr_assert_eq(n + 1, REGISTRY_UNITS_MAX + 1);
}

/* What waits for a bus that reads nothing is bounded; when it reads again, we are there again. */
Test(bus_object, a_bus_that_is_stuck) {
        sd_event *event = reactor_event(world.manager.reactor);

        cr_assert_eq(kill(child_pid(world.daemon), SIGSTOP), 0);
        for (unsigned i = 0; i < 40000; i++)
                (void) put("a.service", i % 2 == 0 ? "active" : "inactive", "A");
        while (sd_event_run(event, 0) > 0)
                ;
        cr_assert_eq(kill(child_pid(world.daemon), SIGCONT), 0);
        run_until(&world.owners, 2);
        world.signals = 0;
        (void) put("b.service", "active", "B");
        run_until(&world.signals, 1);
}
