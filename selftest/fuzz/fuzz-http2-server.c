/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client may say to the server. The first byte: bit 0, the preface is said for the input; the others,
 * in pieces of which size it comes. Then the client ends its side, and the connection must come to an end
 * with all that it held.
 */
#include "fuzz.h"

#include "call.h"
#include "log.h"
#include "reflection.h"
#include "server.h"

#include "descriptors.h"
#include "exec.pb-c.h"
#include "policyadmin.pb-c.h"
#include "systemd.pb-c.h"

static struct {
        sd_event *event;
        struct rpc_server *server;
        struct rpc_health *health;
        struct rpc_reflection *reflection;
        struct rpc_address address;
        size_t calls; /* whose handler has yet to finish or hear gone() */
} world;

/* ---- services of every kind ---- */

static void on_gone(struct rpc_call *call _unused_, void *userdata _unused_) {
        world.calls--;
}

static void finish(struct rpc_call *call) {
        world.calls--;
        rpc_call_finish(call, &(struct rpc_status){ .code = RPC_OK, .message = "" });
}

static void on_stop_unit(
                struct rpc_call *call, const ProtobufCMessage *request _unused_, void *userdata _unused_) {
        static const struct rpc_call_ops ops = { .gone = on_gone };

        /* Never answered. */
        world.calls++;
        rpc_call_set_ops(call, &ops, NULL);
}

static void on_start_unit(struct rpc_call *call, const ProtobufCMessage *request, void *userdata _unused_) {
        Systemd__UnitResponse response = SYSTEMD__UNIT_RESPONSE__INIT;

        if (isempty(((const Systemd__UnitRequest *) request)->unitname))
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "no unit");
        else
                rpc_call_reply(call, &response.base);
}

static void on_command_message(
                struct rpc_call *call, const ProtobufCMessage *message, void *userdata _unused_) {
        const Exec__CommandRequest *request = (const Exec__CommandRequest *) message;
        Exec__CommandResponse response = EXEC__COMMAND_RESPONSE__INIT;

        if (request->command_case == EXEC__COMMAND_REQUEST__COMMAND_SIGNAL) {
                finish(call);
                return;
        }
        if (request->command_case != EXEC__COMMAND_REQUEST__COMMAND_STDIN)
                return;
        response.event_case = EXEC__COMMAND_RESPONSE__EVENT_STDOUT;
        response.stdout = request->stdin;
        if (rpc_call_send(call, &response.base) > 0)
                rpc_call_set_reading(call, false);
}

static void on_command_writable(struct rpc_call *call, void *userdata _unused_) {
        rpc_call_set_reading(call, true);
}

static void on_command_end(struct rpc_call *call, void *userdata _unused_) {
        finish(call);
}

static void on_command(struct rpc_call *call, void *userdata _unused_) {
        static const struct rpc_call_ops ops = { .message = on_command_message,
                .half_closed = on_command_end,
                .writable = on_command_writable,
                .gone = on_gone };

        world.calls++;
        rpc_call_set_ops(call, &ops, NULL);
}

static void on_policy_message(
                struct rpc_call *call, const ProtobufCMessage *message _unused_, void *userdata _unused_) {
        /* One at a time, and never again. */
        rpc_call_set_reading(call, false);
}

static void on_policy(struct rpc_call *call, void *userdata _unused_) {
        static const struct rpc_call_ops ops = {
                .message = on_policy_message, .half_closed = on_command_end, .gone = on_gone
        };

        world.calls++;
        rpc_call_set_ops(call, &ops, NULL);
}

static const struct rpc_method unit_methods[] = {
        { .name = "StartUnit", .handle = on_start_unit },
        { .name = "StopUnit", .handle = on_stop_unit },
};
static const struct rpc_method exec_methods[] = {
        { .name = "RunCommand", .open = on_command, .streams_response = true },
};
static const struct rpc_method policy_methods[] = { { .name = "StreamPolicy", .open = on_policy } };
static const struct rpc_service services[] = {
        { &systemd__unit_control_service__descriptor, unit_methods, ELEMENTSOF(unit_methods) },
        { &exec__exec__descriptor, exec_methods, ELEMENTSOF(exec_methods) },
        { &policyadmin__policy_admin__descriptor, policy_methods, ELEMENTSOF(policy_methods) },
};

static void make_world(void) {
        const struct rpc_server_limits limits = { .message_bytes = 64 * 1024,
                .connection_bytes = 128 * 1024 };
        _cleanup_(freep) char *text = NULL;
        const char *error;
        bool made;

        log_set_max_level(-1);
        made = asprintf(&text, "@givc-fuzz-server-%i", getpid()) > 0 &&
                        rpc_address_parse(&world.address, text, &error) == 0 &&
                        sd_event_new(&world.event) >= 0 &&
                        rpc_server_new(&world.server, world.event, &limits, NULL, NULL) == 0;
        for (size_t i = 0; made && i < ELEMENTSOF(services); i++)
                made = rpc_server_add_service(world.server, &services[i], NULL) == 0;
        made = made && rpc_health_new(&world.health, world.server) == 0 &&
                        rpc_reflection_new(&world.reflection, world.server, givc_descriptors,
                                        givc_descriptors_size()) == 0 &&
                        rpc_server_listen(world.server, &world.address) == 0;
        must(made, "a server can be made");
}

/* ---- the client ---- */

/* Runs the loop until there is nothing to do just now, and throws the answers away. */
static void settle(int fd) {
        char answers[16 * 1024];

        do
                while (sd_event_run(world.event, 0) > 0)
                        continue;
        while (recv(fd, answers, sizeof(answers), MSG_DONTWAIT) > 0);
}

/* All of it, however often the server makes us wait; less when it has hung up. */
static void say(int fd, const void *data, size_t n) {
        const uint8_t *p = data;

        while (n > 0) {
                ssize_t k = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (k < 0 && errno != EAGAIN)
                        return;
                if (k > 0) {
                        p += k;
                        n -= (size_t) k;
                }
                settle(fd);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
        uint8_t how = take_byte(&data, &size);
        struct rpc_server_counters counters;
        size_t piece = (size_t) 1 << (how >> 1 & 15);
        int fd;

        if (!world.server)
                make_world();
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(fd >= 0 && connect(fd, &world.address.any, world.address.length) == 0,
                        "a server takes connections");
        settle(fd);
        if (how & 1)
                say(fd, preface, sizeof(preface));
        while (size > 0) {
                size_t n = MIN(piece, size);

                say(fd, data, n);
                data += n;
                size -= n;
        }
        (void) shutdown(fd, SHUT_WR);
        settle(fd);
        close(fd);
        while (sd_event_run(world.event, 0) > 0)
                continue;

        rpc_server_get_counters(world.server, &counters);
        must(counters.connections_now == 0, "a connection ends with its peer");
        must(counters.calls_now == 0 && world.calls == 0, "calls end with their connection, and hear of it");
        return 0;
}
