/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A bus that is slow to come, or never does. Losing one and coming back: test-units.c, and
 * selftest/fleet/test_units.py.
 */
#include "bus.h"
#include "dbus-daemon.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct {
        sd_event *event;
        struct bus *bus;
        struct sockaddr_un address;
        char directory[32];
        unsigned connected, lost;
} world;

static void on_connected(struct bus *bus, void *userdata) {
        cr_assert_not_null(bus_connection(bus));
        world.connected++;
}

static void on_lost(struct bus *bus, void *userdata) {
        cr_assert_null(bus_connection(bus));
        world.lost++;
}

static const struct bus_listener listener = { .connected = on_connected, .lost = on_lost };

static void set_up(void) {
        char text[sizeof(world.address.sun_path) + 16];
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        cr_assert_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);

        snprintf(world.directory, sizeof(world.directory), "/tmp/test-bus.XXXXXX");
        cr_assert_not_null(mkdtemp(world.directory));
        world.address.sun_family = AF_UNIX;
        snprintf(world.address.sun_path, sizeof(world.address.sun_path), "%s/bus", world.directory);
        snprintf(text, sizeof(text), "unix:path=%s", world.address.sun_path);
        setenv("DBUS_SYSTEM_BUS_ADDRESS", text, true);

        cr_assert_geq(sd_event_new(&world.event), 0);
        cr_assert_eq(bus_new(&world.bus, world.event, BUS_SYSTEM), 0);
        cr_assert_eq(bus_add_listener(world.bus, &listener, NULL), 0);
}

static void tear_down(void) {
        bus_free(world.bus);
        sd_event_unref(world.event);
        unlink(world.address.sun_path);
        rmdir(world.directory);
}

TestSuite(bus, .init = set_up, .fini = tear_down, .timeout = 20);

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        bool *over = userdata;

        *over = true;
        return 0;
}

static void run_for(uint64_t usec) {
        sd_event_source *timer = NULL;
        bool over = false;

        cr_assert_geq(sd_event_add_time_relative(
                                      world.event, &timer, CLOCK_MONOTONIC, usec, 1, on_time, &over),
                        0);
        while (!over)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
        sd_event_source_unref(timer);
}

static void run_until(const unsigned *counter, unsigned value) {
        while (*counter < value)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
}

/* It takes connections and says nothing: no step of joining may wait for it. */
Test(bus, silent) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        uint64_t begin;

        cr_assert_eq(bind(fd, (struct sockaddr *) &world.address, sizeof(world.address)), 0);
        cr_assert_eq(listen(fd, 1), 0);
        begin = now_usec(CLOCK_MONOTONIC);
        bus_start(world.bus);
        run_for(100 * USEC_PER_MSEC);
        cr_assert_lt(now_usec(CLOCK_MONOTONIC) - begin, 5 * USEC_PER_SEC);
        cr_assert_null(bus_connection(world.bus));
        cr_assert_eq(world.connected + world.lost, 0);
        close(fd);
}

/* The kernel queues no more connections for it: connect() would wait, too. */
Test(bus, silent_and_full) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), others[2];

        cr_assert_eq(bind(fd, (struct sockaddr *) &world.address, sizeof(world.address)), 0);
        cr_assert_eq(listen(fd, 0), 0);
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                others[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void) connect(others[i], (struct sockaddr *) &world.address, sizeof(world.address));
        }
        bus_start(world.bus);
        run_for(100 * USEC_PER_MSEC);
        cr_assert_null(bus_connection(world.bus));
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                close(others[i]);
        close(fd);
}

Test(bus, comes_later_and_again) {
        struct child *daemon;

        bus_start(world.bus);
        run_for(10 * USEC_PER_MSEC);
        cr_assert_eq(world.connected + world.lost, 0);

        for (unsigned i = 1; i <= 2; i++) {
                daemon = start_dbus_daemon(world.event, world.address.sun_path);
                run_until(&world.connected, i);
                child_free(daemon);
                run_until(&world.lost, i);
                unlink(world.address.sun_path);
        }
}
