/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What server.c (services, listeners, its life), server-connection.c (connections) and call.c (one call)
 * share. */

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

struct server_service {
        const struct rpc_service *service;
        void *userdata;
};

struct rpc_server {
        unsigned n_refs; /* the owner's, and one for each function of ours that calls its owner */
        bool freed;
        sd_event *event;
        struct rpc_server_limits limits;
        const struct rpc_server_ops *ops;
        void *userdata;
        struct tls_context *tls;
        struct list listeners, connections;
        struct server_service services[32];
        size_t n_services;
        uint64_t last_peer_id, last_review;
        struct rpc_server_counters counters;
        struct call_stats *stats;
        struct quota *quota;
        struct peer_limit refusals, failures, lines; /* in the journal: of connections twice, of calls */
        sd_event_source *drained_source;
        void (*drained)(struct rpc_server *server, void *userdata);
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

/* Asks the owner of the server. False: it has ended the call. */
bool server_permit(struct rpc_server *server, struct rpc_call *call, const ProtobufCMessage *request);
/* The same of a call that was permitted before. */
bool server_may_go_on(struct rpc_server *server, struct rpc_call *call, const ProtobufCMessage *request);
/* Counts: a call has begun; has ended. */
void server_call_begun(struct server_connection *connection);
void server_call_ended(struct rpc_server *server, const struct server_method *method, enum rpc_code code,
                uint64_t duration_usec);
/* Around what calls the owner, who may free the server in there. */
struct rpc_server *server_ref(struct rpc_server *server);
struct rpc_server *server_unref(struct rpc_server *server);
/* Has drained() told, later, where that is asked for and there is no connection any more. */
void server_check_drained(struct rpc_server *server);
/* As what a connection counts that ended with this error before it stood. */
enum rpc_refusal server_refusal_of(int error);

/* For listener_new(), with the server as userdata: serves the connection, or closes it. */
void server_take_connection(int fd, const struct rpc_address *address, void *userdata);
/* Its calls hear gone(), then the owner peer_gone(): either may free the server. Returns NULL. */
struct server_connection *server_connection_free(struct server_connection *connection);

/* A request's headers have come in: makes a call of them, or answers what is wrong. */
void call_open(struct server_connection *connection, struct http2_stream *stream);
/* Asks whether the stream's call may go on, unless it was asked in this review, *userdata (uint64_t). False:
 * it has ended, and its connection may have. */
bool call_review(struct http2_stream *stream, void *userdata);
