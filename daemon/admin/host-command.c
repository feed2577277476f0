/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "host-command.h"

#include "agent-link.h"
#include "answer.h"
#include "arena.h"
#include "forward.h"

#include "exec.pb-c.h"

struct host_command {
        struct rpc_call *call;
        const char *name;
        struct rpc_client_call *pending;
        const struct host_command_ops *ops;
        void *userdata;
        bool has_ended;
        int code;
};

struct rpc_call *host_command_call(struct host_command *command) {
        return command->call;
}

void host_command_set_reading(struct host_command *command, bool on) {
        if (command->pending)
                rpc_client_set_reading(command->pending, on);
}

static void drop(struct host_command *command) {
        if (command->ops->dropped)
                command->ops->dropped(command->userdata);
}

static void on_event(struct rpc_client_call *pending, const ProtobufCMessage *message, void *userdata) {
        const Exec__CommandResponse *event = (const Exec__CommandResponse *) message;
        struct host_command *command = userdata;

        switch (event->event_case) {
        case EXEC__COMMAND_RESPONSE__EVENT_STDOUT:
                command->ops->output(command, event->stdout->payload.data, event->stdout->payload.len, false,
                                command->userdata);
                return;
        case EXEC__COMMAND_RESPONSE__EVENT_STDERR:
                command->ops->output(command, event->stderr->payload.data, event->stderr->payload.len, true,
                                command->userdata);
                return;
        case EXEC__COMMAND_RESPONSE__EVENT_FINISHED:
                command->has_ended = true;
                command->code = event->finished->returncode;
                return;
        default:
                return;
        }
}

static void on_finished(struct rpc_client_call *pending, const struct rpc_status *status, void *userdata) {
        struct host_command *command = userdata;
        struct rpc_call *call = command->call;

        command->pending = NULL;
        if (status->code == RPC_OK && command->has_ended) {
                command->ops->ended(command, command->code, command->userdata);
                return;
        }
        drop(command);
        if (status->code == RPC_OK)
                answer_fail(call, RPC_INTERNAL, "the host's agent did not say how %s ended", command->name);
        else
                answer_failure_of(call, status, "the host's agent cannot run %s", command->name);
}

static void on_writable(struct rpc_call *call, void *userdata) {
        host_command_set_reading(userdata, true);
}

static void on_gone(struct rpc_call *call, void *userdata) {
        struct host_command *command = userdata;

        command->pending = rpc_client_cancel(command->pending);
        drop(command);
}

static int send_start(struct host_command *command, const char *const *argv) {
        Exec__CommandRequest request = EXEC__COMMAND_REQUEST__INIT;
        Exec__StartCommand start = EXEC__START_COMMAND__INIT;
        int r;

        start.command = (char *) argv[0];
        start.arguments = (char **) argv + 1;
        while (start.arguments[start.n_arguments])
                start.n_arguments++;
        request.command_case = EXEC__COMMAND_REQUEST__COMMAND_START;
        request.start = &start;
        r = rpc_client_send(command->pending, &request.base);
        rpc_client_half_close(command->pending);
        return r;
}

void host_command_run(struct manager *manager, struct rpc_call *call, const char *const *argv,
                const struct host_command_ops *ops, void *userdata) {
        static const struct rpc_call_ops call_ops = { .gone = on_gone, .writable = on_writable };
        static const struct rpc_client_ops client_ops = { .message = on_event, .finished = on_finished };
        /* An update takes as long as it takes: only the caller's own deadline ends it. */
        struct rpc_client_options options = { .deadline_usec = rpc_call_deadline(call) };
        struct registry_agent *host = forward_find_agent(manager, call, NULL);
        struct host_command *command;
        int r;

        if (!host) {
                if (ops->dropped)
                        ops->dropped(userdata);
                return;
        }
        command = arena_alloc0(rpc_call_arena(call), sizeof(*command));
        if (command) {
                *command = (struct host_command){
                        .call = call, .name = argv[0], .ops = ops, .userdata = userdata
                };
                r = rpc_channel_call(agent_link_channel(host->link), &exec__exec__descriptor, "RunCommand",
                                &options, &client_ops, command, &command->pending);
                if (r >= 0)
                        r = send_start(command, argv);
        } else
                r = -ENOMEM;
        if (r >= 0) {
                rpc_call_set_ops(call, &call_ops, command);
                return;
        }
        if (command)
                command->pending = rpc_client_cancel(command->pending);
        if (ops->dropped)
                ops->dropped(userdata);
        answer_fail(call, RPC_RESOURCE_EXHAUSTED, "cannot call the host's agent: %s", strerror(-r));
}
