/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watchers of an admin's registry, each as another peer would be, over mutual TLS by our own channel:
 *
 *      bench-watch ADDRESS EVENTS WATCHERS DIRECTORY...
 *
 * WATCHERS of them with each directory's certificate, on one connection. Prints "watching" when all have
 * their first answer, and "done" when each has been told of so many changes.
 */
#include "channel.h"
#include "echo-common.h"
#include "lines.h"

#include "admin.pb-c.h"

#include <stdio.h>

struct load {
        sd_event *event;
        uint64_t per_peer, initial_left, changes_left;
};

static void on_message(struct rpc_client_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__WatchItem *item = (const Admin__WatchItem *) message;
        struct load *load = userdata;

        if (item->status_case == ADMIN__WATCH_ITEM__STATUS_INITIAL) {
                if (--load->initial_left == 0)
                        puts("watching");
        } else if (--load->changes_left == 0)
                puts("done");
        fflush(stdout);
}

static void on_finished(struct rpc_client_call *call, const struct rpc_status *status, void *userdata) {
        lines_fail("A watch has ended: %s: %s", rpc_code_name(status->code), status->message);
}

static void on_state(struct rpc_channel *channel, enum rpc_channel_state state, void *userdata) {
        static const struct rpc_client_ops ops = { .message = on_message, .finished = on_finished };
        Admin__Empty request = ADMIN__EMPTY__INIT;
        struct load *load = userdata;

        if (state == RPC_CHANNEL_FAILED)
                lines_fail("A connection failed: %s", rpc_channel_reason(channel));
        if (state != RPC_CHANNEL_READY)
                return;
        for (uint64_t i = 0; i < load->per_peer; i++) {
                struct rpc_client_call *call;

                if (rpc_channel_call(channel, &admin__admin_service__descriptor, "Watch", NULL, &ops, load,
                                    &call) < 0 ||
                                rpc_client_send(call, &request.base) < 0)
                        lines_fail("Cannot watch");
                rpc_client_half_close(call);
        }
}

static void connect_as(struct load *load, const char *certificates, const char *address) {
        struct tls_context *tls = echo_load_tls(certificates);
        struct rpc_channel_config config = {
                .server_name = "admin-vm",
                .tls = tls,
                .once = true,
                .state_changed = on_state,
                .userdata = load,
        };
        struct rpc_channel *channel;
        const char *error;

        if (rpc_address_parse(&config.address, address, &error) < 0)
                lines_fail("%s: %s", address, error);
        if (rpc_channel_new(&channel, load->event, &config) < 0)
                lines_fail("Out of memory");
        tls_context_unref(tls);
        rpc_channel_connect(channel);
}

/* Whoever has started it ends it. */
int main(int argc, char *argv[]) {
        struct load load = {};
        uint64_t watchers;

        if (argc < 5)
                lines_fail("usage: see the top of bench-watch.c");
        load.per_peer = echo_read_number(argv[3]);
        watchers = load.per_peer * (uint64_t) (argc - 4);
        load.initial_left = watchers;
        load.changes_left = watchers * echo_read_number(argv[2]);
        if (sd_event_new(&load.event) < 0)
                lines_fail("Out of memory");
        for (int i = 4; i < argc; i++)
                connect_as(&load, argv[i], argv[1]);
        return sd_event_loop(load.event) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
