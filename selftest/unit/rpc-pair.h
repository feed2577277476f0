/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A server and a channel to it in one process and on one loop, in clear over an abstract Unix socket. The
 * services are of the contract, what they do is the test's: it sets the functions of struct pair that it
 * needs.
 *
 *   check    grpc.health.v1.Health/Check        one request, one answer
 *   watch    grpc.health.v1.Health/Watch        one request, many answers
 *   policy   policyadmin.PolicyAdmin/StreamPolicy   many requests, one answer
 *   run      exec.Exec/RunCommand               many of both; bulk travels in Stdin and Stdout
 */

#include "call.h"
#include "channel.h"
#include "server.h"

#include "exec.pb-c.h"
#include "health.pb-c.h"
#include "policyadmin.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* No test waits for longer than this: what has not come by then does not come. */
#define PATIENCE (20 * USEC_PER_SEC)

struct pair {
        sd_event *event;
        struct rpc_address address;
        struct rpc_server *server;
        struct rpc_channel *channel;

        void (*check)(struct pair *pair, struct rpc_call *call);
        void (*watch)(struct pair *pair, struct rpc_call *call);
        void (*policy)(struct pair *pair, struct rpc_call *call);
        void (*run)(struct pair *pair, struct rpc_call *call);
        void (*connected)(struct pair *pair);
        void (*gone)(struct pair *pair); /* the peer of a connection */

        struct rpc_call *call; /* the test's */
        unsigned calls, peers, peers_gone, calls_gone, messages, half_closed, writables;
        size_t bytes, most_queued;
        bool drained;
        int step;
};

/* ---- server ---- */

static void pair_check(struct rpc_call *call, const ProtobufCMessage *request _unused_, void *userdata) {
        struct pair *pair = userdata;

        pair->calls++;
        pair->check(pair, call);
}

static void pair_watch(struct rpc_call *call, const ProtobufCMessage *request _unused_, void *userdata) {
        struct pair *pair = userdata;

        pair->calls++;
        pair->watch(pair, call);
}

static void pair_policy(struct rpc_call *call, void *userdata) {
        struct pair *pair = userdata;

        pair->calls++;
        pair->policy(pair, call);
}

static void pair_run(struct rpc_call *call, void *userdata) {
        struct pair *pair = userdata;

        pair->calls++;
        pair->run(pair, call);
}

static const struct rpc_method pair_health_methods[] = {
        { .name = "Check", .handle = pair_check },
        { .name = "Watch", .handle = pair_watch, .streams_response = true },
};
static const struct rpc_method pair_policy_methods[] = { { .name = "StreamPolicy", .open = pair_policy } };
static const struct rpc_method pair_exec_methods[] = {
        { .name = "RunCommand", .open = pair_run, .streams_response = true },
};
static const struct rpc_service pair_services[] = {
        { &grpc__health__v1__health__descriptor, pair_health_methods, ELEMENTSOF(pair_health_methods) },
        { &policyadmin__policy_admin__descriptor, pair_policy_methods, ELEMENTSOF(pair_policy_methods) },
        { &exec__exec__descriptor, pair_exec_methods, ELEMENTSOF(pair_exec_methods) },
};

static void pair_connected(
                struct rpc_server *server _unused_, const struct rpc_peer *peer _unused_, void *userdata) {
        struct pair *pair = userdata;

        pair->peers++;
        if (pair->connected)
                pair->connected(pair);
}

static void pair_gone(
                struct rpc_server *server _unused_, const struct rpc_peer *peer _unused_, void *userdata) {
        struct pair *pair = userdata;

        pair->peers_gone++;
        if (pair->gone)
                pair->gone(pair);
}

static const struct rpc_server_ops pair_server_ops = { .peer_connected = pair_connected,
        .peer_gone = pair_gone };

/* With an owner of the server's. */
static void pair_serve_as(struct pair *pair, const struct rpc_server_limits *limits,
                const struct rpc_server_ops *ops, void *owner) {
        cr_assert_eq(rpc_server_new(&pair->server, pair->event, limits, ops, owner), 0);
        for (size_t i = 0; i < ELEMENTSOF(pair_services); i++)
                cr_assert_eq(rpc_server_add_service(pair->server, &pair_services[i], pair), 0);
        cr_assert_eq(rpc_server_listen(pair->server, &pair->address), 0);
}

static inline void pair_serve(struct pair *pair, const struct rpc_server_limits *limits) {
        pair_serve_as(pair, limits, &pair_server_ops, pair);
}

/* ---- both ---- */

static inline void pair_channel(struct pair *pair, struct rpc_channel_config config) {
        config.address = pair->address;
        config.userdata = pair;
        cr_assert_eq(rpc_channel_new(&pair->channel, pair->event, &config), 0);
}

/* A loop and an address; serve and channel are the test's to call. */
static void pair_begin(struct pair *pair) {
        static unsigned n;
        char text[64];
        const char *error;

        *pair = (struct pair){};
        cr_assert_geq(sd_event_new(&pair->event), 0);
        (void) snprintf(text, sizeof(text), "@givc-test-%i-%u", getpid(), n++);
        cr_assert_eq(rpc_address_parse(&pair->address, text, &error), 0, "%s", text);
}

static inline void pair_begin_both(struct pair *pair) {
        pair_begin(pair);
        pair_serve(pair, NULL);
        pair_channel(pair, (struct rpc_channel_config){});
}

static inline void pair_begin_with(struct pair *pair, const struct rpc_server_ops *ops, void *owner) {
        pair_begin(pair);
        pair_serve_as(pair, NULL, ops, owner);
        pair_channel(pair, (struct rpc_channel_config){});
}

static void pair_end(struct pair *pair) {
        pair->channel = rpc_channel_free(pair->channel);
        pair->server = rpc_server_free(pair->server);
        pair->event = sd_event_unref(pair->event);
}

/* One turn of the loop; fails the test when nothing happens for too long. */
static void pair_turn(struct pair *pair) {
        cr_assert_gt(sd_event_run(pair->event, PATIENCE), 0, "nothing happens");
}

/* Runs the loop until the condition holds. */
#define PAIR_UNTIL(pair, condition)                                                                         \
        do {                                                                                                \
                uint64_t _end = now_usec(CLOCK_MONOTONIC) + PATIENCE;                                       \
                while (!(condition)) {                                                                      \
                        cr_assert_lt(now_usec(CLOCK_MONOTONIC), _end, "in vain: %s", #condition);           \
                        pair_turn(pair);                                                                    \
                }                                                                                           \
        } while (0)

/* A connection that stands: what comes next takes no time but its own. */
static inline void pair_connect(struct pair *pair) {
        rpc_channel_connect(pair->channel);
        PAIR_UNTIL(pair, rpc_channel_get_state(pair->channel) == RPC_CHANNEL_READY);
}

/* Runs the loop until it has nothing more to do just now. */
static inline void pair_settle(struct pair *pair) {
        int r;

        while ((r = sd_event_run(pair->event, 20 * USEC_PER_MSEC)) > 0)
                continue;
        cr_assert_eq(r, 0);
}

/* ---- client ---- */

/* One call of the test's, and what came of it. */
struct client {
        struct pair *pair;
        struct rpc_client_call *call;
        void (*message)(struct client *client, const ProtobufCMessage *message);
        void (*writable)(struct client *client);
        void (*finished)(struct client *client);
        bool done;
        enum rpc_code code;
        char text[256];
        unsigned messages, writables;
        size_t bytes;
        int serving; /* of the last HealthCheckResponse */
};

static size_t stdout_bytes(const ProtobufCMessage *message) {
        const Exec__CommandResponse *response = (const Exec__CommandResponse *) message;

        return response->event_case == EXEC__COMMAND_RESPONSE__EVENT_STDOUT ? response->stdout->payload.len
                                                                            : 0;
}

static void client_note(struct client *client, const ProtobufCMessage *message) {
        client->messages++;
        if (message->descriptor == &exec__command_response__descriptor)
                client->bytes += stdout_bytes(message);
        if (message->descriptor == &grpc__health__v1__health_check_response__descriptor)
                client->serving = (int) ((const Grpc__Health__V1__HealthCheckResponse *) message)->status;
}

static void client_message(
                struct rpc_client_call *call _unused_, const ProtobufCMessage *message, void *userdata) {
        struct client *client = userdata;

        client_note(client, message);
        if (client->message)
                client->message(client, message);
}

static void client_writable(struct rpc_client_call *call _unused_, void *userdata) {
        struct client *client = userdata;

        client->writables++;
        if (client->writable)
                client->writable(client);
}

static void client_end(struct client *client, const struct rpc_status *status) {
        cr_assert_not(client->done, "told twice");
        client->done = true;
        client->code = status->code;
        (void) snprintf(client->text, sizeof(client->text), "%s", status->message);
        if (client->finished)
                client->finished(client);
}

static void client_finished(
                struct rpc_client_call *call _unused_, const struct rpc_status *status, void *userdata) {
        client_end(userdata, status);
}

static const struct rpc_client_ops client_ops = {
        .message = client_message,
        .writable = client_writable,
        .finished = client_finished,
};

static void client_unary_done(
                const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        cr_assert_eq(status->code == RPC_OK, response != NULL);
        if (response)
                client_note(userdata, response);
        client_end(userdata, status);
}

static inline void client_check(
                struct client *client, struct pair *pair, const struct rpc_client_options *options) {
        Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

        client->pair = pair;
        cr_assert_eq(rpc_channel_unary(pair->channel, &grpc__health__v1__health__descriptor, "Check",
                                     &request.base, options, client_unary_done, client, &client->call),
                        0);
        cr_assert_not(client->done, "never before it returns");
}

static inline void client_open(struct client *client, struct pair *pair,
                const ProtobufCServiceDescriptor *service, const char *method,
                const struct rpc_client_options *options) {
        client->pair = pair;
        cr_assert_eq(rpc_channel_call(pair->channel, service, method, options, &client_ops, client,
                                     &client->call),
                        0);
        cr_assert_not(client->done, "never before it returns");
}

static inline void client_run(struct client *client, struct pair *pair) {
        client_open(client, pair, &exec__exec__descriptor, "RunCommand", NULL);
}

/* Sends n bytes as one message: what rpc_client_send() says. */
static inline int client_send_bytes(struct rpc_client_call *call, size_t n) {
        Exec__CommandRequest request = EXEC__COMMAND_REQUEST__INIT;
        _cleanup_(freep) uint8_t *bytes = calloc(1, n + 1);
        Exec__CommandIO io = EXEC__COMMAND_IO__INIT;

        io.payload = (ProtobufCBinaryData){ .data = bytes, .len = n };
        request.command_case = EXEC__COMMAND_REQUEST__COMMAND_STDIN;
        request.stdin = &io;
        return rpc_client_send(call, &request.base);
}

/* ---- what handlers have in common ---- */

/* Answers n bytes in one message: what rpc_call_send() says. */
static inline int call_send_bytes(struct rpc_call *call, size_t n) {
        Exec__CommandResponse response = EXEC__COMMAND_RESPONSE__INIT;
        _cleanup_(freep) uint8_t *bytes = calloc(1, n + 1);
        Exec__CommandIO io = EXEC__COMMAND_IO__INIT;

        io.payload = (ProtobufCBinaryData){ .data = bytes, .len = n };
        response.event_case = EXEC__COMMAND_RESPONSE__EVENT_STDOUT;
        response.stdout = &io;
        return rpc_call_send(call, &response.base);
}

static inline size_t stdin_bytes(const ProtobufCMessage *message) {
        const Exec__CommandRequest *request = (const Exec__CommandRequest *) message;

        return request->command_case == EXEC__COMMAND_REQUEST__COMMAND_STDIN ? request->stdin->payload.len
                                                                             : 0;
}

static inline void call_end(struct rpc_call *call) {
        rpc_call_finish(call, &(struct rpc_status){ .code = RPC_OK, .message = "" });
}

static inline void reply_serving(struct pair *pair _unused_, struct rpc_call *call) {
        Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

        response.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
        rpc_call_reply(call, &response.base);
}

static inline void count_gone(struct rpc_call *call _unused_, void *userdata) {
        struct pair *pair = userdata;

        pair->calls_gone++;
        pair->call = NULL;
}

static inline void keep(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .gone = count_gone };

        pair->call = call;
        rpc_call_set_ops(call, &ops, pair);
}

static inline void echo_message(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct pair *pair = userdata;

        pair->messages++;
        cr_assert_geq(call_send_bytes(call, stdin_bytes(message)), 0);
}

static inline void echo_end(struct rpc_call *call, void *userdata _unused_) {
        call_end(call);
}

/* Answers each message with as many bytes, and ends when the client does. */
static inline void echo(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = {
                .message = echo_message, .half_closed = echo_end, .gone = count_gone
        };

        rpc_call_set_ops(call, &ops, pair);
}
