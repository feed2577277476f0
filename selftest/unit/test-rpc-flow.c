/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whoever does not read stops who writes to it, and nobody else; and what it has yet to read is not lost. */
#include "rpc-pair.h"

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

Test(flow, a_client_that_does_not_read_stops_the_server) {
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
Test(flow, what_a_client_does_not_read_can_be_forgotten) {
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
Test(flow, an_answer_that_is_sent_takes_no_share) {
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

Test(flow, one_that_does_not_read_does_not_stop_the_others) {
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

Test(flow, an_answer_that_waits_is_not_lost) {
        check_answered_and(NULL);
}

Test(flow, an_answer_that_waits_outlives_the_connection) {
        check_answered_and(lose_server);
}

Test(flow, an_answer_that_waits_can_be_given_up) {
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

Test(flow, a_server_that_does_not_read_stops_the_client) {
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
