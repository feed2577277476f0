/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server, the channel and connections are let go of from inside of every callback that there is. */
#include "rpc-pair.h"
#include "stream-pair.h"

static void free_server(struct pair *pair) {
        pair->server = rpc_server_free(pair->server);
}

static void disconnect(struct pair *pair) {
        cr_assert_eq(rpc_server_disconnect(pair->server, 1), 0);
}

/* ---- the server's callbacks ---- */

/* What is done inside of the callback, and in which one. */
static void (*act)(struct pair *pair);

static void act_handler(struct pair *pair, struct rpc_call *call _unused_) {
        act(pair);
}

static void act_call(struct rpc_call *call _unused_, void *userdata) {
        struct pair *pair = userdata;

        pair->calls_gone += pair->server == NULL;
        act(pair);
}

static void act_message(
                struct rpc_call *call _unused_, const ProtobufCMessage *message _unused_, void *userdata) {
        act(userdata);
}

static void act_gone(struct rpc_call *call _unused_, void *userdata) {
        struct pair *pair = userdata;

        pair->calls_gone++;
        if (pair->calls_gone == 1)
                act(pair);
}

static void act_peer(struct pair *pair) {
        act(pair);
}

static void run_message(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .message = act_message, .gone = count_gone };

        rpc_call_set_ops(call, &ops, pair);
}

static void run_half_closed(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .half_closed = act_call, .gone = count_gone };

        rpc_call_set_ops(call, &ops, pair);
}

static void run_writable(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .writable = act_call, .gone = count_gone };

        rpc_call_set_ops(call, &ops, pair);
        cr_assert_eq(call_send_bytes(call, 300000), 1);
}

static void run_gone(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .gone = act_gone };

        rpc_call_set_ops(call, &ops, pair);
}

static void nothing(struct pair *pair _unused_) {
}

/*
 * Three calls of each kind leave in one packet, so that there is more to do on the connection after the
 * callback has let go of it.
 */
static void check_server(struct pair *pair, void (*action)(struct pair *pair)) {
        struct rpc_client_options options = {};
        static struct client clients[9];

        memset(clients, 0, sizeof(clients));
        act = action;
        pair_serve(pair, NULL);
        pair_channel(pair, (struct rpc_channel_config){ .once = true });
        for (size_t i = 0; i < ELEMENTSOF(clients); i += 3) {
                client_run(&clients[i], pair);
                (void) client_send_bytes(clients[i].call, 10);
                (void) client_send_bytes(clients[i].call, 20000);
                rpc_client_half_close(clients[i].call);
                client_check(&clients[i + 1], pair, NULL);
                /* Far away on this side; the server sees it pass. */
                options.deadline_usec = now_usec(CLOCK_MONOTONIC) + 50 * USEC_PER_MSEC;
                client_check(&clients[i + 2], pair, &options);
        }
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                PAIR_UNTIL(pair, clients[i].done);
        pair_settle(pair);
        pair_end(pair);
}

#define BOTH(pair)                                                                                          \
        for (int _i = 0; _i < 2 && (pair_begin(pair), true);                                                \
                        check_server(pair, _i == 0 ? free_server : disconnect), _i++)

static void ignore(struct pair *pair, struct rpc_call *call) {
        keep(pair, call);
}

Test(rpc_free, in_handle) {
        struct pair pair;

        BOTH(&pair) {
                pair.check = act_handler;
                pair.run = ignore;
        }
}

Test(rpc_free, in_open) {
        struct pair pair;

        BOTH(&pair) {
                pair.check = ignore;
                pair.run = act_handler;
        }
}

Test(rpc_free, in_message) {
        struct pair pair;

        BOTH(&pair) {
                pair.check = ignore;
                pair.run = run_message;
        }
}

Test(rpc_free, in_half_closed) {
        struct pair pair;

        BOTH(&pair) {
                pair.check = ignore;
                pair.run = run_half_closed;
        }
}

Test(rpc_free, in_writable) {
        struct pair pair;

        BOTH(&pair) {
                pair.check = ignore;
                pair.run = run_writable;
        }
}

Test(rpc_free, in_peer_connected) {
        struct pair pair;

        BOTH(&pair) {
                pair.check = ignore;
                pair.run = ignore;
                pair.connected = act_peer;
        }
}

/* A call that is given up, with others under way. */
static void check_gone(void (*action)(struct pair *pair), bool by_deadline) {
        struct rpc_client_options options = {};
        struct client clients[3] = {};
        struct pair pair;

        act = action;
        pair_begin(&pair);
        pair.run = run_gone;
        pair_serve(&pair, NULL);
        pair_channel(&pair, (struct rpc_channel_config){ .once = true });
        pair_connect(&pair);
        options.deadline_usec = now_usec(CLOCK_MONOTONIC) + 300 * USEC_PER_MSEC;
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                client_open(&clients[i], &pair, &exec__exec__descriptor, "RunCommand",
                                by_deadline ? &options : NULL);
        PAIR_UNTIL(&pair, pair.calls == 3);
        if (!by_deadline)
                clients[1].call = rpc_client_cancel(clients[1].call);
        PAIR_UNTIL(&pair, clients[0].done && clients[2].done && pair.calls_gone == 3);
        pair_settle(&pair);
        pair_end(&pair);
}

Test(rpc_free, in_gone_of_a_cancelled_call) {
        check_gone(free_server, false);
        check_gone(disconnect, false);
}

Test(rpc_free, in_gone_at_the_deadline) {
        check_gone(free_server, true);
        check_gone(disconnect, true);
}

/* The connection is lost, or let go of, and its calls hear of it. */
static void check_gone_with_connection(void (*lose)(struct pair *pair), bool in_peer_gone) {
        struct client clients[3] = {};
        struct pair pair;

        act = in_peer_gone ? nothing : free_server;
        pair_begin(&pair);
        pair.run = run_gone;
        pair.gone = in_peer_gone ? free_server : NULL;
        pair_serve(&pair, NULL);
        pair_channel(&pair, (struct rpc_channel_config){ .once = true });
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                client_run(&clients[i], &pair);
        PAIR_UNTIL(&pair, pair.calls == 3);
        lose(&pair);
        PAIR_UNTIL(&pair, clients[0].done && clients[2].done);
        PAIR_UNTIL(&pair, !pair.server && pair.calls_gone == 3);
        pair_settle(&pair);
        pair_end(&pair);
}

static void free_channel(struct pair *pair) {
        pair->channel = rpc_channel_free(pair->channel);
}

Test(rpc_free, in_gone_of_a_lost_connection) {
        check_gone_with_connection(free_channel, false);
        check_gone_with_connection(disconnect, false);
}

Test(rpc_free, in_peer_gone) {
        check_gone_with_connection(free_channel, true);
        check_gone_with_connection(disconnect, true);
}

static void free_drained(struct rpc_server *server _unused_, void *userdata) {
        struct pair *pair = userdata;

        pair->drained = true;
        free_server(pair);
}

Test(rpc_free, in_drained) {
        struct client client = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.check = reply_serving;
        client_check(&client, &pair, NULL);
        PAIR_UNTIL(&pair, client.done);
        rpc_server_drain(pair.server, free_drained);
        PAIR_UNTIL(&pair, pair.drained);
        pair_settle(&pair);
        pair_end(&pair);

        pair_begin_both(&pair);
        rpc_server_drain(pair.server, free_drained);
        cr_assert_not(pair.drained);
        PAIR_UNTIL(&pair, pair.drained);
        pair_end(&pair);
}

static void free_refused(
                struct rpc_server *server _unused_, const struct rpc_refused *refused, void *userdata) {
        cr_assert_str_eq(refused->reason, "peer does not speak TLS (plain text?)");
        free_server(userdata);
}

/* Three connections that are no TLS's: the first one's refusal takes the others along. */
Test(rpc_free, in_refused) {
        static const struct rpc_server_ops ops = { .refused = free_refused };
        struct tls_context *tls = load_tls("admin-vm");
        int fds[3];
        struct pair pair;

        pair_begin(&pair);
        pair_serve_as(&pair, NULL, &ops, &pair);
        rpc_server_set_tls(pair.server, tls);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                cr_assert_eq(connect(fds[i], &pair.address.any, pair.address.length), 0);
                cr_assert_eq(write(fds[i], "GET / HTTP/1.1\r\n\r\n", 18), 18);
        }
        PAIR_UNTIL(&pair, !pair.server);
        pair_settle(&pair);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
        pair_end(&pair);
        tls_context_unref(tls);
}

/* ---- the channel's ---- */

static void free_at_message(struct client *client, const ProtobufCMessage *message _unused_) {
        free_channel(client->pair);
        cr_assert(client->done, "every call is told before rpc_channel_free() returns");
        cr_assert_eq(client->code, RPC_CANCELLED);
}

static void free_at_end(struct client *client) {
        free_channel(client->pair);
}

static void free_at_writable(struct client *client) {
        free_channel(client->pair);
}

/* Some calls of which one frees the channel; all hear of it. */
static void check_channel(
                struct pair *pair, struct client *first, const struct rpc_client_options *options) {
        static struct client others[6];

        memset(others, 0, sizeof(others));
        client_open(first, pair, &exec__exec__descriptor, "RunCommand", options);
        (void) client_send_bytes(first->call, first->writable ? 300000 : 10);
        (void) client_send_bytes(first->call, 20);
        for (size_t i = 0; i < ELEMENTSOF(others); i += 2) {
                client_run(&others[i], pair);
                (void) client_send_bytes(others[i].call, 20000);
                client_check(&others[i + 1], pair, NULL);
        }
        PAIR_UNTIL(pair, first->done);
        cr_assert_null(pair->channel);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                cr_assert(others[i].done);
        pair_settle(pair);
        pair_end(pair);
}

Test(rpc_free, channel_in_message) {
        struct client client = { .message = free_at_message };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = echo;
        pair.check = ignore;
        check_channel(&pair, &client, NULL);
}

Test(rpc_free, channel_in_writable) {
        struct client client = { .writable = free_at_writable };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = echo;
        pair.check = ignore;
        check_channel(&pair, &client, NULL);
}

static void refuse(struct pair *pair _unused_, struct rpc_call *call) {
        rpc_call_fail(call, RPC_ABORTED, "no");
}

Test(rpc_free, channel_in_finished) {
        struct client client = { .finished = free_at_end };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = refuse;
        pair.check = ignore;
        check_channel(&pair, &client, NULL);
}

Test(rpc_free, channel_in_finished_at_the_deadline) {
        struct rpc_client_options options = { .deadline_usec = now_usec(CLOCK_MONOTONIC) +
                                50 * USEC_PER_MSEC };
        struct client client = { .finished = free_at_end };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = ignore;
        pair.check = ignore;
        check_channel(&pair, &client, &options);
}

Test(rpc_free, channel_in_finished_without_a_server) {
        struct client client = { .finished = free_at_end };
        struct pair pair;

        pair_begin(&pair);
        pair_channel(&pair, (struct rpc_channel_config){});
        check_channel(&pair, &client, NULL);
}

Test(rpc_free, channel_in_finished_of_a_lost_connection) {
        struct client client = { .finished = free_at_end }, other = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = ignore;
        client_run(&client, &pair);
        client_run(&other, &pair);
        PAIR_UNTIL(&pair, pair.calls == 2);
        free_server(&pair);
        PAIR_UNTIL(&pair, client.done && other.done);
        pair_settle(&pair);
        pair_end(&pair);
}

static void free_after_unary(struct client *client) {
        free_channel(client->pair);
}

Test(rpc_free, channel_in_a_unary_answer) {
        struct client clients[3] = { { .finished = free_after_unary } };
        struct pair pair;

        pair_begin_both(&pair);
        pair.check = reply_serving;
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                client_check(&clients[i], &pair, NULL);
        PAIR_UNTIL(&pair, clients[0].done);
        cr_assert_eq(clients[0].code, RPC_OK);
        cr_assert(clients[1].done && clients[2].done);
        cr_assert_eq(clients[1].code, RPC_CANCELLED);
        pair_settle(&pair);
        pair_end(&pair);
}

/* Whoever tries again from its end is told that there is no channel any more, and not for ever. */
static void try_again(struct client *client) {
        Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

        client->pair->step++;
        cr_assert_eq(rpc_channel_unary(client->pair->channel, &grpc__health__v1__health__descriptor, "Check",
                                     &request.base, NULL, client_unary_done, client, NULL),
                        -ECANCELED);
}

Test(rpc_free, nothing_is_begun_on_a_channel_that_is_freed) {
        struct client running = { .finished = try_again }, waiting = { .finished = try_again };
        struct rpc_client_options options = { .wait_for_ready = true };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = ignore;
        client_run(&running, &pair);
        PAIR_UNTIL(&pair, pair.calls == 1);
        pair.channel = rpc_channel_free(pair.channel);
        cr_assert(running.done);
        cr_assert_eq(pair.step, 1);
        pair_end(&pair);

        pair_begin(&pair);
        pair_channel(&pair, (struct rpc_channel_config){});
        client_check(&waiting, &pair, &options);
        pair.channel = rpc_channel_free(pair.channel);
        cr_assert(waiting.done);
        cr_assert_eq(waiting.code, RPC_CANCELLED);
        pair_end(&pair);
}

/* ---- both at once ---- */

static void free_all(struct client *client) {
        free_server(client->pair);
        free_channel(client->pair);
}

Test(rpc_free, everything_from_a_client_callback) {
        struct client client = { .finished = free_all };
        struct pair pair;

        pair_begin_both(&pair);
        pair.check = reply_serving;
        client_check(&client, &pair, NULL);
        PAIR_UNTIL(&pair, client.done);
        pair_settle(&pair);
        pair_end(&pair);
}
