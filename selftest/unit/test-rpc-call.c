/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One call from its request to its status, with all that it carries. */
#include "rpc-pair.h"

/* --- one question, one answer --- */

static void check_metadata(struct pair *pair, struct rpc_call *call) {
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

        pair_begin_with(&pair, &ops, asked);
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
