/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What server.c (sockets and connections) and call.c (one call) share. */

#include "call-stats.h"
#include "call.h"
#include "http2.h"

/* A method as it is looked up by its path. */
struct server_method {
        const struct rpc_service *service;
        const ProtobufCMethodDescriptor *descriptor;
        const struct rpc_method *method; /* NULL: not offered */
        void *userdata;
};

struct server_connection {
        struct rpc_server *server;
        struct list link;
        struct http2 *http2;
        struct rpc_address address;
        struct rpc_peer peer;
        char *host;
        struct quota_account *account; /* of the address; once there is an identity, of that */
        struct quota_charge connection_charge, handshake_charge;
        bool crowded;   /* authenticated, but its identity has too many */
        bool connected; /* authenticated: peer_connected() was told */
};

/* "/package.Service/Method": fills *ret and returns true if the service is served and declares the method.
 */
bool server_find_method(struct rpc_server *server, const char *path, struct server_method *ret);

sd_event *server_event(struct rpc_server *server);
const struct rpc_server_limits *server_limits(const struct rpc_server *server);
/* Asks the owner of the server. False: it has ended the call. */
bool server_permit(struct rpc_server *server, struct rpc_call *call, const ProtobufCMessage *request);
/* The same of a call that was permitted before. */
bool server_may_go_on(struct rpc_server *server, struct rpc_call *call, const ProtobufCMessage *request);
/* Whether one line more about calls of that peer may go into the journal; *ret_suppressed as in
 * ratelimit_pass(). */
bool server_may_log(struct rpc_server *server, const char *peer, unsigned *ret_suppressed);
/* Counts: a call has begun; has ended. */
void server_call_begun(struct server_connection *connection);
void server_call_ended(struct rpc_server *server, const struct server_method *method, enum rpc_code code,
                uint64_t duration_usec);
const struct call_stats *server_call_stats(const struct rpc_server *server);
/* As what a connection counts that ended with this error before it stood. */
enum rpc_refusal server_refusal_of(int error);

/* A request's headers have come in: makes a call of them, or answers what is wrong. */
void call_open(struct server_connection *connection, struct http2_stream *stream);
/* Asks whether the stream's call may go on, unless it was asked in this review, *userdata (uint64_t). False:
 * it has ended, and its connection may have. */
bool call_review(struct http2_stream *stream, void *userdata);
