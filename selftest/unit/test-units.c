/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a real systemd, as of selftest/fleet/test_units.py, cannot be made to do on demand, or is too old
 * for: a fake one on a private bus, in the same loop.
 */
#include "child.h"
#include "units.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define MANAGER SYSTEMD ".Manager"
#define UNIT    "demo.service"
#define JOB     "/org/freedesktop/systemd1/job/1"

/* The object's properties, as sd-bus reads them out of memory. */
struct fake_unit {
        const char *id, *load_state, *active_state, *sub_state, *freezer_state, *result;
        int32_t exit_code, exit_status;
};

static struct {
        sd_event *event;
        struct child *daemon;
        bool daemon_exited;
        char directory[32], socket[48];
        sd_bus *manager;        /* the fake's connection */
        const char *results[3]; /* of the jobs to come, in that order; NULL: the job does not end */
        unsigned jobs, thaws, subscriptions, readings;
        struct fake_unit unit;

        struct bus *bus;
        struct units *units;
        struct unit_operation *operation;
        bool connected, done;
        int error;
        char message[256];
        unsigned changes;
        char active_state[32];
} world;

/* --- systemd */

static int make_job(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *result = world.results[MIN(world.jobs, ELEMENTSOF(world.results) - 1)];

        world.jobs++;
        cr_assert_geq(sd_bus_reply_method_return(m, "o", JOB), 0);
        if (result)
                cr_assert_geq(sd_bus_emit_signal(world.manager, "/org/freedesktop/systemd1", MANAGER,
                                              "JobRemoved", "uoss", 1, JOB, UNIT, result),
                                0);
        return 1;
}

static int thaw_unit(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        world.thaws++;
        return sd_bus_reply_method_return(m, NULL);
}

static int subscribe(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        world.subscriptions++;
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("StartUnit", "ss", "o", make_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopUnit", "ss", "o", make_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ThawUnit", "s", NULL, thaw_unit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", NULL, NULL, subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* All are read together, and this one first. */
static int read_id(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        world.readings++;
        return sd_bus_message_append(reply, "s", *(const char **) userdata);
}

static const sd_bus_vtable unit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Id", "s", read_id, offsetof(struct fake_unit, id), 0),
        SD_BUS_PROPERTY("LoadState", "s", NULL, offsetof(struct fake_unit, load_state), 0),
        SD_BUS_PROPERTY("ActiveState", "s", NULL, offsetof(struct fake_unit, active_state), 0),
        SD_BUS_PROPERTY("SubState", "s", NULL, offsetof(struct fake_unit, sub_state), 0),
        SD_BUS_PROPERTY("FreezerState", "s", NULL, offsetof(struct fake_unit, freezer_state), 0),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Result", "s", NULL, offsetof(struct fake_unit, result), 0),
        SD_BUS_PROPERTY("ExecMainCode", "i", NULL, offsetof(struct fake_unit, exit_code), 0),
        SD_BUS_PROPERTY("ExecMainStatus", "i", NULL, offsetof(struct fake_unit, exit_status), 0),
        SD_BUS_VTABLE_END,
};

static void set_unit(const char *active, const char *sub) {
        world.unit = (struct fake_unit){
                .id = UNIT,
                .load_state = "loaded",
                .active_state = active,
                .sub_state = sub,
                .freezer_state = "running",
                .result = "success",
        };
}

static void start_systemd(void) {
        static const char path[] = "/org/freedesktop/systemd1/unit/demo_2eservice";

        set_unit("inactive", "dead");
        cr_assert_geq(sd_bus_open_system(&world.manager), 0);
        cr_assert_geq(sd_bus_add_object_vtable(world.manager, NULL, "/org/freedesktop/systemd1", MANAGER,
                                      manager_vtable, NULL),
                        0);
        cr_assert_geq(sd_bus_add_object_vtable(
                                      world.manager, NULL, path, SYSTEMD ".Unit", unit_vtable, &world.unit),
                        0);
        cr_assert_geq(sd_bus_add_object_vtable(world.manager, NULL, path, SYSTEMD ".Service", service_vtable,
                                      &world.unit),
                        0);
        cr_assert_geq(sd_bus_request_name(world.manager, SYSTEMD, 0), 0);
        cr_assert_geq(sd_bus_attach_event(world.manager, world.event, 0), 0);
}

/* --- the bus */

static void on_daemon_exited(struct child *child, int code, int status, void *userdata) {
        world.daemon_exited = true;
}

static void start_daemon(void) {
        char listen[80], address[256] = "";
        const char *argv[] = { "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address",
                listen, NULL };
        const char *environment[] = { NULL };
        struct child_spec spec = {
                .path = "/usr/bin/dbus-daemon",
                .argv = (char *const *) argv,
                .environment = (char *const *) environment,
                .stdin_fd = -1,
                .stderr_fd = -1,
        };
        int fds[2];

        snprintf(world.directory, sizeof(world.directory), "/tmp/test-units.XXXXXX");
        cr_assert_not_null(mkdtemp(world.directory));
        snprintf(world.socket, sizeof(world.socket), "%s/bus", world.directory);
        snprintf(listen, sizeof(listen), "--address=unix:path=%s", world.socket);

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        spec.stdout_fd = fds[1];
        cr_assert_eq(child_new(&world.daemon, world.event, &spec, on_daemon_exited, NULL), 0);
        close(fds[1]);
        for (size_t n = 0; !strchr(address, '\n'); n++) {
                cr_assert_lt(n, sizeof(address) - 1);
                cr_assert_eq(read(fds[0], address + n, 1), 1);
        }
        close(fds[0]);
        *strchr(address, '\n') = '\0';
        setenv("DBUS_SYSTEM_BUS_ADDRESS", address, true);
}

/* --- us */

static void on_connected(struct bus *bus, void *userdata) {
        world.connected = true;
}

static void on_lost(struct bus *bus, void *userdata) {
        world.connected = false;
}

static void on_changed(struct units *units, const struct unit_state *state, void *userdata) {
        world.changes++;
        snprintf(world.active_state, sizeof(world.active_state), "%s", state->active_state);
}

static void on_done(int error, const char *message, const struct unit_state *state, void *userdata) {
        cr_assert(!world.done, "told twice");
        world.done = true;
        world.error = error;
        snprintf(world.message, sizeof(world.message), "%s", message);
}

static void set_up(void) {
        static const struct bus_listener listener = { .connected = on_connected, .lost = on_lost };
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        cr_assert_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
        cr_assert_geq(sd_event_new(&world.event), 0);
        start_daemon();
        start_systemd();
        cr_assert_eq(bus_new(&world.bus, world.event, BUS_SYSTEM), 0);
        cr_assert_eq(units_new(&world.units, world.bus, on_changed, NULL), 0);
        cr_assert_eq(bus_add_listener(world.bus, &listener, NULL), 0);
        bus_start(world.bus);
        while (!world.connected)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
}

static void tear_down(void) {
        units_free(world.units);
        bus_free(world.bus);
        sd_bus_close_unref(world.manager);
        child_free(world.daemon);
        if (!world.daemon_exited)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0); /* reaps it */
        sd_event_unref(world.event);
        unlink(world.socket);
        rmdir(world.directory);
}

TestSuite(units, .init = set_up, .fini = tear_down, .timeout = 20);

static void begin(enum unit_verb verb) {
        cr_assert_eq(units_operate(world.units, verb, UNIT, on_done, NULL, &world.operation), 0);
        cr_assert(!world.done, "told before the loop runs");
}

static void run_until(const bool *condition) {
        while (!*condition)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
}

static void run_until_jobs(unsigned n) {
        while (world.jobs < n)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
}

/* systemd 254 and later: what is frozen is not stopped. */
Test(units, thaws_what_systemd_does_not_stop_frozen) {
        world.results[0] = "frozen";
        world.results[1] = "done";
        begin(UNIT_STOP);
        run_until(&world.done);
        cr_assert_eq(world.error, 0);
        cr_assert_eq(world.thaws, 1);
        cr_assert_eq(world.jobs, 2);
}

Test(units, thaws_once_only) {
        world.results[0] = world.results[1] = "frozen";
        begin(UNIT_STOP);
        run_until(&world.done);
        cr_assert_eq(world.error, -EREMOTEIO);
        cr_assert_str_eq(world.message, "The stop of demo.service ended with the result 'frozen'");
        cr_assert_eq(world.thaws, 1);
}

static void assert_result(const char *result, int error, const char *message) {
        world.results[0] = world.results[1] = world.results[2] = result;
        world.done = false;
        begin(UNIT_START);
        run_until(&world.done);
        cr_assert_eq(world.error, error, "%s: %i", result, world.error);
        cr_assert_str_eq(world.message, message);
}

Test(units, results_of_jobs) {
        assert_result("done", 0, "");
        assert_result("canceled", -ECANCELED,
                        "The start of demo.service was cancelled, perhaps by another job for it");
        assert_result("timeout", -ETIMEDOUT,
                        "The start of demo.service took longer than its configuration allows");
        assert_result("dependency", -EREMOTEIO,
                        "The start of demo.service was given up, as something that it needs failed");
        assert_result("skipped", -EREMOTEIO,
                        "The start of demo.service was skipped, as its conditions are not met");
        set_unit("failed", "failed");
        world.unit.result = "signal";
        world.unit.exit_code = CLD_KILLED;
        world.unit.exit_status = SIGSEGV;
        assert_result("failed", -EREMOTEIO,
                        "The start of demo.service failed: its main process was killed by SIGSEGV");
        world.unit.result = "start-limit-hit";
        assert_result("failed", -EREMOTEIO, "The start of demo.service failed: start-limit-hit");
}

/* systemd leaves the bus while it executes itself anew; the job ends meanwhile, and no signal tells. */
static void end_job_unseen(void) {
        run_until_jobs(1);
        cr_assert_geq(sd_bus_release_name(world.manager, SYSTEMD), 0);
        cr_assert_geq(sd_bus_request_name(world.manager, SYSTEMD, 0), 0);
        run_until(&world.done);
        cr_assert_eq(world.jobs, 1);
        cr_assert_eq(world.subscriptions, 2);
}

Test(units, job_that_ends_while_systemd_is_away) {
        begin(UNIT_START);
        set_unit("active", "running");
        end_job_unseen();
        cr_assert_eq(world.error, 0);
}

Test(units, job_that_fails_while_systemd_is_away) {
        begin(UNIT_START);
        set_unit("failed", "failed");
        world.unit.result = "exit-code";
        world.unit.exit_code = CLD_EXITED;
        world.unit.exit_status = 3;
        end_job_unseen();
        cr_assert_eq(world.error, -EREMOTEIO);
        cr_assert_str_eq(world.message,
                        "The start of demo.service failed: its main process exited with status 3");
}

Test(units, no_systemd_on_the_bus) {
        cr_assert_geq(sd_bus_release_name(world.manager, SYSTEMD), 0);
        begin(UNIT_STATUS);
        run_until(&world.done);
        cr_assert_eq(world.error, -ENOTCONN, "%i: %s", world.error, world.message);
}

/* What is not there to answer says nothing about units: they are not taken for gone. */
Test(units, state_is_kept_while_systemd_is_away) {
        set_unit("active", "running");
        cr_assert_eq(units_follow(world.units, UNIT), 0);
        while (world.changes < 1)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
        cr_assert_str_eq(world.active_state, "active");

        cr_assert_geq(sd_bus_release_name(world.manager, SYSTEMD), 0);
        units_unfollow(world.units, UNIT);
        cr_assert_eq(units_follow(world.units, UNIT), 0);
        begin(UNIT_STATUS);
        run_until(&world.done);
        cr_assert_eq(world.changes, 1);
        cr_assert_null(units_get(world.units, UNIT));

        cr_assert_geq(sd_bus_request_name(world.manager, SYSTEMD, 0), 0);
        while (world.changes < 2)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
        cr_assert_str_eq(units_get(world.units, UNIT)->active_state, "active");
}

Test(units, bus_dies_under_an_operation) {
        begin(UNIT_START);
        run_until_jobs(1);
        cr_assert_eq(child_kill(world.daemon, SIGKILL), 0);
        run_until(&world.done);
        cr_assert_eq(world.error, -ENOTCONN);
        world.done = false;
        begin(UNIT_START);
        run_until(&world.done);
        cr_assert_eq(world.error, -ENOTCONN);
}

/* Who looks at UNIT, and what was seen. */
struct look {
        struct unit_operation *operation;
        bool done;
        int error;
        char active_state[32];
};

static void on_seen(int error, const char *message, const struct unit_state *state, void *userdata) {
        struct look *look = userdata;

        cr_assert(!look->done, "told twice");
        look->done = true;
        look->operation = NULL;
        look->error = error;
        snprintf(look->active_state, sizeof(look->active_state), "%s", state ? state->active_state : "");
}

static void begin_looks(struct look *looks, size_t n) {
        for (size_t i = 0; i < n; i++)
                cr_assert_eq(units_operate(world.units, UNIT_STATUS, UNIT, on_seen, &looks[i],
                                             &looks[i].operation),
                                0);
}

/* One look is begun, and its reading answered; then the unit starts, and others look. */
static void look_while_another_is_answered(struct look *looks, size_t n) {
        begin_looks(looks, 1);
        while (world.readings < 1)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
        set_unit("active", "running");
        begin_looks(looks + 1, n - 1);
}

Test(units, who_looks_at_the_same_shares_a_reading) {
        struct look looks[8] = {};

        look_while_another_is_answered(looks, ELEMENTSOF(looks));
        for (size_t i = 0; i < ELEMENTSOF(looks); i++) {
                run_until(&looks[i].done);
                cr_assert_eq(looks[i].error, 0);
                cr_assert_str_eq(looks[i].active_state, i == 0 ? "inactive" : "active",
                                "%zu sees what was before it looked", i);
        }
        cr_assert_eq(world.readings, 2);
}

Test(units, who_looks_soon_after_others_shares_their_next_reading) {
        struct look looks[4] = {};

        look_while_another_is_answered(looks, 2);
        run_until(&looks[0].done);
        begin_looks(looks + 2, 2);
        for (size_t i = 1; i < ELEMENTSOF(looks); i++) {
                run_until(&looks[i].done);
                cr_assert_str_eq(looks[i].active_state, "active");
        }
        cr_assert_eq(world.readings, 2);
}

Test(units, a_shared_reading_is_not_lost_with_who_began_it) {
        struct look looks[4] = {};

        look_while_another_is_answered(looks, ELEMENTSOF(looks));
        unit_operation_cancel(looks[0].operation);
        unit_operation_cancel(looks[1].operation); /* it would have read next */
        unit_operation_cancel(looks[3].operation);
        run_until(&looks[2].done);
        cr_assert_str_eq(looks[2].active_state, "active");
        cr_assert(!looks[0].done && !looks[1].done && !looks[3].done, "cancelled, and told");
}

Test(units, a_shared_reading_that_fails_fails_all) {
        struct look looks[4] = {};

        cr_assert_geq(sd_bus_release_name(world.manager, SYSTEMD), 0);
        begin_looks(looks, ELEMENTSOF(looks));
        for (size_t i = 0; i < ELEMENTSOF(looks); i++) {
                run_until(&looks[i].done);
                cr_assert_eq(looks[i].error, -ENOTCONN);
        }
}

Test(units, bus_dies_under_a_shared_reading) {
        struct look looks[4] = {};

        look_while_another_is_answered(looks, ELEMENTSOF(looks));
        run_until(&looks[0].done);
        cr_assert_geq(sd_bus_detach_event(world.manager), 0); /* it answers no more */
        cr_assert_eq(child_kill(world.daemon, SIGKILL), 0);
        for (size_t i = 1; i < ELEMENTSOF(looks); i++) {
                run_until(&looks[i].done);
                cr_assert_eq(looks[i].error, -ENOTCONN, "%i", looks[i].error);
        }
}

static void free_units(struct units *units, const struct unit_state *state, void *userdata) {
        world.units = units_free(units);
}

Test(units, may_be_freed_while_they_tell) {
        world.units = units_free(world.units);
        cr_assert_eq(units_new(&world.units, world.bus, free_units, NULL), 0);
        cr_assert_eq(units_follow(world.units, UNIT), 0);
        begin(UNIT_START);
        while (world.units)
                cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
        cr_assert(!world.done, "freeing is not telling");
}
