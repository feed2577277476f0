/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exec.h"

#include "arena.h"
#include "buffer.h"
#include "call.h"
#include "command.h"
#include "exec-start.h"
#include "log.h"
#include "runner.h"
#include "text.h"
#include "unit-message.h"

#include "exec.pb-c.h"

#include <fcntl.h>
#include <sys/wait.h>

/* One frame of output: what deployed peers send. */
#define FRAME_BYTES (32 * 1024)
/* Input that waits for a command that does not read it; past that the caller is stopped. */
#define INPUT_BYTES (64 * 1024)

struct pipe_end {
        int fd;                  /* ours; -1: closed */
        sd_event_source *source; /* NULL: closed */
};

/* A command that runs for a call; on the heap, as its pipes may be told something after the call. */
struct execution {
        struct list executions;
        struct manager *manager;
        struct rpc_call *call;
        char *command;
        struct runner *runner;              /* NULL: no Start has come */
        struct pipe_end input, outputs[2];  /* outputs: standard output, standard error */
        struct buffer waiting;              /* for its standard input */
        struct quota_charge waiting_charge; /* its bytes, to the caller */
        bool input_ends, has_input, started, exited, blocked;
        int return_code;
        uint64_t begin_usec;
};

static void pipe_end_close(struct pipe_end *end) {
        end->source = sd_event_source_disable_unref(end->source);
        end->fd = close_fd(end->fd);
}

static void execution_free(struct execution *execution) {
        list_remove(&execution->executions);
        execution->runner = runner_free(execution->runner);
        pipe_end_close(&execution->input);
        pipe_end_close(&execution->outputs[0]);
        pipe_end_close(&execution->outputs[1]);
        buffer_clear(&execution->waiting);
        quota_release(&execution->waiting_charge);
        free(execution->command);
        free(execution);
}

static void log_end(const struct execution *execution, enum rpc_code code, const char *text) {
        const struct log_fields fields = {
                .method = rpc_call_path(execution->call) + 1,
                .peer = rpc_call_peer(execution->call)->name,
                .status = rpc_code_name(code),
                .duration_usec = now_usec(CLOCK_MONOTONIC) - execution->begin_usec,
        };

        rpc_call_log(execution->call, code == RPC_OK ? LOG_INFO : LOG_NOTICE, &fields, "%s: command %s: %s",
                        fields.peer, execution->command ?: "?", text);
}

/* Ends the call; the command, if it still runs, is killed. */
static void execution_fail(struct execution *execution, enum rpc_code code, const char *text) {
        struct rpc_call *call = execution->call;

        log_end(execution, code, text);
        execution_free(execution);
        rpc_call_fail(call, code, "%s", text);
}

/* ---- output ---- */

/* Sends one event. False: the execution has ended. */
static bool send_event(struct execution *execution, const Exec__CommandResponse *event) {
        int r = rpc_call_send(execution->call, &event->base);

        if (r < 0) {
                execution_fail(execution, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return false;
        }
        execution->blocked = r > 0;
        return true;
}

static bool send_output(struct execution *execution, size_t which, uint8_t *data, size_t n) {
        Exec__CommandResponse event = EXEC__COMMAND_RESPONSE__INIT;
        Exec__CommandIO output = EXEC__COMMAND_IO__INIT;

        output.payload = (ProtobufCBinaryData){ .data = data, .len = n };
        if (which == 0) {
                event.event_case = EXEC__COMMAND_RESPONSE__EVENT_STDOUT;
                event.stdout = &output;
        } else {
                event.event_case = EXEC__COMMAND_RESPONSE__EVENT_STDERR;
                event.stderr = &output;
        }
        return send_event(execution, &event);
}

/* The command has exited and all that it wrote was sent. */
static void finish(struct execution *execution) {
        Exec__CommandResponse event = EXEC__COMMAND_RESPONSE__INIT;
        Exec__FinishedEvent finished = EXEC__FINISHED_EVENT__INIT;
        _cleanup_(freep) char *text = text_printf("ended with %i", execution->return_code);
        struct rpc_call *call = execution->call;

        finished.returncode = execution->return_code;
        event.event_case = EXEC__COMMAND_RESPONSE__EVENT_FINISHED;
        event.finished = &finished;
        if (!send_event(execution, &event))
                return;
        log_end(execution, RPC_OK, strempty(text));
        execution_free(execution);
        rpc_call_finish(call, &(struct rpc_status){ .code = RPC_OK, .message = "" });
}

/* Takes what is in a pipe. False: the execution has ended. */
static bool read_output(struct execution *execution, size_t which) {
        struct pipe_end *end = &execution->outputs[which];

        while (end->fd >= 0 && !execution->blocked) {
                uint8_t data[FRAME_BYTES];
                ssize_t n = read(end->fd, data, sizeof(data));
                bool sent;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return true;
                if (n <= 0) {
                        pipe_end_close(end);
                        continue;
                }
                sent = send_output(execution, which, data, (size_t) n);
                explicit_bzero(data, (size_t) n);
                if (!sent)
                        return false;
        }
        return true;
}

/* A caller that reads slowly stops the command, by way of its full pipes. */
static void arm_outputs(struct execution *execution) {
        for (size_t i = 0; i < ELEMENTSOF(execution->outputs); i++)
                if (execution->outputs[i].source && execution->started)
                        (void) sd_event_source_set_enabled(execution->outputs[i].source,
                                        execution->blocked ? SD_EVENT_OFF : SD_EVENT_ON);
}

/*
 * Reads both outputs; once the command has exited, what the pipes hold then is all that is its own: a
 * descendant that keeps them open does not keep the call open.
 */
static void pump(struct execution *execution) {
        if (!execution->started)
                return; /* that it has comes first */
        if (!read_output(execution, 0) || !read_output(execution, 1))
                return;
        if (execution->exited && !execution->blocked)
                finish(execution);
        else
                arm_outputs(execution);
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        pump(userdata);
        return 0;
}

static void on_exited(struct runner *runner, int code, int status, void *userdata) {
        struct execution *execution = userdata;

        execution->exited = true;
        /* As shells tell it, which is what those who script this expect. */
        execution->return_code = code == CLD_EXITED ? status : 128 + status;
        pipe_end_close(&execution->input);
        pump(execution);
}

/* ---- input ---- */

/* Counts what waits, or is about to, as its message was counted. 0 or -EDQUOT. */
static int charge_waiting(struct execution *execution, size_t n) {
        return quota_charge(
                        rpc_call_peer(execution->call)->account, QUOTA_BYTES, n, &execution->waiting_charge);
}

static void write_input(struct execution *execution) {
        while (execution->input.fd >= 0 && buffer_length(&execution->waiting) > 0) {
                ssize_t n = write(execution->input.fd, buffer_bytes(&execution->waiting),
                                buffer_length(&execution->waiting));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0)
                        pipe_end_close(&execution->input); /* it has closed its standard input, as it may */
                else
                        buffer_consume(&execution->waiting, (size_t) n);
        }
        if (execution->input.fd < 0)
                buffer_clear(&execution->waiting);
        (void) charge_waiting(execution, buffer_length(&execution->waiting)); /* no more than before */
        if (buffer_length(&execution->waiting) == 0 && execution->input_ends)
                pipe_end_close(&execution->input);
        if (execution->input.source)
                (void) sd_event_source_set_enabled(execution->input.source,
                                buffer_length(&execution->waiting) > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* Reading is turned on again only from the loop: rpc calls back from within. */
static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct execution *execution = userdata;

        write_input(execution);
        if (buffer_length(&execution->waiting) < INPUT_BYTES)
                rpc_call_set_reading(execution->call, true);
        return 0;
}

static void take_input(struct execution *execution, const ProtobufCBinaryData *data) {
        if (!execution->has_input) {
                execution_fail(execution, RPC_FAILED_PRECONDITION,
                                "the command was started without standard input (Start.Stdin)");
                return;
        }
        if (execution->input.fd < 0)
                return; /* closed by the command: what it does not want is nobody's loss */
        if (charge_waiting(execution, buffer_length(&execution->waiting) + data->len) < 0) {
                execution_fail(execution, RPC_RESOURCE_EXHAUSTED,
                                "commands that do not read have too much input waiting: send it in "
                                "smaller pieces");
                return;
        }
        if (buffer_append(&execution->waiting, data->data, data->len) < 0) {
                execution_fail(execution, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        write_input(execution);
        if (buffer_length(&execution->waiting) >= INPUT_BYTES)
                rpc_call_set_reading(execution->call, false);
}

static void take_signal(struct execution *execution, int number) {
        if (runner_kill(execution->runner, number) == -EINVAL)
                execution_fail(execution, RPC_INVALID_ARGUMENT, "there is no such signal");
}

/* ---- the start ---- */

static void fail_to_start(struct execution *execution, int error, const char *message) {
        _cleanup_(freep) char *text = text_printf("cannot be started: %s", message);
        enum rpc_code code = RPC_FAILED_PRECONDITION;

        if (error == -ENOENT)
                code = RPC_NOT_FOUND;
        else if (error == -ENOTCONN || error == -EBUSY)
                code = unit_error_code(error);
        execution_fail(execution, code, strempty(text));
}

static void on_failed(struct runner *runner, int error, const char *message, void *userdata) {
        struct execution *execution = userdata;

        if (execution->started)
                execution_fail(execution, RPC_ABORTED, message);
        else
                fail_to_start(execution, error, message);
}

static void on_started(struct runner *runner, pid_t pid, void *userdata) {
        Exec__CommandResponse event = EXEC__COMMAND_RESPONSE__INIT;
        Exec__StartedEvent started = EXEC__STARTED_EVENT__INIT;
        struct execution *execution = userdata;

        started.pid = pid;
        event.event_case = EXEC__COMMAND_RESPONSE__EVENT_STARTED;
        event.started = &started;
        execution->started = true;
        if (send_event(execution, &event))
                pump(execution);
}

/* One pipe: our end does not block, and is watched. *ret_theirs is the command's end. */
static int open_pipe(struct execution *execution, struct pipe_end *end, bool ours_writes, int *ret_theirs) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        end->fd = fds[ours_writes];
        *ret_theirs = fds[!ours_writes];
        if (fcntl(end->fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(reactor_event(execution->manager->reactor), &end->source, end->fd,
                        ours_writes ? EPOLLOUT : EPOLLIN, ours_writes ? on_input : on_output, execution);
        /* Output waits until the command is known to have started, input until there is some. */
        if (r >= 0)
                r = sd_event_source_set_enabled(end->source, SD_EVENT_OFF);
        return r < 0 ? r : 0;
}

static const struct runner_ops runner_ops = {
        .started = on_started, .exited = on_exited, .failed = on_failed
};

static int spawn(struct execution *execution, const Exec__StartCommand *start) {
        struct arena *arena = rpc_call_arena(execution->call);
        _cleanup_(closep) int in = -1, out = -1, err = -1;
        _cleanup_(freep) char *path = NULL, *description = NULL;
        struct child_spec spec;
        int r = 0;

        if (start->command[0] == '/') {
                path = strdup(start->command);
                r = path ? 0 : -ENOMEM;
        } else
                r = command_find(start->command, &path);
        if (r >= 0 && execution->has_input)
                r = open_pipe(execution, &execution->input, true, &in);
        if (r >= 0)
                r = open_pipe(execution, &execution->outputs[0], false, &out);
        if (r >= 0)
                r = open_pipe(execution, &execution->outputs[1], false, &err);
        if (r < 0)
                return r;
        spec = (struct child_spec){
                .path = path,
                .argv = exec_start_argv(start, arena),
                .environment = exec_start_environment(start, arena),
                .directory = start->working_directory_presence_case ==
                                                EXEC__START_COMMAND__WORKING_DIRECTORY_PRESENCE_WORKING_DIRECTORY
                                ? start->workingdirectory
                                : NULL,
                .stdin_fd = in,
                .stdout_fd = out,
                .stderr_fd = err,
        };
        if (!spec.argv || !spec.environment)
                return -ENOMEM;
        description = text_printf("Command %s of %s", strempty(execution->command),
                        rpc_call_peer(execution->call)->name);
        if (!description)
                return -ENOMEM;
        return runner_new(&execution->runner, execution->manager->units,
                        reactor_event(execution->manager->reactor), description, &spec, &runner_ops,
                        execution);
}

static void take_start(struct execution *execution, const Exec__StartCommand *start) {
        const char *problem = exec_start_refusal(
                        start, &execution->manager->config, rpc_call_arena(execution->call));
        int r;

        execution->command = text_escape(start->command, strlen(start->command), 64);
        if (problem) {
                execution_fail(execution, RPC_PERMISSION_DENIED, problem);
                return;
        }
        execution->has_input = start->stdin_presence_case == EXEC__START_COMMAND__STDIN_PRESENCE_STDIN;
        r = spawn(execution, start);
        if (r < 0)
                fail_to_start(execution, r, strerror(-r));
        else if (execution->has_input && start->stdin.len > 0)
                take_input(execution, &start->stdin);
}

/* ---- the call ---- */

static void on_message(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Exec__CommandRequest *request = (const Exec__CommandRequest *) message;
        struct execution *execution = userdata;

        if (request->command_case == EXEC__COMMAND_REQUEST__COMMAND_START && !execution->runner)
                take_start(execution, request->start);
        else if (request->command_case == EXEC__COMMAND_REQUEST__COMMAND_STDIN && execution->runner)
                take_input(execution, &request->stdin->payload);
        else if (request->command_case == EXEC__COMMAND_REQUEST__COMMAND_SIGNAL && execution->runner)
                take_signal(execution, request->signal->signal);
        else
                execution_fail(execution, RPC_INVALID_ARGUMENT,
                                "Start comes first, and once; Stdin and Signal come after it");
}

static void on_half_closed(struct rpc_call *call, void *userdata) {
        struct execution *execution = userdata;

        if (!execution->runner) {
                execution_fail(execution, RPC_INVALID_ARGUMENT, "no Start came");
                return;
        }
        execution->input_ends = true;
        write_input(execution);
}

static void on_writable(struct rpc_call *call, void *userdata) {
        struct execution *execution = userdata;

        execution->blocked = false;
        pump(execution);
}

static void on_gone(struct rpc_call *call, void *userdata) {
        struct execution *execution = userdata;

        log_end(execution, RPC_CANCELLED, "killed, its call has gone");
        execution_free(execution);
}

static void run_command(struct rpc_call *call, void *userdata) {
        static const struct rpc_call_ops ops = {
                .message = on_message,
                .half_closed = on_half_closed,
                .writable = on_writable,
                .gone = on_gone,
        };
        struct manager *manager = userdata;
        struct execution *execution = calloc(1, sizeof(*execution));

        if (!execution) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        *execution = (struct execution){
                .manager = manager,
                .call = call,
                .input.fd = -1,
                .outputs = { { .fd = -1 }, { .fd = -1 } },
                .begin_usec = now_usec(CLOCK_MONOTONIC),
        };
        list_append(&manager->executions, &execution->executions);
        rpc_call_set_ops(call, &ops, execution);
}

static const struct rpc_method methods[] = {
        { .name = "RunCommand", .open = run_command, .streams_response = true, .charges = QUOTA_COMMANDS },
};

const struct rpc_service exec_service = {
        .descriptor = &exec__exec__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
