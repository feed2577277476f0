/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc-pair.h"

/* --- one question, one answer --- */

static void check_metadata(struct pair *pair, struct rpc_call *call) {
        cr_assert_str_eq(rpc_call_package(call), "grpc.health.v1");
        cr_assert_str_eq(rpc_call_method(call), "Check");
        cr_assert_str_eq(rpc_call_path(call), "/grpc.health.v1.Health/Check");
        cr_assert_str_eq(rpc_call_metadata(call, "x-test"), "one");
        cr_assert_null(rpc_call_metadata(call, "x-none"));
        cr_assert_eq(rpc_call_deadline(call), USEC_INFINITY);
        cr_assert_eq(rpc_call_peer(call)->id, 1);
        cr_assert_null(rpc_call_peer(call)->identity);
        cr_assert_eq(rpc_call_server(call), pair->server);
        cr_assert_eq(rpc_call_add_header(call, "x-header", "early"), 0);
        cr_assert_eq(rpc_call_add_trailer(call, "x-trailer", "late"), 0);
        cr_assert_eq(rpc_call_add_trailer(call, "grpc-status", "7"), -EINVAL);
        cr_assert_eq(rpc_call_add_header(call, ":status", "404"), -EINVAL);
        reply_serving(pair, call);
}

static void see_metadata(struct client *client) {
        cr_assert_str_eq(rpc_client_metadata(client->call, "x-header"), "early");
        cr_assert_str_eq(rpc_client_metadata(client->call, "x-trailer"), "late");
        cr_assert_null(rpc_client_metadata(client->call, "x-none"));
}

Test(call, unary) {
        const char *const metadata[] = { "x-test", "one", NULL };
        const struct rpc_client_options options = { .metadata = metadata };
        struct client client = { .finished = see_metadata };
        struct rpc_server_counters counters;
        struct pair pair;

        pair_begin_both(&pair);
        pair.check = check_metadata;
        client_check(&client, &pair, &options);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        cr_assert_eq(client.serving, GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
        rpc_server_get_counters(pair.server, &counters);
        cr_assert_eq(counters.connections, 1);
        cr_assert_eq(counters.calls, 1);
        cr_assert_eq(counters.calls_now, 0);
        cr_assert_eq(counters.failures, 0);
        pair_end(&pair);
        cr_assert_eq(pair.peers, 1);
        cr_assert_eq(pair.peers_gone, 1);
}

Test(call, many_at_once_on_one_connection) {
        static struct client clients[600];
        struct pair pair;

        pair_begin_both(&pair);
        pair.check = reply_serving;
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                client_check(&clients[i], &pair, NULL);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                PAIR_UNTIL(&pair, clients[i].done);
                cr_assert_eq(clients[i].code, RPC_OK);
        }
        cr_assert_eq(pair.peers, 1);
        cr_assert_eq(pair.calls, ELEMENTSOF(clients));
        pair_end(&pair);
}

static void fail_with_details(struct pair *pair _unused_, struct rpc_call *call) {
        rpc_call_finish(call,
                        &(struct rpc_status){ .code = RPC_FAILED_PRECONDITION,
                                        .message = "100 % \xc3\xbc\nnot ready",
                                        .details = (const uint8_t *) "\0\1\2",
                                        .n_details = 3 });
}

static void details_done(const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        cr_assert_null(response);
        cr_assert_eq(status->n_details, 3);
        cr_assert_eq(memcmp(status->details, "\0\1\2", 3), 0);
        client_end(userdata, status);
}

Test(call, a_status_travels_whole) {
        Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
        struct client client = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.check = fail_with_details;
        cr_assert_eq(rpc_channel_unary(pair.channel, &grpc__health__v1__health__descriptor, "Check",
                                     &request.base, NULL, details_done, &client, NULL),
                        0);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_FAILED_PRECONDITION);
        cr_assert_str_eq(client.text, "100 % \xc3\xbc\nnot ready");
        pair_end(&pair);
}

Test(call, what_is_not_offered_is_unimplemented) {
        static const struct rpc_service service = { .descriptor = &exec__exec__descriptor };
        struct client client = {}, other = {};
        struct pair pair;

        pair_begin(&pair);
        cr_assert_eq(rpc_server_new(&pair.server, pair.event, NULL, NULL, NULL), 0);
        cr_assert_eq(rpc_server_add_service(pair.server, &service, NULL), 0);
        cr_assert_eq(rpc_server_listen(pair.server, &pair.address), 0);
        pair_channel(&pair, (struct rpc_channel_config){});
        client_run(&client, &pair);
        client_check(&other, &pair, NULL);
        PAIR_UNTIL(&pair, client.done && other.done);
        cr_assert_eq(client.code, RPC_UNIMPLEMENTED);
        cr_assert_eq(other.code, RPC_UNIMPLEMENTED);
        cr_assert_not_null(strstr(other.text, "/grpc.health.v1.Health/Check"));
        pair_end(&pair);
}

Test(call, a_method_that_there_is_not) {
        Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
        struct rpc_client_call *call;
        struct pair pair;

        pair_begin_both(&pair);
        cr_assert_eq(rpc_channel_unary(pair.channel, &grpc__health__v1__health__descriptor, "Chuck",
                                     &request.base, NULL, client_unary_done, NULL, &call),
                        -EINVAL);
        pair_end(&pair);
}

/* Both sides, with an owner of the server. */
static void begin_with(struct pair *pair, const struct rpc_server_ops *ops, void *owner) {
        pair_begin(pair);
        cr_assert_eq(rpc_server_new(&pair->server, pair->event, NULL, ops, owner), 0);
        for (size_t i = 0; i < ELEMENTSOF(pair_services); i++)
                cr_assert_eq(rpc_server_add_service(pair->server, &pair_services[i], pair), 0);
        cr_assert_eq(rpc_server_listen(pair->server, &pair->address), 0);
        pair_channel(pair, (struct rpc_channel_config){});
}

static bool refuse(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        unsigned *asked = userdata;

        asked[request ? 0 : 1]++;
        rpc_call_fail(call, RPC_PERMISSION_DENIED, "%s may not", rpc_call_peer(call)->name);
        return false;
}

Test(call, permission_is_asked_before_the_handler) {
        static const struct rpc_server_ops ops = { .permit = refuse };
        struct client client = {}, stream = {};
        unsigned asked[2] = {};
        struct pair pair;

        begin_with(&pair, &ops, asked);
        client_check(&client, &pair, NULL);
        client_run(&stream, &pair);
        PAIR_UNTIL(&pair, client.done && stream.done);
        cr_assert_eq(client.code, RPC_PERMISSION_DENIED);
        cr_assert_eq(stream.code, RPC_PERMISSION_DENIED);
        cr_assert_eq(asked[0], 1);
        cr_assert_eq(asked[1], 1);
        cr_assert_eq(pair.calls, 0);
        pair_end(&pair);
}

/* --- streams --- */

static void watch_hundred(struct pair *pair _unused_, struct rpc_call *call) {
        Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

        for (unsigned i = 0; i < 100; i++) {
                response.status = i % 4;
                cr_assert_eq(rpc_call_send(call, &response.base), 0);
        }
        rpc_call_fail(call, RPC_UNAVAILABLE, "over");
}

static void see_order(struct client *client, const ProtobufCMessage *message _unused_) {
        cr_assert_eq(client->serving, (int) ((client->messages - 1) % 4));
}

Test(call, server_streaming) {
        Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
        struct client client = { .message = see_order };
        struct pair pair;

        pair_begin_both(&pair);
        pair.watch = watch_hundred;
        client_open(&client, &pair, &grpc__health__v1__health__descriptor, "Watch", NULL);
        cr_assert_eq(rpc_client_send(client.call, &request.base), 0);
        rpc_client_half_close(client.call);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.messages, 100);
        cr_assert_eq(client.code, RPC_UNAVAILABLE);
        cr_assert_str_eq(client.text, "over");
        pair_end(&pair);
}

static void policy_message(struct rpc_call *call _unused_, const ProtobufCMessage *message, void *userdata) {
        struct pair *pair = userdata;

        pair->messages++;
        pair->bytes += ((const Policyadmin__StreamPolicyRequest *) message)->policy_chunk.len;
}

static void policy_end(struct rpc_call *call, void *userdata) {
        Policyadmin__Status status = POLICYADMIN__STATUS__INIT;
        struct pair *pair = userdata;

        pair->half_closed++;
        rpc_call_reply(call, &status.base);
}

static void policy_open(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = {
                .message = policy_message, .half_closed = policy_end, .gone = count_gone
        };

        rpc_call_set_ops(call, &ops, pair);
}

Test(call, client_streaming) {
        Policyadmin__StreamPolicyRequest request = POLICYADMIN__STREAM_POLICY_REQUEST__INIT;
        static uint8_t chunk[3000];
        struct client client = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.policy = policy_open;
        client_open(&client, &pair, &policyadmin__policy_admin__descriptor, "StreamPolicy", NULL);
        for (size_t i = 0; i < 50; i++) {
                request.policy_chunk = (ProtobufCBinaryData){ .data = chunk, .len = i * 60 };
                cr_assert_eq(rpc_client_send(client.call, &request.base), 0);
                if (i % 10 == 0)
                        pair_settle(&pair);
        }
        rpc_client_half_close(client.call);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        cr_assert_eq(client.messages, 1);
        cr_assert_eq(pair.messages, 50);
        cr_assert_eq(pair.bytes, 60 * 49 * 50 / 2);
        cr_assert_eq(pair.half_closed, 1);
        cr_assert_eq(pair.calls_gone, 0, "gone() does not follow the end");
        pair_end(&pair);
}

static void echo_message(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct pair *pair = userdata;

        pair->messages++;
        cr_assert_geq(call_send_bytes(call, stdin_bytes(message)), 0);
}

static void echo_end(struct rpc_call *call, void *userdata _unused_) {
        call_end(call);
}

static void echo(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = {
                .message = echo_message, .half_closed = echo_end, .gone = count_gone
        };

        rpc_call_set_ops(call, &ops, pair);
}

Test(call, bidirectional_up_to_the_largest_message) {
        static const size_t sizes[] = { 0, 1, 100, 16384, 65536, 1000000, 4 * 1024 * 1024 - 20, 7 };
        struct client client = {};
        struct pair pair;
        size_t total = 0;

        pair_begin_both(&pair);
        pair.run = echo;
        client_run(&client, &pair);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                cr_assert_geq(client_send_bytes(client.call, sizes[i]), 0);
                total += sizes[i];
                PAIR_UNTIL(&pair, client.messages == i + 1);
        }
        rpc_client_half_close(client.call);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        cr_assert_eq(client.bytes, total);
        pair_end(&pair);
}

/* --- limits --- */

Test(call, too_large_a_request) {
        struct client small = {}, large = {};
        struct pair pair;

        pair_begin(&pair);
        pair_serve(&pair, &(struct rpc_server_limits){ .message_bytes = 1000 });
        pair_channel(&pair, (struct rpc_channel_config){ .message_bytes = 2000 });
        pair.run = echo;
        client_run(&small, &pair);
        cr_assert_eq(client_send_bytes(small.call, 2001), -EMSGSIZE);
        cr_assert_eq(client_send_bytes(small.call, 900), 0);
        rpc_client_half_close(small.call);
        client_run(&large, &pair);
        cr_assert_eq(client_send_bytes(large.call, 1500), 0);
        PAIR_UNTIL(&pair, small.done && large.done);
        cr_assert_eq(small.code, RPC_OK);
        cr_assert_eq(large.code, RPC_RESOURCE_EXHAUSTED);
        cr_assert_not_null(strstr(large.text, "1000"), "%s", large.text);
        cr_assert_eq(pair.calls_gone, 1, "the handler, which had the call, is told");
        pair_end(&pair);
}

static void answer_too_much(struct pair *pair _unused_, struct rpc_call *call) {
        cr_assert_eq(call_send_bytes(call, 5 * 1024 * 1024), -EMSGSIZE);
        cr_assert_eq(call_send_bytes(call, 4 * 1024 * 1024 - 20), 1);
        call_end(call);
}

Test(call, too_large_an_answer) {
        struct client client = {};
        struct pair pair;

        pair_begin(&pair);
        pair_serve(&pair, NULL);
        pair_channel(&pair, (struct rpc_channel_config){ .message_bytes = 1000 });
        pair.run = answer_too_much;
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_RESOURCE_EXHAUSTED);
        pair_settle(&pair);
        cr_assert_eq(rpc_channel_get_state(pair.channel), RPC_CHANNEL_READY);
        pair_end(&pair);
}

/* --- one that does not read --- */

#define PIECE  (50 * 1024)
#define PIECES 100

/* Sends PIECES of PIECE, and stops when it is told to. */
static void pour(struct pair *pair) {
        while (pair->step < PIECES) {
                int r = call_send_bytes(pair->call, PIECE);

                pair->step++;
                cr_assert_geq(r, 0);
                cr_assert_eq(r, rpc_call_queued(pair->call) > RPC_CALL_HIGH);
                pair->most_queued = MAX(pair->most_queued, rpc_call_queued(pair->call));
                if (r > 0)
                        return;
        }
        call_end(pair->call);
        pair->call = NULL;
}

static void pour_on(struct rpc_call *call, void *userdata) {
        struct pair *pair = userdata;

        pair->writables++;
        cr_assert_leq(rpc_call_queued(call), RPC_CALL_LOW);
        pour(pair);
}

static void pour_out(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .writable = pour_on, .gone = count_gone };

        pair->call = call;
        rpc_call_set_ops(call, &ops, pair);
        pour(pair);
}

static void stop_reading(struct client *client, const ProtobufCMessage *message _unused_) {
        rpc_client_set_reading(client->call, false);
}

Test(call, a_client_that_does_not_read_stops_the_server) {
        struct client client = { .message = stop_reading };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = pour_out;
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, client.messages == 1);
        pair_settle(&pair);
        cr_assert_eq(client.messages, 1, "none after it was turned off");
        cr_assert_lt(pair.step, 40, "windows and queues hold this much: %i", pair.step);
        cr_assert_leq(pair.most_queued, RPC_CALL_HIGH + PIECE + 100);

        /* One at a time: each turns reading off again. */
        for (unsigned i = 2; i < 30; i++) {
                rpc_client_set_reading(client.call, true);
                PAIR_UNTIL(&pair, client.messages == i);
        }
        client.message = NULL;
        rpc_client_set_reading(client.call, true);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        cr_assert_eq(client.bytes, (size_t) PIECES * PIECE);
        cr_assert_gt(pair.writables, 0);
        cr_assert_leq(pair.most_queued, RPC_CALL_HIGH + PIECE + 100);
        pair_end(&pair);
}

/* Whole messages up to there, then the status; what was cut takes no memory. */
Test(call, what_a_client_does_not_read_can_be_forgotten) {
        struct client client = { .message = stop_reading };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = keep;
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, pair.calls == 1);
        for (int i = 0; i < PIECES; i++)
                cr_assert_geq(call_send_bytes(pair.call, PIECE), 0);
        PAIR_UNTIL(&pair, client.messages == 1);
        pair_settle(&pair);
        cr_assert_gt(rpc_call_queued(pair.call), RPC_CALL_HIGH);
        rpc_call_cut(pair.call);
        cr_assert_leq(rpc_call_queued(pair.call), 64 * 1024 + PIECE + 100);
        rpc_call_cut(pair.call);
        rpc_call_fail(pair.call, RPC_RESOURCE_EXHAUSTED, "too slow");
        client.message = NULL;
        rpc_client_set_reading(client.call, true);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_RESOURCE_EXHAUSTED);
        cr_assert_lt(client.messages, PIECES);
        cr_assert_eq(client.bytes, client.messages * (size_t) PIECE);

        /* The connection goes on. */
        pair.check = reply_serving;
        client = (struct client){};
        client_check(&client, &pair, NULL);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        pair_end(&pair);
}

/* What is sent counts against nobody any more, though nothing comes from the client after it. */
Test(call, an_answer_that_is_sent_takes_no_share) {
        struct client client = {};
        const struct quota_account *account;
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = keep;
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, pair.call);
        account = rpc_call_peer(pair.call)->account;
        pair_settle(&pair);
        cr_assert_geq(call_send_bytes(pair.call, 200 * 1000), 0);
        cr_assert_geq(quota_account_used(account, QUOTA_BYTES), 200 * 1000);
        PAIR_UNTIL(&pair, client.messages == 1);
        pair_settle(&pair);
        cr_assert_lt(quota_account_used(account, QUOTA_BYTES), 10 * 1000);
        pair_end(&pair);
}

Test(call, one_that_does_not_read_does_not_stop_the_others) {
        static struct client clients[12];
        struct client other = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = echo;
        pair.check = reply_serving;
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                clients[i].message = stop_reading;
                client_run(&clients[i], &pair);
                cr_assert_geq(client_send_bytes(clients[i].call, 1), 0);
                PAIR_UNTIL(&pair, clients[i].messages == 1);
                cr_assert_geq(client_send_bytes(clients[i].call, 750000), 0);
        }
        pair_settle(&pair);
        client_check(&other, &pair, NULL);
        /* Together they hold more than a connection may: whoever wants to go on must give some of it up. */
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                clients[i].call = rpc_client_cancel(clients[i].call);
        PAIR_UNTIL(&pair, other.done);
        cr_assert_eq(other.code, RPC_OK);
        pair_end(&pair);
}

/* What was answered in full is the client's, whatever happens to the connection before it reads. */
static void answer_three(struct pair *pair _unused_, struct rpc_call *call) {
        for (unsigned i = 0; i < 3; i++)
                cr_assert_eq(call_send_bytes(call, 1000), 0);
        call_end(call);
}

static void check_answered_and(void (*then)(struct pair *pair)) {
        struct client client = { .message = stop_reading };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = answer_three;
        client_run(&client, &pair);
        rpc_client_half_close(client.call);
        PAIR_UNTIL(&pair, client.messages == 1);
        pair_settle(&pair);
        if (then)
                then(&pair);
        cr_assert_not(client.done);
        cr_assert_eq(client.messages, 1);
        rpc_client_set_reading(client.call, true);
        cr_assert_eq(client.messages, 2);
        cr_assert_not(client.done);
        client.message = NULL;
        rpc_client_set_reading(client.call, true);
        cr_assert_eq(client.messages, 3);
        cr_assert(client.done);
        cr_assert_eq(client.code, RPC_OK);
        pair_end(&pair);
}

static void lose_server(struct pair *pair) {
        pair->server = rpc_server_free(pair->server);
        pair_settle(pair);
        cr_assert_eq(rpc_channel_get_state(pair->channel), RPC_CHANNEL_FAILED);
}

Test(call, an_answer_that_waits_is_not_lost) {
        check_answered_and(NULL);
}

Test(call, an_answer_that_waits_outlives_the_connection) {
        check_answered_and(lose_server);
}

Test(call, an_answer_that_waits_can_be_given_up) {
        struct client first = { .message = stop_reading }, second = { .message = stop_reading };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = answer_three;
        client_run(&first, &pair);
        client_run(&second, &pair);
        PAIR_UNTIL(&pair, first.messages == 1 && second.messages == 1);
        pair_settle(&pair);
        first.call = rpc_client_cancel(first.call);
        pair.channel = rpc_channel_free(pair.channel);
        cr_assert(second.done);
        cr_assert_eq(second.code, RPC_CANCELLED);
        pair_end(&pair);
}

/* The other way round. */
static void read_one(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct pair *pair = userdata;

        pair->messages++;
        pair->bytes += stdin_bytes(message);
        rpc_call_set_reading(call, false);
}

static void read_end(struct rpc_call *call, void *userdata) {
        struct pair *pair = userdata;

        pair->half_closed++;
        call_end(call);
        pair->call = NULL;
}

static void read_one_at_a_time(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = {
                .message = read_one, .half_closed = read_end, .gone = count_gone
        };

        pair->call = call;
        rpc_call_set_ops(call, &ops, pair);
}

Test(call, a_server_that_does_not_read_stops_the_client) {
        struct client client = {};
        struct pair pair;
        size_t sent = 0;

        pair_begin_both(&pair);
        pair.run = read_one_at_a_time;
        client_run(&client, &pair);
        while (sent < PIECES) {
                bool full = client_send_bytes(client.call, PIECE) > 0;
                unsigned writables = client.writables;

                sent++;
                cr_assert_leq(rpc_client_queued(client.call), RPC_CALL_HIGH + PIECE + 100);
                while (full && client.writables == writables) {
                        if (pair.call)
                                rpc_call_set_reading(pair.call, true);
                        pair_turn(&pair);
                }
        }
        rpc_client_half_close(client.call);
        while (pair.messages < PIECES) {
                unsigned messages = pair.messages;

                cr_assert_eq(pair.half_closed, 0, "the end comes last");
                rpc_call_set_reading(pair.call, true);
                PAIR_UNTIL(&pair, pair.messages > messages);
        }
        if (pair.call)
                rpc_call_set_reading(pair.call, true);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        cr_assert_eq(pair.bytes, (size_t) PIECES * PIECE);
        cr_assert_eq(pair.half_closed, 1);
        pair_end(&pair);
}

/* --- giving up --- */

static void keep_run(struct pair *pair, struct rpc_call *call) {
        keep(pair, call);
}

Test(call, the_client_cancels) {
        struct client client = {}, unsent = {}, unary = {};
        struct rpc_server_counters counters;
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = keep_run;
        pair.check = keep;
        client_run(&unsent, &pair);
        unsent.call = rpc_client_cancel(unsent.call);
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, pair.calls == 1);
        client.call = rpc_client_cancel(client.call);
        PAIR_UNTIL(&pair, pair.calls_gone == 1);

        /* On a connection that stands, before the request has left. */
        client_run(&unsent, &pair);
        client_send_bytes(unsent.call, 100);
        unsent.call = rpc_client_cancel(unsent.call);
        client_check(&unary, &pair, NULL);
        PAIR_UNTIL(&pair, pair.call);
        unary.call = rpc_client_cancel(unary.call);
        PAIR_UNTIL(&pair, pair.calls_gone >= 2 && !pair.call);
        pair_settle(&pair);
        rpc_server_get_counters(pair.server, &counters);
        cr_assert_eq(counters.calls_now, 0);
        cr_assert_not(client.done || unsent.done || unary.done, "who cancels is not told");
        cr_assert_null(rpc_client_cancel(NULL));
        pair_end(&pair);
}

/* Who is asked: whether it is a request alone that it is asked of, and how often. */
static bool review_runs(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        unsigned *asked = userdata;

        asked[request ? 0 : 1]++;
        if (request)
                return true;
        rpc_call_break_off(call, RPC_PERMISSION_DENIED, "%s may not go on", rpc_call_method(call));
        return false;
}

Test(call, streams_are_asked_about_again) {
        static const struct rpc_server_ops ops = { .review = review_runs };
        Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
        struct client check = {}, watch = {}, half = {}, runs[3] = {};
        unsigned asked[2] = {};
        struct pair pair;

        begin_with(&pair, &ops, asked);
        pair.check = pair.watch = keep;
        pair.run = keep_run;
        client_check(&check, &pair, NULL);
        client_open(&watch, &pair, &grpc__health__v1__health__descriptor, "Watch", NULL);
        cr_assert_eq(rpc_client_send(watch.call, &request.base), 0);
        rpc_client_half_close(watch.call);
        client_open(&half, &pair, &grpc__health__v1__health__descriptor, "Watch", NULL);
        for (size_t i = 0; i < ELEMENTSOF(runs); i++)
                client_run(&runs[i], &pair);
        PAIR_UNTIL(&pair, pair.calls == 2 + ELEMENTSOF(runs));

        rpc_server_review(pair.server);
        cr_assert_eq(asked[0], 1,
                        "a stream of answers, whose request is here; and no call without a stream");
        cr_assert_eq(asked[1], ELEMENTSOF(runs));
        cr_assert_eq(pair.calls_gone, ELEMENTSOF(runs));
        PAIR_UNTIL(&pair, runs[0].done && runs[1].done && runs[2].done);
        cr_assert_eq(runs[2].code, RPC_PERMISSION_DENIED);
        cr_assert_str_eq(runs[2].text, "RunCommand may not go on");
        rpc_server_review(pair.server);
        cr_assert_eq(asked[0], 2);
        cr_assert_eq(asked[1], ELEMENTSOF(runs));
        cr_assert_not(check.done || watch.done || half.done);
        check.call = rpc_client_cancel(check.call);
        watch.call = rpc_client_cancel(watch.call);
        half.call = rpc_client_cancel(half.call);
        pair_end(&pair);
}

static bool end_all(struct rpc_call *call, const ProtobufCMessage *request _unused_, void *userdata) {
        rpc_call_break_off(call, RPC_PERMISSION_DENIED, "no more");
        return false;
}

static void free_server_when_gone(struct rpc_call *call _unused_, void *userdata) {
        struct pair *pair = userdata;
        struct rpc_server *server = pair->server;

        pair->calls_gone++;
        pair->server = NULL; /* the other call is told meanwhile */
        rpc_server_free(server);
}

static void run_to_free(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .gone = free_server_when_gone };

        rpc_call_set_ops(call, &ops, pair);
}

Test(call, who_may_not_go_on_may_free_the_server) {
        static const struct rpc_server_ops ops = { .review = end_all };
        struct client runs[2] = {};
        struct pair pair;

        begin_with(&pair, &ops, NULL);
        pair.run = run_to_free;
        client_run(&runs[0], &pair);
        client_run(&runs[1], &pair);
        PAIR_UNTIL(&pair, pair.calls == 2);
        rpc_server_review(pair.server);
        cr_assert_eq(pair.calls_gone, 2);
        PAIR_UNTIL(&pair, runs[0].done && runs[1].done);
        pair_end(&pair);
}

static void cancel_at_third(struct client *client, const ProtobufCMessage *message _unused_) {
        cr_assert_leq(client->messages, 3);
        if (client->messages == 3)
                client->call = rpc_client_cancel(client->call);
}

Test(call, the_client_cancels_inside_of_message) {
        struct client client = { .message = cancel_at_third };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = pour_out;
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, client.messages == 3);
        pair_settle(&pair);
        cr_assert_eq(client.messages, 3);
        cr_assert_not(client.done);
        cr_assert_eq(rpc_channel_get_state(pair.channel), RPC_CHANNEL_READY);
        pair_end(&pair);
}

static void cancel_writable(struct client *client) {
        client->call = rpc_client_cancel(client->call);
}

static void cancel_finished(struct client *client) {
        cr_assert_null(rpc_client_cancel(client->call));
}

static void echo_slowly(struct pair *pair, struct rpc_call *call) {
        echo(pair, call);
}

Test(call, the_client_cancels_inside_of_writable_and_finished) {
        struct client client = { .writable = cancel_writable }, other = { .finished = cancel_finished };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = echo_slowly;
        pair.check = reply_serving;
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, pair.calls == 1);
        cr_assert_eq(client_send_bytes(client.call, 300000), 1);
        client_check(&other, &pair, NULL);
        PAIR_UNTIL(&pair, client.writables == 1 && other.done);
        pair_settle(&pair);
        cr_assert_eq(other.code, RPC_OK);
        cr_assert_not(client.done);
        pair_end(&pair);
}

static void fail_message(struct rpc_call *call, const ProtobufCMessage *message _unused_, void *userdata) {
        struct pair *pair = userdata;

        pair->messages++;
        rpc_call_fail(call, RPC_ABORTED, "at message %u", pair->messages);
}

static void fail_at_message(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .message = fail_message, .gone = count_gone };

        rpc_call_set_ops(call, &ops, pair);
}

Test(call, the_server_ends_inside_of_message) {
        struct client client = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = fail_at_message;
        client_run(&client, &pair);
        for (unsigned i = 0; i < 20; i++)
                cr_assert_geq(client_send_bytes(client.call, 1000), 0);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_ABORTED);
        cr_assert_str_eq(client.text, "at message 1");
        pair_settle(&pair);
        cr_assert_eq(pair.messages, 1);
        cr_assert_eq(pair.calls_gone, 0);
        pair_end(&pair);
}

static void end_writable(struct rpc_call *call, void *userdata) {
        struct pair *pair = userdata;

        pair->writables++;
        call_end(call);
}

static void end_at_writable(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .writable = end_writable, .gone = count_gone };

        rpc_call_set_ops(call, &ops, pair);
        cr_assert_eq(call_send_bytes(call, 300000), 1);
}

Test(call, the_server_ends_inside_of_writable) {
        struct client client = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = end_at_writable;
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        cr_assert_eq(client.bytes, 300000);
        cr_assert_eq(pair.writables, 1);
        pair_end(&pair);
}

/* A server that answers early does not wait for what the client still has to send. */
static void end_at_once(struct pair *pair _unused_, struct rpc_call *call) {
        rpc_call_fail(call, RPC_OUT_OF_RANGE, "enough");
}

Test(call, an_early_answer_stops_the_client) {
        struct client client = {}, next = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = end_at_once;
        pair.check = reply_serving;
        client_run(&client, &pair);
        for (unsigned i = 0; i < 30; i++)
                (void) client_send_bytes(client.call, 100000);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OUT_OF_RANGE);
        client_check(&next, &pair, NULL);
        PAIR_UNTIL(&pair, next.done);
        cr_assert_eq(next.code, RPC_OK);
        pair_end(&pair);
}

/* --- deadlines --- */

static void see_deadline(struct pair *pair, struct rpc_call *call) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        cr_assert_gt(rpc_call_deadline(call), now);
        cr_assert_leq(rpc_call_deadline(call), now + 300 * USEC_PER_MSEC);
        keep(pair, call);
}

Test(call, a_deadline_ends_it_on_both_sides) {
        struct rpc_client_options options = {};
        struct client client = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair_connect(&pair);
        pair.check = see_deadline;
        options.deadline_usec = now_usec(CLOCK_MONOTONIC) + 300 * USEC_PER_MSEC;
        client_check(&client, &pair, &options);
        PAIR_UNTIL(&pair, client.done && pair.calls_gone == 1);
        cr_assert_eq(client.code, RPC_DEADLINE_EXCEEDED);
        cr_assert_geq(now_usec(CLOCK_MONOTONIC), options.deadline_usec);
        pair_end(&pair);
}

Test(call, a_deadline_that_has_passed) {
        struct rpc_client_options options = { .deadline_usec = now_usec(CLOCK_MONOTONIC) - 1 };
        struct client client = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.check = reply_serving;
        client_check(&client, &pair, &options);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_DEADLINE_EXCEEDED);
        pair_end(&pair);
}
