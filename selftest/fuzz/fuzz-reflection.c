/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ServerReflectionRequest, asked of a real server over a connection that stands, and of the index beneath.
 */
#include "fuzz.h"

#include "channel.h"
#include "log.h"
#include "message.h"
#include "reflection.h"

#include "descriptors.h"
#include "reflection_v1.pb-c.h"

static struct {
        sd_event *event;
        struct rpc_server *server;
        struct rpc_reflection *reflection;
        struct rpc_channel *channel;
        struct rpc_client_call *call;
        bool answered;
} world;

typedef Grpc__Reflection__V1__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1__ServerReflectionResponse Response;

static void on_message(struct rpc_client_call *call _unused_, const ProtobufCMessage *message,
                void *userdata _unused_) {
        const Response *response = (const Response *) message;

        must(response->message_response_case !=
                                        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE__NOT_SET,
                        "every question has an answer");
        world.answered = true;
}

static void on_finished(struct rpc_client_call *call _unused_, const struct rpc_status *status,
                void *userdata _unused_) {
        (void) fprintf(stderr, "%s: %s\n", rpc_code_name(status->code), status->message);
        must(false, "a question does not end the conversation");
}

static void make_world(void) {
        static const struct rpc_client_ops ops = { .message = on_message, .finished = on_finished };
        struct rpc_channel_config config = { .keepalive_usec = USEC_PER_SEC * 3600 };
        _cleanup_(freep) char *text = NULL;
        const char *error;

        log_set_max_level(-1);
        must(asprintf(&text, "@givc-fuzz-reflection-%i", getpid()) > 0 &&
                                        rpc_address_parse(&config.address, text, &error) == 0 &&
                                        sd_event_new(&world.event) >= 0 &&
                                        rpc_server_new(&world.server, world.event, NULL, NULL, NULL) == 0 &&
                                        rpc_reflection_new(&world.reflection, world.server, givc_descriptors,
                                                        givc_descriptors_size()) == 0 &&
                                        rpc_server_listen(world.server, &config.address) == 0 &&
                                        rpc_channel_new(&world.channel, world.event, &config) == 0 &&
                                        rpc_channel_call(world.channel,
                                                        &grpc__reflection__v1__server_reflection__descriptor,
                                                        "ServerReflectionInfo", NULL, &ops, NULL,
                                                        &world.call) == 0,
                        "a server can be made");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(arena_clear) struct arena arena = {};
        ProtobufCMessage *request;

        if (!world.server)
                make_world();
        arena_init(&arena, 1024 * 1024);
        if (message_decode(&grpc__reflection__v1__server_reflection_request__descriptor, data, size, &arena,
                            &request) < 0)
                return 0;
        world.answered = false;
        must(rpc_client_send(world.call, request) >= 0, "a question can be asked");
        while (!world.answered)
                must(sd_event_run(world.event, 10 * USEC_PER_SEC) > 0, "an answer comes");
        return 0;
}
