/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whose turn it is on the server's loop: a peer that takes much of it lets others go first. */
#include "rpc-pair.h"

#include <arpa/inet.h>

/* Fewer than one peer may have. */
#define GREEDY    40
#define WORK_USEC (1 * USEC_PER_MSEC)

static unsigned before_the_other;

static void work(struct pair *pair, struct rpc_call *call) {
        uint64_t end = now_usec(CLOCK_MONOTONIC) + WORK_USEC;

        if (rpc_call_peer(call)->address->any.sa_family == AF_INET)
                before_the_other = pair->calls - 1;
        else
                while (now_usec(CLOCK_MONOTONIC) < end)
                        continue;
        reply_serving(pair, call);
}

/* A listener on a port of this machine that is free; *ret is its address. */
static void listen_on_tcp(struct pair *pair, struct rpc_address *ret) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *ret = (struct rpc_address){ .length = sizeof(ret->in) };
        ret->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        cr_assert_eq(bind(fd, &ret->any, ret->length), 0);
        cr_assert_eq(listen(fd, 1), 0);
        cr_assert_eq(getsockname(fd, &ret->any, &ret->length), 0);
        cr_assert_eq(rpc_server_add_listener(pair->server, fd), 0);
}

Test(turns, many_connections_are_one_peer) {
        struct client clients[GREEDY + 1] = {};
        struct rpc_channel *channels[GREEDY + 1];
        struct pair pair;

        pair_begin(&pair);
        pair_serve(&pair, NULL);
        pair.check = work;
        for (size_t i = 0; i <= GREEDY; i++) {
                if (i == GREEDY)
                        listen_on_tcp(&pair, &pair.address);
                pair_channel(&pair, (struct rpc_channel_config){});
                pair_connect(&pair);
                channels[i] = pair.channel;
        }
        pair_settle(&pair);
        for (size_t i = 0; i <= GREEDY; i++) {
                pair.channel = channels[i];
                client_check(&clients[i], &pair, NULL);
        }
        for (size_t i = 0; i <= GREEDY; i++)
                PAIR_UNTIL(&pair, clients[i].done);
        cr_assert_eq(pair.calls, GREEDY + 1);
        cr_assert_leq(before_the_other, 10, "%u of a peer's calls came before the only one of another",
                        before_the_other);
        for (size_t i = 0; i < GREEDY; i++)
                rpc_channel_free(channels[i]);
        pair_end(&pair);
}
