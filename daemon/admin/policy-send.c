/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy-send.h"

#include "policyadmin.pb-c.h"

/* One message: what a file of usual size fits into, and little beside RPC_CALL_HIGH. */
#define CHUNK_BYTES (64 * 1024)

struct policy_send {
        struct rpc_client_call *call; /* NULL: it has ended */
        const struct policy *policy;
        policy_sent_t sent;
        void *userdata;
        int fd;
        bool begun;   /* the first message, which has the name */
        bool success; /* the agent says so */
};

/* ---- sending ---- */

/* 1: wait until more can be sent; 0: there is more; -ENODATA: that was the last; or what went wrong. */
static int send_chunk(struct policy_send *send) {
        Policyadmin__StreamPolicyRequest request = POLICYADMIN__STREAM_POLICY_REQUEST__INIT;
        uint8_t data[CHUNK_BYTES];
        ssize_t n;
        int r;

        n = read(send->fd, data, sizeof(data));
        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        if (n == 0 && send->begun)
                return -ENODATA;
        if (!send->begun)
                request.policy_name = send->policy->name;
        request.policy_chunk = (ProtobufCBinaryData){ .data = data, .len = (size_t) n };
        r = rpc_client_send(send->call, &request.base);
        send->begun = true;
        return r;
}

/* As much as is taken now. */
static int send_more(struct policy_send *send) {
        int r;

        do
                r = send_chunk(send);
        while (r == 0);
        if (r != -ENODATA)
                return r < 0 ? r : 0;
        rpc_client_half_close(send->call);
        return 0;
}

static void writable(struct rpc_client_call *call, void *userdata) {
        const struct rpc_status failed = { .code = RPC_INTERNAL, .message = "its file cannot be read" };
        struct policy_send *send = userdata;

        if (send_more(send) < 0) {
                send->call = rpc_client_cancel(send->call);
                send->sent(&failed, send->userdata);
        }
}

static void answered(struct rpc_client_call *call, const ProtobufCMessage *message, void *userdata) {
        struct policy_send *send = userdata;

        send->success = streq(((const Policyadmin__Status *) message)->status, "Success");
}

static void finished(struct rpc_client_call *call, const struct rpc_status *status, void *userdata) {
        const struct rpc_status refused = { .code = RPC_FAILED_PRECONDITION,
                .message = "the agent does not say that it has succeeded" };
        struct policy_send *send = userdata;

        send->call = NULL;
        send->sent(status->code == RPC_OK && !send->success ? &refused : status, send->userdata);
}

int policy_send_new(struct policy_send **ret, const struct policies *policies, const struct policy *policy,
                struct rpc_channel *channel, uint64_t deadline_usec, policy_sent_t sent, void *userdata) {
        static const struct rpc_client_ops ops = {
                .message = answered,
                .writable = writable,
                .finished = finished,
        };
        const struct rpc_client_options options = { .deadline_usec = deadline_usec };
        _cleanup_(policy_send_freep) struct policy_send *send = NULL;
        int r;

        send = calloc(1, sizeof(*send));
        if (!send)
                return -ENOMEM;
        *send = (struct policy_send){ .policy = policy, .sent = sent, .userdata = userdata };
        send->fd = policies_open(policies, policy);
        if (send->fd < 0)
                return send->fd;
        r = rpc_channel_call(channel, &policyadmin__policy_admin__descriptor, "StreamPolicy", &options, &ops,
                        send, &send->call);
        if (r < 0)
                return r;
        r = send_more(send);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(send);
        return 0;
}

struct policy_send *policy_send_free(struct policy_send *send) {
        if (!send)
                return NULL;
        if (send->call)
                rpc_client_cancel(send->call);
        close_fd(send->fd);
        free(send);
        return NULL;
}
