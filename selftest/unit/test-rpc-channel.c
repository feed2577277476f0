/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections: made, lost, made again, drained, refused. */
#include "rpc-pair.h"
#include "valgrind.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- there is no server ---- */

Test(channel, without_a_server_a_call_fails_later) {
        struct client client = {}, second = {};
        struct pair pair;

        pair_begin(&pair);
        pair_channel(&pair, (struct rpc_channel_config){ .backoff_min_usec = USEC_PER_SEC });
        cr_assert_eq(rpc_channel_get_state(pair.channel), RPC_CHANNEL_IDLE);
        cr_assert_str_eq(rpc_channel_reason(pair.channel), "");
        client_check(&client, &pair, NULL);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_UNAVAILABLE);
        cr_assert_eq(rpc_channel_get_state(pair.channel), RPC_CHANNEL_FAILED);
        cr_assert_str_eq(rpc_channel_reason(pair.channel), "Connection refused");
        cr_assert_not_null(strstr(client.text, "Connection refused"), "%s", client.text);

        /* Known at once by now, and still told later. */
        client_check(&second, &pair, NULL);
        PAIR_UNTIL(&pair, second.done);
        cr_assert_eq(second.code, RPC_UNAVAILABLE);
        pair_end(&pair);
}

static bool no_memory;

/* In front of the library's. */
int sd_event_add_defer(sd_event *event, sd_event_source **ret, sd_event_handler_t callback, void *userdata) {
        int (*real)(sd_event *, sd_event_source **, sd_event_handler_t, void *) =
                        (typeof(real)) dlsym(RTLD_NEXT, "sd_event_add_defer");

        return no_memory ? -ENOMEM : real(event, ret, callback, userdata);
}

Test(channel, without_memory_a_call_fails_later_too) {
        struct client clients[3] = {};
        struct pair pair;

        pair_begin(&pair);
        pair_channel(&pair, (struct rpc_channel_config){ .backoff_min_usec = PATIENCE });
        rpc_channel_connect(pair.channel);
        PAIR_UNTIL(&pair, rpc_channel_get_state(pair.channel) == RPC_CHANNEL_FAILED);
        no_memory = true;
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                client_check(&clients[i], &pair, NULL);
        clients[1].call = rpc_client_cancel(clients[1].call);
        PAIR_UNTIL(&pair, clients[0].done && clients[2].done);
        cr_assert_eq(clients[0].code, RPC_UNAVAILABLE);
        cr_assert_not(clients[1].done);
        no_memory = false;
        pair_end(&pair);
}

Test(channel, who_waits_for_a_server_gets_one) {
        struct rpc_client_options options = { .wait_for_ready = true };
        struct client client = {}, cancelled = {};
        struct pair pair;

        pair_begin(&pair);
        pair.check = reply_serving;
        pair_channel(&pair, (struct rpc_channel_config){ .backoff_min_usec = 10 * USEC_PER_MSEC });
        client_check(&client, &pair, &options);
        client_check(&cancelled, &pair, &options);
        PAIR_UNTIL(&pair, rpc_channel_get_state(pair.channel) == RPC_CHANNEL_FAILED);
        cr_assert_not(client.done);
        rpc_client_cancel(cancelled.call);
        pair_serve(&pair, NULL);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        cr_assert_eq(pair.calls, 1);
        pair_end(&pair);
}

Test(channel, who_waits_has_a_deadline) {
        struct rpc_client_options options = { .wait_for_ready = true,
                .deadline_usec = now_usec(CLOCK_MONOTONIC) + 50 * USEC_PER_MSEC };
        struct client client = {};
        struct pair pair;

        pair_begin(&pair);
        pair_channel(&pair, (struct rpc_channel_config){});
        client_check(&client, &pair, &options);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_DEADLINE_EXCEEDED);
        cr_assert_not_null(strstr(client.text, "Connection refused"), "%s", client.text);
        pair_end(&pair);
}

Test(channel, once_means_once) {
        struct rpc_client_options options = { .wait_for_ready = true };
        struct client client = {}, later = {};
        struct pair pair;

        pair_begin(&pair);
        pair.check = reply_serving;
        pair_channel(&pair, (struct rpc_channel_config){ .once = true, .backoff_min_usec = 1 });
        client_check(&client, &pair, &options);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_UNAVAILABLE);
        pair_serve(&pair, NULL);
        pair_settle(&pair);
        cr_assert_eq(rpc_channel_get_state(pair.channel), RPC_CHANNEL_FAILED);
        rpc_channel_connect(pair.channel);
        client_check(&later, &pair, NULL);
        PAIR_UNTIL(&pair, later.done);
        cr_assert_eq(later.code, RPC_OK);
        pair_end(&pair);
}

/* ---- lost, and made again ---- */

struct states {
        enum rpc_channel_state seen[64];
        size_t n;
};

static struct states states;

static void note_state(struct rpc_channel *channel _unused_, enum rpc_channel_state state,
                void *userdata _unused_) {
        if (states.n < ELEMENTSOF(states.seen))
                states.seen[states.n++] = state;
}

Test(channel, is_made_again_whenever_it_is_lost) {
        struct client client = {}, under_way = {};
        struct pair pair;

        states.n = 0;
        pair_begin(&pair);
        pair.check = reply_serving;
        pair.run = keep;
        pair_serve(&pair, NULL);
        pair_channel(&pair,
                        (struct rpc_channel_config){ .backoff_min_usec = 5 * USEC_PER_MSEC,
                                        .state_changed = note_state });
        rpc_channel_connect(pair.channel);
        rpc_channel_connect(pair.channel);
        PAIR_UNTIL(&pair, rpc_channel_get_state(pair.channel) == RPC_CHANNEL_READY);
        client_run(&under_way, &pair);
        PAIR_UNTIL(&pair, pair.calls == 1);

        pair.server = rpc_server_free(pair.server);
        cr_assert_eq(pair.calls_gone, 1);
        PAIR_UNTIL(&pair, under_way.done);
        cr_assert_eq(under_way.code, RPC_UNAVAILABLE);
        PAIR_UNTIL(&pair, states.n >= 6);
        pair_serve(&pair, NULL);
        PAIR_UNTIL(&pair, rpc_channel_get_state(pair.channel) == RPC_CHANNEL_READY);
        cr_assert_str_eq(rpc_channel_reason(pair.channel), "");
        client_check(&client, &pair, NULL);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);

        cr_assert_eq(states.seen[0], RPC_CHANNEL_CONNECTING);
        cr_assert_eq(states.seen[1], RPC_CHANNEL_READY);
        for (size_t i = 2; i + 1 < states.n; i += 2) {
                cr_assert_eq(states.seen[i], RPC_CHANNEL_FAILED);
                cr_assert_eq(states.seen[i + 1], RPC_CHANNEL_CONNECTING);
        }
        pair_end(&pair);
}

/* Each attempt waits twice as long as the one before, give or take a fifth, up to the most. */
Test(channel, backs_off) {
        static const unsigned least_msec[] = { 16, 32, 64, 80, 80 };
        uint64_t last, now;
        struct pair pair;

        states.n = 0;
        pair_begin(&pair);
        pair_channel(&pair,
                        (struct rpc_channel_config){ .backoff_min_usec = 20 * USEC_PER_MSEC,
                                        .backoff_max_usec = 100 * USEC_PER_MSEC,
                                        .state_changed = note_state });
        rpc_channel_connect(pair.channel);
        PAIR_UNTIL(&pair, states.n == 2);
        for (size_t i = 0; i < ELEMENTSOF(least_msec); i++) {
                last = now_usec(CLOCK_MONOTONIC);
                PAIR_UNTIL(&pair, states.n == 2 * (i + 2));
                now = now_usec(CLOCK_MONOTONIC);
                cr_assert_geq(now - last, (least_msec[i] - 2) * USEC_PER_MSEC, "attempt %zu", i);
        }
        pair_end(&pair);
}

Test(channel, a_peer_is_disconnected) {
        struct client client = {};
        struct pair pair;

        pair_begin(&pair);
        pair_serve(&pair, NULL);
        pair_channel(&pair, (struct rpc_channel_config){ .once = true });
        pair.run = keep;
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, pair.calls == 1);
        cr_assert_eq(rpc_server_disconnect(pair.server, 99), -ENOENT);
        cr_assert_eq(rpc_server_disconnect(pair.server, rpc_call_peer(pair.call)->id), 0);
        cr_assert_eq(pair.calls_gone, 1);
        cr_assert_eq(pair.peers_gone, 1);
        cr_assert_eq(rpc_server_disconnect(pair.server, 1), -ENOENT);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_UNAVAILABLE);
        pair_end(&pair);
}

/* ---- drained ---- */

static void note_drained(struct rpc_server *server _unused_, void *userdata) {
        struct pair *pair = userdata;

        cr_assert_not(pair->drained, "told twice");
        pair->drained = true;
}

Test(channel, calls_under_way_are_drained) {
        struct client client = {}, late = {};
        struct pair pair;

        pair_begin(&pair);
        pair_serve(&pair, NULL);
        pair_channel(&pair, (struct rpc_channel_config){ .backoff_min_usec = 3600 * USEC_PER_SEC });
        pair.check = keep;
        client_check(&client, &pair, NULL);
        PAIR_UNTIL(&pair, pair.call);
        rpc_server_drain(pair.server, note_drained);
        PAIR_UNTIL(&pair, rpc_channel_get_state(pair.channel) == RPC_CHANNEL_FAILED);
        pair_settle(&pair);
        cr_assert_not(pair.drained);
        cr_assert_not(client.done);

        client_check(&late, &pair, NULL);
        PAIR_UNTIL(&pair, late.done);
        cr_assert_eq(late.code, RPC_UNAVAILABLE);
        cr_assert_not_null(strstr(late.text, "going away"), "%s", late.text);

        reply_serving(&pair, pair.call);
        PAIR_UNTIL(&pair, client.done && pair.drained);
        cr_assert_eq(client.code, RPC_OK);
        cr_assert_eq(pair.peers_gone, 1);
        pair_settle(&pair);
        pair_end(&pair);
}

/* Requests that were on their way when the server said that it goes are still served. */
Test(channel, calls_on_the_wire_are_drained) {
        static struct client clients[20];
        struct client first = {};
        struct pair pair;

        pair_begin_both(&pair);
        pair.check = reply_serving;
        client_check(&first, &pair, NULL);
        PAIR_UNTIL(&pair, first.done);
        rpc_server_drain(pair.server, note_drained);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                client_check(&clients[i], &pair, NULL);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                PAIR_UNTIL(&pair, clients[i].done);
                cr_assert_eq(clients[i].code, RPC_OK);
        }
        PAIR_UNTIL(&pair, pair.drained);
        pair_end(&pair);
}

Test(channel, an_idle_server_is_drained_at_once) {
        struct client client = {};
        struct pair pair;
        uint64_t begin;

        pair_begin_both(&pair);
        pair.check = reply_serving;
        client_check(&client, &pair, NULL);
        PAIR_UNTIL(&pair, client.done);
        begin = now_usec(CLOCK_MONOTONIC);
        rpc_server_drain(pair.server, note_drained);
        PAIR_UNTIL(&pair, pair.drained);
        cr_assert_lt(now_usec(CLOCK_MONOTONIC) - begin, 900 * USEC_PER_MSEC, "does not wait for a timer");
        pair_end(&pair);
}

/* One that does not read holds up the drain until it has read, and loses nothing. */
static void answer_much(struct pair *pair _unused_, struct rpc_call *call) {
        cr_assert_eq(call_send_bytes(call, 3 * 1024 * 1024), 1);
        call_end(call);
}

static void stop_at_header(struct client *client, const ProtobufCMessage *message _unused_) {
        rpc_client_set_reading(client->call, false);
}

Test(channel, what_is_queued_is_drained) {
        struct client client = { .message = stop_at_header };
        struct pair pair;

        pair_begin_both(&pair);
        pair.run = answer_much;
        client_run(&client, &pair);
        rpc_client_set_reading(client.call, false);
        PAIR_UNTIL(&pair, pair.calls == 1);
        rpc_server_drain(pair.server, note_drained);
        pair_settle(&pair);
        cr_assert_not(pair.drained);
        rpc_client_set_reading(client.call, true);
        PAIR_UNTIL(&pair, client.messages == 1);
        cr_assert_eq(client.bytes, 3 * 1024 * 1024);
        PAIR_UNTIL(&pair, pair.drained);
        rpc_client_set_reading(client.call, true);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        pair_end(&pair);
}

/* ---- listeners ---- */

Test(channel, one_host_gets_so_many_connections) {
        struct rpc_channel_config config = { .once = true };
        struct rpc_channel *channels[4];
        unsigned ready, failed;
        struct pair pair;

        pair_begin(&pair);
        pair_serve(&pair, &(struct rpc_server_limits){ .connections_per_host = 2 });
        config.address = pair.address;
        for (size_t i = 0; i < ELEMENTSOF(channels); i++) {
                cr_assert_eq(rpc_channel_new(&channels[i], pair.event, &config), 0);
                rpc_channel_connect(channels[i]);
        }
        do {
                pair_turn(&pair);
                ready = failed = 0;
                for (size_t i = 0; i < ELEMENTSOF(channels); i++) {
                        ready += rpc_channel_get_state(channels[i]) == RPC_CHANNEL_READY;
                        failed += rpc_channel_get_state(channels[i]) == RPC_CHANNEL_FAILED;
                }
        } while (failed < 2);
        pair_settle(&pair);
        cr_assert_eq(ready, 2);
        cr_assert_eq(pair.peers, 2);
        for (size_t i = 0; i < ELEMENTSOF(channels); i++)
                rpc_channel_free(channels[i]);
        pair_end(&pair);
}

Test(channel, a_dead_socket_is_replaced_and_a_live_one_is_not) {
        char directory[] = "/tmp/test-rpc-channel.XXXXXX";
        _cleanup_(freep) char *path = NULL;
        struct rpc_server *second;
        struct client client = {};
        const char *error;
        struct pair pair;

        cr_assert_not_null(mkdtemp(directory));
        cr_assert_geq(asprintf(&path, "unix:%s/socket", directory), 0);
        pair_begin(&pair);
        cr_assert_eq(rpc_address_parse(&pair.address, path, &error), 0);
        pair_serve(&pair, NULL);
        cr_assert_eq(rpc_server_new(&second, pair.event, NULL, NULL, NULL), 0);
        cr_assert_eq(rpc_server_listen(second, &pair.address), -EADDRINUSE);
        rpc_server_free(second);
        pair.server = rpc_server_free(pair.server);

        pair_serve(&pair, NULL);
        pair.check = reply_serving;
        pair_channel(&pair, (struct rpc_channel_config){});
        client_check(&client, &pair, NULL);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_OK);
        pair_end(&pair);
        unlink(path + strlen("unix:"));
        cr_assert_eq(rmdir(directory), 0);
}

/* Out of descriptors: the server waits a while instead of turning round and round, and comes back. In a
 * child. */
static int be_out_of_descriptors(void) {
        struct rlimit limit;
        struct client client = {};
        uint64_t cpu_begin;
        struct pair pair;
        int fds[64], n = 0, client_fd;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 1;
        limit.rlim_cur = 64;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 1;
        pair_begin(&pair);
        pair_serve(&pair, NULL);
        client_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        while (n < 64 && (fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
                n++;
        if (client_fd < 0 || n == 64 || connect(client_fd, &pair.address.any, pair.address.length) < 0)
                return 2;

        cpu_begin = now_usec(CLOCK_PROCESS_CPUTIME_ID);
        for (uint64_t end = now_usec(CLOCK_MONOTONIC) + 500 * USEC_PER_MSEC;
                        now_usec(CLOCK_MONOTONIC) < end;)
                if (sd_event_run(pair.event, end - now_usec(CLOCK_MONOTONIC)) < 0)
                        return 3;
        if (now_usec(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin > 200 * USEC_PER_MSEC || pair.peers > 0)
                return 4;

        while (n > 0)
                close(fds[--n]);
        pair.check = reply_serving;
        pair_channel(&pair, (struct rpc_channel_config){});
        client_check(&client, &pair, NULL);
        /* Criterion's assertions are for the process that it knows. */
        for (uint64_t end = now_usec(CLOCK_MONOTONIC) + PATIENCE; !client.done;)
                if (now_usec(CLOCK_MONOTONIC) > end || sd_event_run(pair.event, PATIENCE) < 0)
                        return 5;
        close(client_fd);
        pair_end(&pair);
        return client.code == RPC_OK ? 0 : 6;
}

Test(channel, a_server_without_descriptors_comes_back) {
        int status;
        pid_t pid;

        skip_under_valgrind("sets no limits");
        pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0)
                _exit(be_out_of_descriptors());
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status));
        cr_assert_eq(WEXITSTATUS(status), 0, "step %i", WEXITSTATUS(status));
}

/* ---- signs of life ---- */

/* A peer that says nothing is asked twice before it is condemned. */
Test(channel, silence_condemns_in_the_end) {
        struct client client = {};
        struct pair pair;
        int listener;

        pair_begin(&pair);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(listener, &pair.address.any, pair.address.length), 0);
        cr_assert_eq(listen(listener, 1), 0);
        pair_channel(&pair,
                        (struct rpc_channel_config){ .once = true,
                                        .keepalive_usec = 30 * USEC_PER_MSEC,
                                        .keepalive_timeout_usec = 30 * USEC_PER_MSEC });
        client_run(&client, &pair);
        PAIR_UNTIL(&pair, client.done);
        cr_assert_eq(client.code, RPC_UNAVAILABLE);
        cr_assert_not_null(strstr(rpc_channel_reason(pair.channel), "PING"), "%s",
                        rpc_channel_reason(pair.channel));
        pair_end(&pair);
        close(listener);
}

Test(channel, a_peer_that_answers_pings_lives) {
        uint64_t end = now_usec(CLOCK_MONOTONIC) + 300 * USEC_PER_MSEC;
        struct client client = {};
        struct pair pair;

        pair_begin(&pair);
        pair_serve(&pair, NULL);
        pair.run = keep;
        pair_channel(&pair,
                        (struct rpc_channel_config){ .once = true,
                                        .keepalive_usec = 20 * USEC_PER_MSEC,
                                        .keepalive_timeout_usec = 100 * USEC_PER_MSEC });
        client_run(&client, &pair);
        while (now_usec(CLOCK_MONOTONIC) < end)
                cr_assert_geq(sd_event_run(pair.event, 20 * USEC_PER_MSEC), 0);
        cr_assert_not(client.done);
        cr_assert_eq(rpc_channel_get_state(pair.channel), RPC_CHANNEL_READY);
        pair_end(&pair);
}
