/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-internal.h"

#include "listener.h"

/* Calls of all peers, and of one; their memory is counted besides. Two watches for each VM of the largest
 * fleet. */
#define STREAMS_ALL  4096
#define STREAMS_PEER 1024

static const struct rpc_server_limits default_limits = {
        .message_bytes = 4 * 1024 * 1024,
        /* Two of the largest messages, or many small ones. */
        .connection_bytes = 8 * 1024 * 1024,
        /* Descriptors: well below the usual soft limit of 1024. */
        .connections = 512,
        /* One peer has one connection, and a few scripts; many times that is abuse. */
        .connections_per_host = 64,
        /* Each takes some ten kilobytes and a millisecond, and is to be over soon. */
        .handshakes = 128,
        /* With what stands without peers, the daemon stays below 32 MiB; half of it is the largest request
         * under way and the largest answer, and some. */
        .bytes = 20 * 1024 * 1024,
        /* More wait at the client: what gRPC's clients do without being told. */
        .streams = 256,
        .handshake_usec = 10 * USEC_PER_SEC,
        .keepalive_usec = 60 * USEC_PER_SEC,
        .keepalive_timeout_usec = 10 * USEC_PER_SEC,
};

struct rpc_server *server_ref(struct rpc_server *server) {
        server->n_refs++;
        return server;
}

struct rpc_server *server_unref(struct rpc_server *server) {
        if (--server->n_refs > 0)
                return NULL;
        tls_context_unref(server->tls);
        call_stats_free(server->stats);
        quota_unref(server->quota);
        peer_limit_clear(&server->refusals);
        peer_limit_clear(&server->failures);
        peer_limit_clear(&server->lines);
        sd_event_unref(server->event);
        free(server);
        return NULL;
}

bool server_permit(struct rpc_server *server, struct rpc_call *call, const ProtobufCMessage *request) {
        return !server->ops->permit || server->ops->permit(call, request, server->userdata);
}

bool server_may_go_on(struct rpc_server *server, struct rpc_call *call, const ProtobufCMessage *request) {
        return !server->ops->review || server->ops->review(call, request, server->userdata);
}

void server_call_begun(struct server_connection *connection) {
        connection->server->counters.calls++;
        connection->server->counters.calls_now++;
        connection->peer.calls++;
}

void server_call_ended(struct rpc_server *server, const struct server_method *method, enum rpc_code code,
                uint64_t duration_usec) {
        server->counters.calls_now--;
        server->counters.failures += code != RPC_OK;
        call_stats_add(server->stats, method->service, method->descriptor, code, duration_usec);
}

void rpc_server_get_counters(const struct rpc_server *server, struct rpc_server_counters *ret) {
        const struct server_connection *connection;

        *ret = server->counters;
        for (size_t i = 0; i < _QUOTA_RESOURCE_MAX; i++)
                ret->limited[i] = quota_refused(server->quota, i);
        LIST_FOREACH(connection, &server->connections, link)
                ret->queued_bytes += connection->http2 ? http2_out_bytes(connection->http2) : 0;
}

void rpc_server_foreach_peer(const struct rpc_server *server,
                void (*each)(const struct rpc_peer *peer, void *userdata), void *userdata) {
        const struct server_connection *connection;

        LIST_FOREACH(connection, &server->connections, link)
                if (connection->connected)
                        each(&connection->peer, userdata);
}

/* ---- services ---- */

int rpc_server_add_service(struct rpc_server *server, const struct rpc_service *service, void *userdata) {
        if (server->n_services == ELEMENTSOF(server->services))
                return -ENOSPC;
        server->services[server->n_services++] =
                        (struct server_service){ .service = service, .userdata = userdata };
        return 0;
}

const struct rpc_service *rpc_server_service(const struct rpc_server *server, size_t i) {
        return i < server->n_services ? server->services[i].service : NULL;
}

bool server_find_method(struct rpc_server *server, const char *path, struct server_method *ret) {
        const char *slash = path[0] == '/' ? strchr(path + 1, '/') : NULL;
        size_t n = slash ? (size_t) (slash - path - 1) : 0;

        for (size_t i = 0; slash && i < server->n_services; i++) {
                const struct rpc_service *service = server->services[i].service;
                const ProtobufCMethodDescriptor *descriptor;

                if (strlen(service->descriptor->name) != n ||
                                memcmp(service->descriptor->name, path + 1, n) != 0)
                        continue;
                descriptor = protobuf_c_service_descriptor_get_method_by_name(
                                service->descriptor, slash + 1);
                if (!descriptor)
                        return false;
                *ret = (struct server_method){
                        .service = service,
                        .descriptor = descriptor,
                        .userdata = server->services[i].userdata,
                };
                for (size_t j = 0; j < service->n_methods; j++)
                        if (streq(service->methods[j].name, descriptor->name))
                                ret->method = &service->methods[j];
                return true;
        }
        return false;
}

/* ---- listeners ---- */

int rpc_server_add_listener(struct rpc_server *server, int fd) {
        struct listener *listener;
        int r;

        r = listener_new(&listener, server->event, fd, server_take_connection, server);
        if (r < 0)
                return r;
        list_append(&server->listeners, &listener->link);
        return 0;
}

int rpc_server_listen(struct rpc_server *server, const struct rpc_address *address) {
        int fd = listener_bind(address);

        return fd < 0 ? fd : rpc_server_add_listener(server, fd);
}

/* ---- what was too much for the journal, when its minute is over ---- */

static void on_more_refused(const char *host, unsigned n, void *userdata) {
        struct rpc_server *server = userdata;

        if (!server->freed && server->ops->refused_more)
                server->ops->refused_more(server, host, n, server->userdata);
}

static int watch_limits(struct rpc_server *server) {
        int r;

        server->refusals = (struct peer_limit){ .more = "refused connections of", .priority = LOG_WARNING };
        server->failures =
                        (struct peer_limit){ .more = "failures of connections of", .priority = LOG_NOTICE };
        server->lines = (struct peer_limit){
                .burst = RPC_CALL_LINES, .more = "calls of", .priority = LOG_INFO
        };
        r = peer_limit_watch(&server->refusals, server->event, on_more_refused, server);
        if (r >= 0)
                r = peer_limit_watch(&server->failures, server->event, NULL, NULL);
        if (r >= 0)
                r = peer_limit_watch(&server->lines, server->event, NULL, NULL);
        return r;
}

/* ---- life ---- */

static int on_drained(sd_event_source *source _unused_, void *userdata) {
        struct rpc_server *server = userdata;

        server->drained(server, server->userdata);
        return 0;
}

void server_check_drained(struct rpc_server *server) {
        if (server->drained && !server->freed && list_is_empty(&server->connections))
                (void) sd_event_source_set_enabled(server->drained_source, SD_EVENT_ONESHOT);
}

static int make_quota(struct rpc_server *server) {
        const struct rpc_server_limits *l = &server->limits;
        struct quota_limit limits[_QUOTA_RESOURCE_MAX] = {
                [QUOTA_CONNECTIONS] = { l->connections, l->connections_per_host },
                [QUOTA_HANDSHAKES] = { l->handshakes, l->handshakes / 2 },
                [QUOTA_STREAMS] = { STREAMS_ALL, STREAMS_PEER },
                [QUOTA_BYTES] = { l->bytes, l->bytes / 2 },
        };

        for (size_t i = QUOTA_NAMES; l->resources && i < _QUOTA_RESOURCE_MAX; i++)
                limits[i] = l->resources[i];
        return quota_new(&server->quota, server->event, limits);
}

int rpc_server_new(struct rpc_server **ret, sd_event *event, const struct rpc_server_limits *limits,
                const struct rpc_server_ops *ops, void *userdata) {
        static const struct rpc_server_ops no_ops = {};
        struct rpc_server *server = calloc(1, sizeof(*server));
        const struct rpc_server_limits *d = &default_limits;
        int r;

        if (!server)
                return -ENOMEM;
        if (call_stats_new(&server->stats) < 0) {
                free(server);
                return -ENOMEM;
        }
        server->n_refs = 1;
        server->event = sd_event_ref(event);
        server->ops = ops ?: &no_ops;
        server->userdata = userdata;
        list_init(&server->listeners);
        list_init(&server->connections);
        if (!limits)
                limits = d;
        server->limits = (struct rpc_server_limits){
                .message_bytes = limits->message_bytes ?: d->message_bytes,
                .connection_bytes = limits->connection_bytes ?: d->connection_bytes,
                .connections = limits->connections ?: d->connections,
                .connections_per_host = limits->connections_per_host ?: d->connections_per_host,
                .handshakes = limits->handshakes ?: d->handshakes,
                .bytes = limits->bytes ?: d->bytes,
                .streams = limits->streams ?: d->streams,
                .resources = limits->resources,
                .handshake_usec = limits->handshake_usec ?: d->handshake_usec,
                .keepalive_usec = limits->keepalive_usec ?: d->keepalive_usec,
                .keepalive_timeout_usec = limits->keepalive_timeout_usec ?: d->keepalive_timeout_usec,
        };
        r = make_quota(server);
        if (r >= 0)
                r = watch_limits(server);
        if (r < 0) {
                server_unref(server);
                return r;
        }
        *ret = server;
        return 0;
}

int rpc_server_trust(struct rpc_server *server, const char *name) {
        return quota_trust(server->quota, name);
}

struct rpc_server *rpc_server_free(struct rpc_server *server) {
        struct server_connection *connection;
        struct listener *listener;

        if (!server)
                return NULL;
        while ((listener = LIST_FIRST(&server->listeners, struct listener, link)))
                listener_free(listener);
        while ((connection = LIST_FIRST(&server->connections, struct server_connection, link)))
                server_connection_free(connection);
        server->drained_source = sd_event_source_disable_unref(server->drained_source);
        server->freed = true;
        return server_unref(server);
}

void rpc_server_set_tls(struct rpc_server *server, struct tls_context *tls) {
        if (tls)
                tls_context_ref(tls);
        tls_context_unref(server->tls);
        server->tls = tls;
}

void rpc_server_drain(
                struct rpc_server *server, void (*drained)(struct rpc_server *server, void *userdata)) {
        struct server_connection *connection, *next;
        struct listener *listener;

        if (server->drained)
                return;
        server->drained = drained;
        while ((listener = LIST_FIRST(&server->listeners, struct listener, link)))
                listener_free(listener);
        if (sd_event_add_defer(server->event, &server->drained_source, on_drained, server) < 0) {
                drained(server, server->userdata);
                return;
        }
        (void) sd_event_source_set_enabled(server->drained_source, SD_EVENT_OFF);
        LIST_FOREACH_SAFE(connection, next, &server->connections, link)
                http2_drain(connection->http2);
        server_check_drained(server);
}

/* Until a call has ended: it may have taken others along, and connections. */
static bool review_until_end(struct rpc_server *server) {
        struct server_connection *connection;

        LIST_FOREACH(connection, &server->connections, link)
                if (connection->http2 &&
                                !http2_foreach_stream(connection->http2, call_review, &server->last_review))
                        return true;
        return false;
}

void rpc_server_review(struct rpc_server *server) {
        server_ref(server);
        server->last_review++;
        while (review_until_end(server))
                ;
        server_unref(server);
}

int rpc_server_disconnect(struct rpc_server *server, uint64_t peer_id) {
        struct server_connection *connection;

        LIST_FOREACH(connection, &server->connections, link)
                if (connection->connected && connection->peer.id == peer_id) {
                        server_ref(server);
                        server_connection_free(connection);
                        server_check_drained(server);
                        server_unref(server);
                        return 0;
                }
        return -ENOENT;
}
