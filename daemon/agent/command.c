/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"

#include "buffer.h"
#include "child.h"
#include "log.h"
#include "runner.h"
#include "text.h"

#include <fcntl.h>
#include <paths.h>
#include <stdio.h>
#include <sys/mman.h>

/* What is read at once: a pipe holds so much. */
#define READ_BYTES (64 * 1024)

struct command {
        struct child *child; /* or */
        struct runner *runner;
        int output_fd;
        sd_event_source *output_source, *timer;
        struct buffer output;
        size_t output_max;
        command_done_t done;
        void *userdata;
};

static void finish(struct command *command, int error, int code, int status) {
        struct command_result result = {
                .error = error,
                .code = code,
                .status = status,
                .n_output = buffer_length(&command->output),
        };

        if (result.n_output > 0)
                result.output = (const uint8_t *) buffer_bytes(&command->output);
        command->output_source = sd_event_source_disable_unref(command->output_source);
        command->timer = sd_event_source_disable_unref(command->timer);
        command->child = child_free(command->child);
        command->runner = runner_free(command->runner);
        command->done(command, &result, command->userdata);
}

/* Takes what is there. 1: there may be more later, 0: it is the end. */
static int read_output(struct command *command) {
        for (;;) {
                size_t room = command->output_max - buffer_length(&command->output);
                /* One byte more than may be: that is how too much is noticed. */
                size_t size = MIN(room + 1, (size_t) READ_BYTES);
                char *to = buffer_reserve(&command->output, size);
                ssize_t n;

                if (!to)
                        return -ENOMEM;
                n = read(command->output_fd, to, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 1 : -errno;
                if (n == 0)
                        return 0;
                if ((size_t) n > room)
                        return -E2BIG;
                buffer_commit(&command->output, (size_t) n);
        }
}

/* ---- events ---- */

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct command *command = userdata;
        int r;

        r = read_output(command);
        if (r < 0)
                finish(command, r, 0, 0);
        else if (r == 0)
                command->output_source = sd_event_source_disable_unref(command->output_source);
        return 0;
}

/* All that it wrote is in the pipe by now; what its descendants may still write is nobody's. */
static void end(struct command *command, int code, int status) {
        int r;

        r = read_output(command);
        if (r < 0)
                finish(command, r, 0, 0);
        else
                finish(command, 0, code, status);
}

static void on_exited(struct child *child, int code, int status, void *userdata) {
        end(userdata, code, status);
}

static void on_runner_started(struct runner *runner, pid_t pid, void *userdata) {
}

static void on_runner_exited(struct runner *runner, int code, int status, void *userdata) {
        end(userdata, code, status);
}

static void on_runner_failed(struct runner *runner, int error, const char *message, void *userdata) {
        log_warning("Cannot run a program as a service: %s", message);
        finish(userdata, error, 0, 0);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        finish(userdata, -ETIMEDOUT, 0, 0);
        return 0;
}

/* ---- starting ---- */

int command_find(const char *name, char **ret) {
        const char *path = getenv("PATH") ?: _PATH_DEFPATH;

        for (;;) {
                size_t n = strcspn(path, ":");
                char *candidate;

                candidate = text_printf("%.*s/%s", (int) n, path, name);
                if (!candidate)
                        return -ENOMEM;
                if (n > 0 && access(candidate, X_OK) >= 0) {
                        *ret = candidate;
                        return 0;
                }
                free(candidate);
                if (path[n] == '\0')
                        return -ENOENT;
                path += n + 1;
        }
}

/* In memory, so that nobody has to wait until it reads. */
static int make_input(const void *input, size_t n) {
        _cleanup_(closep) int fd = -1;
        const char *p = input;

        fd = memfd_create("command-input", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        while (n > 0) {
                ssize_t k = write(fd, p, n);

                if (k < 0)
                        return -errno;
                p += k;
                n -= (size_t) k;
        }
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static const struct runner_ops runner_ops = {
        .started = on_runner_started,
        .exited = on_runner_exited,
        .failed = on_runner_failed,
};

static int spawn(struct command *command, sd_event *event, const struct command_spec *spec, int output_fd) {
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int input_fd = -1;
        struct child_spec child = {
                .argv = spec->argv,
                .environment = environ,
                .stdin_fd = -1,
                .stdout_fd = output_fd,
                .stderr_fd = STDERR_FILENO,
        };
        int r;

        r = command_find(spec->argv[0], &path);
        if (r < 0)
                return r;
        if (spec->n_input > 0) {
                input_fd = make_input(spec->input, spec->n_input);
                if (input_fd < 0)
                        return input_fd;
        }
        child.path = path;
        child.stdin_fd = input_fd;
        if (spec->units)
                return runner_new(&command->runner, spec->units, event, spec->description, &child,
                                &runner_ops, command);
        return child_new(&command->child, event, &child, on_exited, command);
}

int command_new(struct command **ret, sd_event *event, const struct command_spec *spec, command_done_t done,
                void *userdata) {
        _cleanup_(command_freep) struct command *command = NULL;
        _cleanup_(closep) int output_fd = -1;
        int pipes[2], r;

        command = calloc(1, sizeof(*command));
        if (!command)
                return -ENOMEM;
        command->output_fd = -1;
        command->output_max = spec->output_max;
        command->done = done;
        command->userdata = userdata;

        if (pipe2(pipes, O_CLOEXEC) < 0)
                return -errno;
        command->output_fd = pipes[0];
        output_fd = pipes[1];
        /* Ours alone: a program does not expect its standard output to be busy. */
        if (fcntl(command->output_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(event, &command->output_source, command->output_fd, EPOLLIN, on_output, command);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &command->timer, CLOCK_MONOTONIC, spec->timeout_usec,
                        USEC_PER_MSEC, on_timeout, command);
        if (r < 0)
                return r;
        r = spawn(command, event, spec, output_fd);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(command);
        return 0;
}

struct command *command_free(struct command *command) {
        if (!command)
                return NULL;
        child_free(command->child);
        runner_free(command->runner);
        sd_event_source_disable_unref(command->output_source);
        sd_event_source_disable_unref(command->timer);
        close_fd(command->output_fd);
        buffer_clear(&command->output);
        free(command);
        return NULL;
}
