/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registry over a restart: what was there is there again, and a damaged file harms nobody. */
#include "registry-store.h"

#include "log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct registry *registry;
static struct registry_store *store;

static void set_up(void) {
        log_set_max_level(LOG_CRIT);
        cr_assert_eq(registry_new(&registry), 0);
        cr_assert_eq(registry_store_new(&store, registry), 0);
}

static void tear_down(void) {
        store = registry_store_free(store);
        registry = registry_free(registry);
}

static struct component_type type_of(uint32_t number) {
        struct component_type type;

        cr_assert_eq(component_type_from_wire(number, &type), 0);
        return type;
}

static struct registry_agent *put_agent(struct registry *where, const char *vm, uint32_t number) {
        struct registry_agent_values values = { .vm = vm,
                .type = type_of(number),
                .transport = { (char *) "tcp", (char *) "192.168.100.5", (char *) "9000" } };
        struct registry_agent *agent;

        cr_assert_eq(registry_put_agent(where, &values, &agent), 0);
        return agent;
}

static void put_unit(struct registry_agent *agent, const char *name, uint32_t number, const char *active) {
        Systemd__UnitStatus status = SYSTEMD__UNIT_STATUS__INIT;

        status.loadstate = (char *) "loaded";
        status.activestate = (char *) active;
        status.substate = (char *) "running";
        status.description = (char *) "What it is";
        cr_assert_eq(registry_put_unit(registry, agent, name, type_of(number), &status, NULL), 0);
}

static size_t size_of(int fd) {
        struct stat st;

        cr_assert_eq(fstat(fd, &st), 0);
        return (size_t) st.st_size;
}

static size_t memory_of(int fd) {
        struct stat st;

        cr_assert_eq(fstat(fd, &st), 0);
        return (size_t) st.st_blocks * 512;
}

/* A registry as the next run would have it. */
static struct registry *read_back(int fd) {
        struct registry *again;

        cr_assert_eq(registry_new(&again), 0);
        cr_assert_geq(registry_store_read(again, fd), 0);
        return again;
}

static void fill(void) {
        struct registry_agent *host = put_agent(registry, "ghaf-host", 0),
                              *app = put_agent(registry, "app-vm", 12);

        put_unit(host, "microvm@app-vm.service", 11, "active");
        put_unit(app, "clock.service", 13, "inactive");
        put_unit(app, "gone.service", 13, "active");
        put_unit(app, "clock.service", 13, "active");
        registry_remove(registry, registry_find(registry, "gone.service"));
}

static void compare_entry(const struct registry_entry *entry, void *userdata) {
        const struct registry_entry *again = registry_find(userdata, entry->name);

        cr_assert_not_null(again, "%s is missing", entry->name);
        cr_assert(component_state_equal(again->state, entry->state));
        cr_assert_eq(component_type_to_wire(again->type), component_type_to_wire(entry->type));
        cr_assert_str_eq(again->agent->vm, entry->agent->vm);
        cr_assert_str_eq(again->agent->transport.address, entry->agent->transport.address);
        cr_assert_str_eq(strempty(again->description), strempty(entry->description));
        cr_assert_not(again->agent->online);
}

static void compare(struct registry *again) {
        cr_assert_eq(registry_count(again), registry_count(registry));
        registry_foreach(registry, compare_entry, again);
}

TestSuite(registry_store, .init = set_up, .fini = tear_down);

Test(registry_store, what_was_there_is_there_again) {
        _cleanup_(registry_freep) struct registry *again = NULL;

        fill();
        again = read_back(registry_store_fd(store));
        compare(again);
}

Test(registry_store, what_went_with_its_agent_stays_away) {
        _cleanup_(registry_freep) struct registry *again = NULL;

        fill();
        registry_remove(registry, registry_find(registry, "givc-app-vm.service"));
        again = read_back(registry_store_fd(store));
        compare(again);
        cr_assert_eq(registry_count(again), 2);
}

Test(registry_store, a_log_that_grows_is_written_anew) {
        _cleanup_(registry_freep) struct registry *again = NULL;

        fill();
        for (unsigned i = 0; i < 5000; i++)
                put_unit(registry_find_agent(registry, "app-vm"), "clock.service", 13,
                                i % 2 ? "active" : "inactive");
        cr_assert_lt(memory_of(registry_store_fd(store)), 200 * 1024);
        again = read_back(registry_store_fd(store));
        compare(again);
}

Test(registry_store, nothing_is_forgotten_when_it_is_written_anew_within_a_removal) {
        _cleanup_(registry_freep) struct registry *again = NULL;
        char name[64];

        fill();
        for (unsigned i = 0; i < 1500; i++) {
                snprintf(name, sizeof(name), "unit-%u.service", i);
                put_unit(registry_find_agent(registry, "app-vm"), name, 13, "active");
        }
        registry_remove(registry, registry_find(registry, "givc-app-vm.service"));
        again = read_back(registry_store_fd(store));
        compare(again);
}

Test(registry_store, a_file_that_was_cut_short_is_read_as_far_as_it_goes) {
        size_t size, last = 0;

        fill();
        size = size_of(registry_store_fd(store));
        for (size_t n = 0; n <= size; n++) {
                _cleanup_(registry_freep) struct registry *again = NULL;
                _cleanup_(closep) int cut = memfd_create("cut", MFD_CLOEXEC);
                char data[4096];

                cr_assert_leq(size, sizeof(data));
                cr_assert_eq(pread(registry_store_fd(store), data, n, 0), (ssize_t) n);
                cr_assert_eq(write(cut, data, n), (ssize_t) n);
                again = read_back(cut);
                last = registry_count(again);
        }
        cr_assert_eq(last, registry_count(registry));
}

Test(registry_store, a_file_with_any_byte_changed_harms_nobody) {
        size_t size;
        char data[4096];

        fill();
        size = size_of(registry_store_fd(store));
        cr_assert_leq(size, sizeof(data));
        cr_assert_eq(pread(registry_store_fd(store), data, size, 0), (ssize_t) size);
        for (size_t i = 0; i < size; i++) {
                _cleanup_(registry_freep) struct registry *again = NULL;
                _cleanup_(closep) int bad = memfd_create("bad", MFD_CLOEXEC);

                data[i] ^= 0x41;
                cr_assert_eq(write(bad, data, size), (ssize_t) size);
                data[i] ^= 0x41;
                again = read_back(bad);
                cr_assert_leq(registry_count(again), registry_count(registry) + 1);
        }
}

Test(registry_store, garbage_is_no_registry) {
        _cleanup_(registry_freep) struct registry *again = NULL, *empty = NULL;
        _cleanup_(closep) int garbage = memfd_create("garbage", MFD_CLOEXEC),
                              nothing = memfd_create("nothing", MFD_CLOEXEC);
        unsigned char data[10000];

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (unsigned char) (i * 7919 >> 3);
        cr_assert_eq(write(garbage, data, sizeof(data)), (ssize_t) sizeof(data));
        again = read_back(garbage);
        cr_assert_eq(registry_count(again), 0);
        empty = read_back(nothing);
        cr_assert_eq(registry_count(empty), 0);
}
