/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * daemon/bus on strings, for selftest/fleet/test_units.py, which runs it inside of a machine. Reads
 * commands, one a line, and writes what it is told as JSON, one object a line:
 *
 *   follow UNIT       → {"changed": STATE} at first and with every change
 *   unfollow UNIT
 *   get UNIT          → {"get": STATE or null}
 *   VERB UNIT         → {"done": N, "error": text or null, "message": text, "state": STATE or null}
 *   cancel N          the Nth operation, from 0
 *
 * and {"bus": "connected" or "lost"}. It ends with its standard input. --user: the user's own manager.
 */
#include "buffer.h"
#include "log.h"
#include "reactor.h"
#include "units.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/epoll.h>

#define OPERATIONS_MAX 256

struct driver;

struct operation {
        struct driver *driver;
        struct unit_operation *operation; /* NULL: done, or cancelled */
};

struct driver {
        struct reactor *reactor;
        struct bus *bus;
        struct units *units;
        sd_event_source *input;
        struct buffer line;
        struct operation operations[OPERATIONS_MAX];
        size_t n_operations;
};

static void say(json_t *object) {
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(object);
}

static json_t *state_json(const struct unit_state *s) {
        if (!s)
                return json_null();
        return json_pack("{ss ss ss ss ss ss ss ss si si sb sb}", "name", s->name, "description",
                        s->description, "load", s->load_state, "active", s->active_state, "sub",
                        s->sub_state, "path", s->path, "freezer", s->freezer_state, "result", s->result,
                        "code", s->exit_code, "status", s->exit_status, "job", s->job, "final",
                        unit_state_is_final(s));
}

static void on_changed(struct units *units, const struct unit_state *state, void *userdata) {
        say(json_pack("{so}", "changed", state_json(state)));
}

static void on_done(int error, const char *message, const struct unit_state *state, void *userdata) {
        struct operation *operation = userdata;

        operation->operation = NULL;
        say(json_pack("{si ss? ss so}", "done", (int) (operation - operation->driver->operations), "error",
                        error < 0 ? strerrorname_np(-error) : NULL, "message", message, "state",
                        state_json(state)));
}

static void on_connected(struct bus *bus, void *userdata) {
        say(json_pack("{ss}", "bus", "connected"));
}

static void on_lost(struct bus *bus, void *userdata) {
        say(json_pack("{ss}", "bus", "lost"));
}

static const struct bus_listener listener = { .connected = on_connected, .lost = on_lost };

static int operate(struct driver *driver, const char *word, const char *unit) {
        static const char *const verbs[] = {
                [UNIT_STATUS] = "status",
                [UNIT_START] = "start",
                [UNIT_RESTART] = "restart",
                [UNIT_STOP] = "stop",
                [UNIT_KILL] = "kill",
                [UNIT_FREEZE] = "freeze",
                [UNIT_THAW] = "thaw",
        };
        struct operation *operation = &driver->operations[driver->n_operations];

        if (driver->n_operations >= OPERATIONS_MAX)
                return -ENOSPC;
        operation->driver = driver;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(word, verbs[i])) {
                        driver->n_operations++;
                        return units_operate(driver->units, (enum unit_verb) i, unit, on_done, operation,
                                        &operation->operation);
                }
        return -EINVAL;
}

static int cancel(struct driver *driver, size_t number) {
        if (number >= driver->n_operations)
                return -EINVAL;
        driver->operations[number].operation = unit_operation_cancel(driver->operations[number].operation);
        return 0;
}

static void obey(struct driver *driver, char *line) {
        char *argument = strchr(line, ' ');
        int r = 0;

        if (argument)
                *argument++ = '\0';
        argument = argument ?: line + strlen(line);

        if (streq(line, "follow"))
                r = units_follow(driver->units, argument);
        else if (streq(line, "unfollow"))
                units_unfollow(driver->units, argument);
        else if (streq(line, "get"))
                say(json_pack("{so}", "get", state_json(units_get(driver->units, argument))));
        else if (streq(line, "cancel"))
                r = cancel(driver, strtoul(argument, NULL, 10));
        else
                r = operate(driver, line, argument);
        if (r < 0)
                say(json_pack("{ss ss}", "refused", strerrorname_np(-r), "line", line));
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct driver *driver = userdata;
        char *end, *room = buffer_reserve(&driver->line, 4096);
        ssize_t n;

        n = room ? read(fd, room, 4096) : -1;
        if (n <= 0) {
                reactor_exit(driver->reactor, EXIT_SUCCESS);
                return 0;
        }
        buffer_commit(&driver->line, (size_t) n);
        while (buffer_length(&driver->line) > 0) {
                char *line = buffer_bytes(&driver->line);

                end = memchr(line, '\n', buffer_length(&driver->line));
                if (!end)
                        break;
                *end = '\0';
                obey(driver, line);
                buffer_consume(&driver->line, (size_t) (end - line) + 1);
        }
        return 0;
}

static int on_reload(struct reactor *reactor, void *userdata) {
        return 0;
}

static void on_stop(struct reactor *reactor, void *userdata) {
        reactor_exit(reactor, EXIT_SUCCESS);
}

static const struct reactor_ops ops = { .reload = on_reload, .stop = on_stop };

static int run(struct driver *driver, enum bus_kind kind) {
        int r;

        r = reactor_new(&driver->reactor, &ops, USEC_PER_SEC, driver);
        if (r < 0)
                return r;
        r = bus_new(&driver->bus, reactor_event(driver->reactor), kind);
        if (r < 0)
                return r;
        r = units_new(&driver->units, driver->bus, on_changed, driver);
        if (r < 0)
                return r;
        r = bus_add_listener(driver->bus, &listener, driver);
        if (r < 0)
                return r;
        r = sd_event_add_io(reactor_event(driver->reactor), &driver->input, STDIN_FILENO, EPOLLIN, on_input,
                        driver);
        if (r < 0)
                return r;
        bus_start(driver->bus);
        return reactor_run(driver->reactor);
}

int main(int argc, char **argv) {
        struct driver driver = {};
        int r;

        log_set_max_level(LOG_DEBUG);
        r = run(&driver, argc > 1 && streq(argv[1], "--user") ? BUS_USER : BUS_SYSTEM);
        if (r < 0)
                log_error_errno(r, "Cannot run");

        sd_event_source_disable_unref(driver.input);
        units_free(driver.units);
        bus_free(driver.bus);
        reactor_free(driver.reactor);
        buffer_clear(&driver.line);
        return r < 0 ? EXIT_FAILURE : r;
}
