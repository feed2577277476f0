/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A bus of a test's own. */

#include "child.h"
#include "text.h"

#include <criterion/criterion.h>

static void on_dbus_daemon_exited(struct child *child, int code, int status, void *userdata) {
}

/* It ends with child_free(). */
static struct child *start_dbus_daemon(sd_event *event, const char *socket) {
        _cleanup_(freep) char *address = text_printf("--address=unix:path=%s", socket);
        const char *argv[] = { "dbus-daemon", "--session", "--nofork", "--nopidfile", address, NULL };
        const char *environment[] = { NULL };
        const struct child_spec spec = {
                .path = "/usr/bin/dbus-daemon",
                .argv = (char *const *) argv,
                .environment = (char *const *) environment,
                .stdin_fd = -1,
                .stdout_fd = -1,
                .stderr_fd = -1,
        };
        struct child *daemon = NULL;

        cr_assert_eq(child_new(&daemon, event, &spec, on_dbus_daemon_exited, NULL), 0);
        return daemon;
}
