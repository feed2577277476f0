/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A call ends before its time: given up, no longer permitted, in the midst of its own callbacks, too late.
 */
#include "rpc-pair.h"

/* --- giving up --- */

Test(end, the_client_cancels) {
        struct client client = {}, unsent = {}, unary = {};
        struct rpc_server_counters counters;
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = keep;
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

Test(end, streams_are_asked_about_again) {
        static const struct rpc_server_ops ops = { .review = review_runs };
        Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
        struct client check = {}, watch = {}, half = {}, runs[3] = {};
        unsigned asked[2] = {};
        struct pair pair;

        pair_begin_with(&pair, &ops, asked);
        pair.check = pair.watch = keep;
        pair.run = keep;
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

Test(end, who_may_not_go_on_may_free_the_server) {
        static const struct rpc_server_ops ops = { .review = end_all };
        struct client runs[2] = {};
        struct pair pair;

        pair_begin_with(&pair, &ops, NULL);
        pair.run = run_to_free;
        client_run(&runs[0], &pair);
        client_run(&runs[1], &pair);
        PAIR_UNTIL(&pair, pair.calls == 2);
        rpc_server_review(pair.server);
        cr_assert_eq(pair.calls_gone, 2);
        PAIR_UNTIL(&pair, runs[0].done && runs[1].done);
        pair_end(&pair);
}

static void answer_ten(struct pair *pair, struct rpc_call *call) {
        keep(pair, call);
        for (unsigned i = 0; i < 10; i++)
                cr_assert_eq(call_send_bytes(call, 1000), 0);
}

static void cancel_at_third(struct client *client, const ProtobufCMessage *message _unused_) {
        cr_assert_leq(client->messages, 3);
        if (client->messages == 3)
                client->call = rpc_client_cancel(client->call);
}

Test(end, the_client_cancels_inside_of_message) {
        struct client client = { .message = cancel_at_third };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = answer_ten;
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

Test(end, the_client_cancels_inside_of_writable_and_finished) {
        struct client client = { .writable = cancel_writable }, other = { .finished = cancel_finished };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = echo;
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

Test(end, the_server_ends_inside_of_message) {
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

Test(end, the_server_ends_inside_of_writable) {
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

Test(end, an_early_answer_stops_the_client) {
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

Test(end, a_deadline_ends_it_on_both_sides) {
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

Test(end, a_deadline_that_has_passed) {
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
