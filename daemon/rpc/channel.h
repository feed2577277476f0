/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A gRPC client: a channel to one address, with one connection that is made, held and made again, and calls
 * on it.
 */

#include "address.h"
#include "status.h"
#include "tls.h"

#include <protobuf-c/protobuf-c.h>
#include <systemd/sd-event.h>

struct rpc_channel;
struct rpc_client_call;

enum rpc_channel_state {
        RPC_CHANNEL_IDLE, /* not asked to connect */
        RPC_CHANNEL_CONNECTING,
        RPC_CHANNEL_READY,
        RPC_CHANNEL_FAILED, /* waits to try again: rpc_channel_reason() says why */
};

struct rpc_channel_config {
        struct rpc_address address;
        struct tls_context *tls; /* NULL: in clear; the channel takes a reference */
        const char *server_name; /* SNI and expected DNS name, and :authority; copied */
        /* zero takes the default */
        uint64_t connect_timeout_usec;                   /* one attempt, handshake included: 5 s */
        uint64_t backoff_min_usec, backoff_max_usec;     /* 250 ms doubling to 30 s, each ± 20 % */
        uint64_t keepalive_usec, keepalive_timeout_usec; /* PING after silence; as in server.h */
        size_t message_bytes;                            /* largest message: 4 MiB */
        bool once; /* do not connect again by itself: calls fail with the reason */
        /* Told of every change; may be NULL. Must not free the channel. */
        void (*state_changed)(struct rpc_channel *channel, enum rpc_channel_state state, void *userdata);
        void *userdata;
};

int rpc_channel_new(struct rpc_channel **ret, sd_event *event, const struct rpc_channel_config *config);
/* Ends every call with CANCELLED, told before it returns. May be called from a call's callback. */
struct rpc_channel *rpc_channel_free(struct rpc_channel *channel);
DEFINE_CLEANUP(struct rpc_channel, rpc_channel_free)

/* Connects now, and from now on whenever the connection is lost (unless once). The first call does it, too.
 */
void rpc_channel_connect(struct rpc_channel *channel);
enum rpc_channel_state rpc_channel_get_state(const struct rpc_channel *channel);
/* Why the last attempt or connection failed: "" where none did. */
const char *rpc_channel_reason(const struct rpc_channel *channel);
/* The certificates for the next connection; this one stands. */
void rpc_channel_set_tls(struct rpc_channel *channel, struct tls_context *tls);

struct rpc_client_ops {
        /* The headers of an answer: the server is at it. Not told of calls that end at once. May be NULL. */
        void (*accepted)(struct rpc_client_call *call, void *userdata);
        /* One answer. It lasts until the function returns. */
        void (*message)(struct rpc_client_call *call, const ProtobufCMessage *message, void *userdata);
        /* What is queued has fallen below the low mark. May be NULL. */
        void (*writable)(struct rpc_client_call *call, void *userdata);
        /* The end, once; the call is freed when it returns. */
        void (*finished)(struct rpc_client_call *call, const struct rpc_status *status, void *userdata);
};

struct rpc_client_options {
        uint64_t deadline_usec; /* CLOCK_MONOTONIC; 0: none. Sent as grpc-timeout */
        /* While there is no connection: wait for one until the deadline, rather than fail with UNAVAILABLE.
         */
        bool wait_for_ready;
        /* Sent with the request: key, value, key, value, …, NULL; may be NULL. */
        const char *const *metadata;
};

/*
 * Opens a call of the named method of a service. *ret is valid until finished() returns or
 * rpc_client_cancel(). Failures that are known at once are told by finished(), later. Returns 0, -EINVAL (no
 * such method), -ENOMEM, -ECANCELED (the channel is being freed).
 */
int rpc_channel_call(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
                const char *method, const struct rpc_client_options *options,
                const struct rpc_client_ops *ops, void *userdata, struct rpc_client_call **ret);

/* Queues a message: as rpc_call_send(). */
int rpc_client_send(struct rpc_client_call *call, const ProtobufCMessage *message);
/* No more messages from here. */
void rpc_client_half_close(struct rpc_client_call *call);
/* Abandons the call and frees it: RST_STREAM(CANCEL); no callback follows. Returns NULL. */
struct rpc_client_call *rpc_client_cancel(struct rpc_client_call *call);
/* Turning it on may tell message() and finished() before it returns. */
void rpc_client_set_reading(struct rpc_client_call *call, bool on);
size_t rpc_client_queued(const struct rpc_client_call *call);
/* A header or trailer of the answer's, or NULL; valid in finished() and, for headers, from the first message
 * on. */
const char *rpc_client_metadata(const struct rpc_client_call *call, const char *key);

/* One message, one answer: response is NULL unless status->code is RPC_OK. */
typedef void (*rpc_unary_done_t)(
                const struct rpc_status *status, const ProtobufCMessage *response, void *userdata);
/* *ret (may be NULL) can be given to rpc_client_cancel() until done is called. */
int rpc_channel_unary(struct rpc_channel *channel, const ProtobufCServiceDescriptor *service,
                const char *method, const ProtobufCMessage *request,
                const struct rpc_client_options *options, rpc_unary_done_t done, void *userdata,
                struct rpc_client_call **ret);
