/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a server may answer to one unary and one streaming call (streams 1 and 3). The first byte: bit 0, its
 * SETTINGS are said for the input; the others, in pieces of which size it comes.
 */
#include "fuzz.h"

#include "channel.h"
#include "log.h"

#include "exec.pb-c.h"
#include "health.pb-c.h"

static sd_event *event;
static struct rpc_address address;
static int listener;

static void make_world(void) {
        _cleanup_(freep) char *text = NULL;
        const char *error;

        log_set_max_level(-1);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(asprintf(&text, "@givc-fuzz-client-%i", getpid()) > 0 &&
                                        rpc_address_parse(&address, text, &error) == 0 &&
                                        sd_event_new(&event) >= 0 && listener >= 0 &&
                                        bind(listener, &address.any, address.length) == 0 &&
                                        listen(listener, 16) == 0,
                        "one can listen");
}

struct client {
        struct rpc_client_call *call;
        unsigned messages;
        bool done;
};

static void end(struct client *client, const struct rpc_status *status) {
        must(!client->done, "the end comes once");
        must(status->message && status->code < _RPC_CODE_MAX, "a status is whole");
        client->done = true;
}

static void on_unary(const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        must((status->code == RPC_OK) == (response != NULL), "OK has an answer, and nothing else has");
        end(userdata, status);
}

static void on_message(
                struct rpc_client_call *call, const ProtobufCMessage *message _unused_, void *userdata) {
        struct client *client = userdata;

        must(!client->done, "the end is the end");
        /* Now and then, not right now. */
        if (++client->messages % 3 == 0)
                rpc_client_set_reading(call, false);
}

static void on_finished(struct rpc_client_call *call, const struct rpc_status *status, void *userdata) {
        (void) rpc_client_metadata(call, "content-type");
        end(userdata, status);
}

static const struct rpc_client_ops ops = { .message = on_message, .finished = on_finished };

static void begin(struct rpc_channel *channel, struct client *unary, struct client *stream) {
        Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
        Exec__CommandRequest command = EXEC__COMMAND_REQUEST__INIT;

        must(rpc_channel_unary(channel, &grpc__health__v1__health__descriptor, "Check", &request.base, NULL,
                             on_unary, unary, &unary->call) == 0,
                        "a call can be begun");
        must(rpc_channel_call(channel, &exec__exec__descriptor, "RunCommand", NULL, &ops, stream,
                             &stream->call) == 0,
                        "a call can be begun");
        must(rpc_client_send(stream->call, &command.base) == 0, "a message can be sent");
}

static void settle(int fd, struct client *stream) {
        char requests[16 * 1024];

        do {
                while (sd_event_run(event, 0) > 0)
                        continue;
                if (!stream->done)
                        rpc_client_set_reading(stream->call, true);
        } while (recv(fd, requests, sizeof(requests), MSG_DONTWAIT) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const uint8_t settings[] = { 0, 0, 0, 4, 0, 0, 0, 0, 0 };
        struct rpc_channel_config config = { .once = true, .message_bytes = 64 * 1024 };
        uint8_t how = take_byte(&data, &size);
        size_t piece = (size_t) 1 << (how >> 1 & 15);
        struct client unary = {}, stream = {};
        struct rpc_channel *channel;
        int fd;

        if (!event)
                make_world();
        config.address = address;
        must(rpc_channel_new(&channel, event, &config) == 0, "a channel can be made");
        begin(channel, &unary, &stream);
        while (sd_event_run(event, 0) > 0)
                continue;
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        must(fd >= 0, "a channel connects");
        settle(fd, &stream);

        if (how & 1)
                (void) send(fd, settings, sizeof(settings), MSG_NOSIGNAL);
        while (size > 0) {
                ssize_t n = send(fd, data, MIN(piece, size), MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno != EAGAIN)
                        break;
                if (n > 0) {
                        data += n;
                        size -= (size_t) n;
                }
                settle(fd, &stream);
        }
        (void) shutdown(fd, SHUT_WR);
        settle(fd, &stream);
        settle(fd, &stream);
        must(unary.done && stream.done, "calls end with their connection");
        rpc_channel_free(channel);
        close(fd);
        return 0;
}
