/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What channel.c (the connection) and client-call.c (one call) share. */

#include "channel.h"
#include "http2.h"

struct rpc_channel {
        unsigned n_refs; /* the owner's, each call's, and one for each function of ours that runs on it */
        sd_event *event;
        struct rpc_address address;
        struct tls_context *tls;
        char *server_name, *authority;
        uint64_t connect_timeout_usec, backoff_min_usec, backoff_max_usec;
        uint64_t keepalive_usec, keepalive_timeout_usec;
        size_t message_bytes;
        /* of all connections: messages under assembly, and answers that are kept until their call ends */
        struct message_budget budget;
        bool once, freed;
        void (*state_changed)(struct rpc_channel *channel, enum rpc_channel_state state, void *userdata);
        void *userdata;

        enum rpc_channel_state state;
        char *reason;
        uint64_t backoff_usec; /* of the next failure */
        sd_event_source *retry_source;
        struct list connections;
        struct channel_connection *current; /* connecting or ready; NULL while failed */
        struct list waiting;                /* calls for which there is no connection yet */
        struct list running;                /* calls that have a stream */
        struct list deferred;               /* calls whose failure is told at the next turns of the loop */
        sd_event_source *deferred_source;   /* made with the channel: to fail must take no memory */
};

struct rpc_client_call {
        struct rpc_channel *channel;
        struct list link;            /* in channel->waiting, running or deferred; else in none */
        struct http2_stream *stream; /* NULL before and after */
        const ProtobufCMethodDescriptor *method;
        char *path;
        char **metadata;
        bool wait_for_ready;
        uint64_t deadline_usec;
        bool deadline_jumped;
        sd_event_source *deadline_source;

        const struct rpc_client_ops *ops;
        void *userdata;
        rpc_unary_done_t unary_done; /* a unary call's, which then has no ops of the caller's */
        ProtobufCMessage *unary_response;
        struct arena unary_arena; /* all of it is charged to the channel's budget */

        struct http2_chunk *queued, **queued_last; /* before there is a stream */
        size_t queued_bytes;
        bool half_closed, reading_off;

        struct message_reader reader;
        enum rpc_code error; /* what we found wrong ourselves: it wins */
        char *error_message;
        bool finished;
        unsigned inside; /* callbacks under way: freed when the last one is left */
};

struct rpc_channel *channel_ref(struct rpc_channel *channel);
struct rpc_channel *channel_unref(struct rpc_channel *channel);
/* Sends the call on its way: now, when there is a connection, or to its failure. */
void channel_submit(struct rpc_channel *channel, struct rpc_client_call *call);

/* Opens the call's stream and sends what is queued. Takes it off the list it is in. */
void client_call_begin(struct rpc_client_call *call, struct http2 *http2);
/* Ends the call with this status: now, or at a next turn of the loop. */
void client_call_fail(struct rpc_client_call *call, enum rpc_code code, const char *message);
void client_call_fail_later(struct rpc_client_call *call, enum rpc_code code, const char *message);
/* The handler of channel->deferred_source. */
int client_call_on_deferred(sd_event_source *source, void *userdata);
