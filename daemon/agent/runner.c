/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runner.h"

#include "runner-request.h"
#include "text.h"
#include "unit-transient.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/socket.h>

struct runner {
        char *unit, *description;
        char *command[2];
        struct unit_transient transient;
        struct unit_operation *operation; /* while systemd has not said that it takes it */
        int socket;                       /* ours */
        int their_socket;                 /* until it has been sent */
        sd_event_source *source;
        bool started;
        const struct runner_ops *ops;
        void *userdata;
};

/* --- what it says --- */

static void fail(struct runner *runner, int error, const char *message) {
        runner->source = sd_event_source_disable_unref(runner->source);
        runner->ops->failed(runner, error, message, runner->userdata);
}

static void take_event(struct runner *runner, const struct runner_event *event) {
        switch (event->kind) {
        case RUNNER_STARTED:
                runner->started = true;
                runner->ops->started(runner, event->value, runner->userdata);
                break;
        case RUNNER_EXITED:
                runner->source = sd_event_source_disable_unref(runner->source);
                runner->ops->exited(runner, event->value, event->status, runner->userdata);
                break;
        case RUNNER_FAILED:
                fail(runner, -event->value, strerror(event->value));
                break;
        }
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct runner *runner = userdata;
        struct runner_event event;
        int r = runner_event_receive(fd, &event);

        if (r == -EAGAIN)
                return 0;
        if (r >= 0)
                take_event(runner, &event);
        else if (r == -EBADMSG)
                fail(runner, r, "its service does not say how it goes");
        else if (runner->started)
                fail(runner, -ECONNRESET, "its service was ended before it was");
        else
                fail(runner, -EREMOTEIO, "systemd could not run its service");
        return 0;
}

/* --- the service --- */

static void on_accepted(int error, const char *message, const struct unit_state *state, void *userdata) {
        struct runner *runner = userdata;

        runner->operation = NULL;
        /* systemd has its copy, or does not want one: the end of the service is to be the end of the socket.
         */
        runner->their_socket = close_fd(runner->their_socket);
        if (error < 0)
                fail(runner, error, message);
}

static int make_socket(struct runner *runner, sd_event *event) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        runner->socket = fds[0];
        runner->their_socket = fds[1];
        if (fcntl(runner->socket, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        return sd_event_add_io(event, &runner->source, runner->socket, EPOLLIN, on_socket, runner);
}

static int start_service(struct runner *runner, struct units *units) {
        /* No other has been begun in this microsecond, nor is one left of an agent before us. */
        runner->unit = text_printf("givc-command-%" PRIx64 ".service", now_usec(CLOCK_BOOTTIME));
        if (!runner->unit)
                return -ENOMEM;
        runner->command[0] = (char *) RUNNER_PROGRAM;
        runner->transient = (struct unit_transient){
                .description = runner->description,
                .command = runner->command,
                .helper_socket = &runner->their_socket,
        };
        return units_start_transient(
                        units, runner->unit, &runner->transient, on_accepted, runner, &runner->operation);
}

int runner_new(struct runner **ret, struct units *units, sd_event *event, const char *description,
                const struct child_spec *spec, const struct runner_ops *ops, void *userdata) {
        _cleanup_(runner_freep) struct runner *runner = NULL;
        int r;

        runner = calloc(1, sizeof(*runner));
        if (!runner)
                return -ENOMEM;
        *runner = (struct runner){
                .description = strdup(description),
                .socket = -1,
                .their_socket = -1,
                .ops = ops,
                .userdata = userdata,
        };
        if (!runner->description)
                return -ENOMEM;
        r = make_socket(runner, event);
        if (r < 0)
                return r;
        /* It waits in the socket until there is somebody to read it. */
        r = runner_request_send(runner->socket, spec);
        if (r < 0)
                return r;
        r = start_service(runner, units);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(runner);
        return 0;
}

struct runner *runner_free(struct runner *runner) {
        if (!runner)
                return NULL;
        unit_operation_cancel(runner->operation);
        sd_event_source_disable_unref(runner->source);
        close_fd(runner->socket);
        close_fd(runner->their_socket);
        free(runner->unit);
        free(runner->description);
        free(runner);
        return NULL;
}

int runner_kill(struct runner *runner, int number) {
        const struct runner_signal wanted = { .number = number };

        if (number < 0 || number > SIGRTMAX)
                return -EINVAL;
        return send(runner->socket, &wanted, sizeof(wanted), MSG_NOSIGNAL) < 0 ? -errno : 0;
}
