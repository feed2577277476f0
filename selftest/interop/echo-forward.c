/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "channel.h"
#include "echo-server.h"

#include "lines.h"

/* One call on its way: a channel of its own, since tests forward a call or two. */
struct forward {
        struct rpc_call *call;
        struct rpc_channel *channel;
        struct rpc_client_call *onward;
        char *tag;
};

static void forward_free(struct forward *forward) {
        rpc_channel_free(forward->channel);
        free(forward->tag);
        free(forward);
}

static void on_done(const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        struct forward *forward = userdata;

        if (status->code == RPC_OK)
                rpc_call_reply(forward->call, response);
        else
                rpc_call_finish(forward->call, status);
        forward_free(forward);
}

static void on_gone(_unused_ struct rpc_call *call, void *userdata) {
        struct forward *forward = userdata;

        echo_event("gone", forward->tag);
        rpc_client_cancel(forward->onward);
        forward_free(forward);
}

void echo_forward(struct echo_server *echo, struct rpc_call *call, const Echo__EchoRequest *request) {
        static const struct rpc_call_ops ops = { .gone = on_gone };
        struct rpc_channel_config config = { .tls = echo->tls, .server_name = "server", .once = true };
        struct rpc_client_options options = { .wait_for_ready = true };
        Echo__EchoRequest onward = *request;
        struct forward *forward;
        const char *error;

        forward = calloc(1, sizeof(*forward));
        if (!forward || rpc_address_parse(&config.address, request->forward, &error) < 0 ||
                        rpc_channel_new(&forward->channel, echo->event, &config) < 0)
                lines_fail("Cannot forward to %s", request->forward);
        forward->call = call;
        forward->tag = strdup(request->tag);
        rpc_call_set_ops(call, &ops, forward);
        if (rpc_call_deadline(call) != USEC_INFINITY)
                options.deadline_usec = rpc_call_deadline(call);
        onward.forward = (char *) "";
        if (rpc_channel_unary(forward->channel, &echo__echo__descriptor, "Unary", &onward.base, &options,
                            on_done, forward, &forward->onward) < 0)
                lines_fail("Cannot call %s", request->forward);
}
