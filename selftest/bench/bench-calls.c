/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load for an echo-server (selftest/interop), over mutual TLS on one connection, by our own channel:
 *
 *      bench-calls unary CERTIFICATES ADDRESS CALLS STREAMS BYTES
 *              so many unary calls, STREAMS of them at a time, each with a payload of BYTES either way;
 *              prints the bytes of an answer
 *      bench-calls stream CERTIFICATES ADDRESS MEGABYTES
 *              one client stream of messages of 64 KiB; prints MB/s
 *
 * What the server spends on it, selftest/bench/run looks up.
 */
#include "channel.h"
#include "echo-common.h"
#include "lines.h"
#include "text.h"

#include "echo.pb-c.h"

#include <stdio.h>

#define CHUNK ((size_t) 64 * 1024)

struct load {
        sd_event *event;
        struct rpc_channel *channel;
        Echo__EchoRequest request;
        void (*run)(struct load *load); /* once connected */
        uint64_t to_begin, to_finish;   /* calls; of a stream's messages, to_begin alone */
        uint64_t streams;
        size_t bytes;
        uint64_t begin_usec;
        double result;
};

static void check_status(const struct rpc_status *status) {
        if (status->code != RPC_OK)
                lines_fail("%s: %s", rpc_code_name(status->code), status->message);
}

/* --- unary calls */

static void call_once(struct load *load);

static void on_answered(const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        struct load *load = userdata;

        check_status(status);
        if (--load->to_finish == 0) {
                load->result = (double) protobuf_c_message_get_packed_size(response);
                sd_event_exit(load->event, 0);
        }
        if (load->to_begin > 0)
                call_once(load);
}

static void call_once(struct load *load) {
        struct rpc_client_call *call;

        load->to_begin--;
        if (rpc_channel_unary(load->channel, &echo__echo__descriptor, "Unary", &load->request.base, NULL,
                            on_answered, load, &call) < 0)
                lines_fail("Cannot call");
}

static void run_unary(struct load *load) {
        for (uint64_t i = 0; i < load->streams && load->to_begin > 0; i++)
                call_once(load);
}

/* --- one stream */

static void on_writable(struct rpc_client_call *call, void *userdata) {
        struct load *load = userdata;
        int r = 0;

        if (load->to_begin == 0)
                return;
        while (load->to_begin > 0 && r == 0) {
                load->to_begin--;
                r = rpc_client_send(call, &load->request.base);
        }
        if (r < 0)
                lines_fail("Cannot send: %s", strerror(-r));
        if (load->to_begin == 0)
                rpc_client_half_close(call);
}

static void on_finished(
                _unused_ struct rpc_client_call *call, const struct rpc_status *status, void *userdata) {
        struct load *load = userdata;

        check_status(status);
        load->result = (double) load->bytes / (double) (now_usec(CLOCK_MONOTONIC) - load->begin_usec);
        sd_event_exit(load->event, 0);
}

static void run_stream(struct load *load) {
        static const struct rpc_client_ops ops = { .writable = on_writable, .finished = on_finished };
        struct rpc_client_call *call;

        load->bytes = load->to_begin * CHUNK;
        load->begin_usec = now_usec(CLOCK_MONOTONIC);
        if (rpc_channel_call(load->channel, &echo__echo__descriptor, "ClientStream", NULL, &ops, load,
                            &call) < 0)
                lines_fail("Cannot call");
        on_writable(call, load);
}

/* --- the channel */

static void on_state(struct rpc_channel *channel, enum rpc_channel_state state, void *userdata) {
        struct load *load = userdata;

        if (state == RPC_CHANNEL_FAILED)
                lines_fail("The connection failed: %s", rpc_channel_reason(channel));
        if (state == RPC_CHANNEL_READY)
                load->run(load);
}

static void connect_to(struct load *load, const char *certificates, const char *address) {
        struct tls_context *tls = echo_load_tls(certificates);
        struct rpc_channel_config config = { .server_name = "server",
                .tls = tls,
                .once = true,
                .state_changed = on_state,
                .userdata = load };
        const char *error;

        if (rpc_address_parse(&config.address, address, &error) < 0)
                lines_fail("%s: %s", address, error);
        if (sd_event_new(&load->event) < 0 || rpc_channel_new(&load->channel, load->event, &config) < 0)
                lines_fail("Out of memory");
        tls_context_unref(tls);
        rpc_channel_connect(load->channel);
}

int main(int argc, char *argv[]) {
        static uint8_t payload[CHUNK];
        struct load load = {};

        echo__echo_request__init(&load.request);
        load.request.payload.data = payload;
        if (argc == 7 && streq(argv[1], "unary")) {
                load.run = run_unary;
                load.to_begin = load.to_finish = echo_read_number(argv[4]);
                load.streams = echo_read_number(argv[5]);
                load.request.payload.len = MIN(echo_read_number(argv[6]), CHUNK);
        } else if (argc == 5 && streq(argv[1], "stream")) {
                load.run = run_stream;
                load.to_begin = echo_read_number(argv[4]) * 1000 * 1000 / CHUNK;
                load.request.payload.len = CHUNK;
        } else
                lines_fail("usage: see the top of bench-calls.c");

        connect_to(&load, argv[2], argv[3]);
        sd_event_loop(load.event);
        printf("%.1f\n", load.result);
        rpc_channel_free(load.channel);
        sd_event_unref(load.event);
        return EXIT_SUCCESS;
}
