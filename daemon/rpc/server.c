/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-internal.h"

#include "listener.h"
#include "log.h"
#include "text.h"

#define SERVICES_MAX 32
/* What a handshake takes of the loop's time, by rule of thumb: it is charged to the address before it
 * begins. */
#define HANDSHAKE_USEC (2 * USEC_PER_MSEC)
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

struct service {
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
        struct service services[SERVICES_MAX];
        size_t n_services;
        uint64_t last_peer_id, last_review;
        struct rpc_server_counters counters;
        struct call_stats *stats;
        struct quota *quota;
        struct peer_limit failures, lines; /* in the journal: of connections, of calls */
        sd_event_source *drained_source;
        void (*drained)(struct rpc_server *server, void *userdata);
};

static struct rpc_server *server_ref(struct rpc_server *server) {
        server->n_refs++;
        return server;
}

static struct rpc_server *server_unref(struct rpc_server *server) {
        if (--server->n_refs > 0)
                return NULL;
        tls_context_unref(server->tls);
        call_stats_free(server->stats);
        quota_unref(server->quota);
        sd_event_unref(server->event);
        free(server);
        return NULL;
}

sd_event *server_event(struct rpc_server *server) {
        return server->event;
}

const struct rpc_server_limits *server_limits(const struct rpc_server *server) {
        return &server->limits;
}

bool server_permit(struct rpc_server *server, struct rpc_call *call, const ProtobufCMessage *request) {
        return !server->ops->permit || server->ops->permit(call, request, server->userdata);
}

bool server_may_go_on(struct rpc_server *server, struct rpc_call *call, const ProtobufCMessage *request) {
        return !server->ops->review || server->ops->review(call, request, server->userdata);
}

bool server_may_log(struct rpc_server *server, const char *peer, unsigned *ret_suppressed) {
        return peer_limit_pass(&server->lines, peer, ret_suppressed);
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

const struct call_stats *server_call_stats(const struct rpc_server *server) {
        return server->stats;
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
        if (server->n_services == SERVICES_MAX)
                return -ENOSPC;
        server->services[server->n_services++] =
                        (struct service){ .service = service, .userdata = userdata };
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

/* ---- connections ---- */

static struct server_connection *connection_free(struct server_connection *connection) {
        struct rpc_server *server = server_ref(connection->server);

        list_remove(&connection->link);
        server->counters.connections_now--;
        /* First the calls hear gone(), then the owner, while the peer's identity still stands. */
        if (connection->http2)
                http2_abandon(connection->http2);
        if (connection->connected && !server->freed && server->ops->peer_gone)
                server->ops->peer_gone(server, &connection->peer, server->userdata);
        http2_free(connection->http2);
        quota_release(&connection->connection_charge);
        quota_release(&connection->handshake_charge);
        quota_account_unref(connection->account);
        free(connection->host);
        free(connection);
        server_unref(server);
        return NULL;
}

static int on_drained(sd_event_source *source _unused_, void *userdata) {
        struct rpc_server *server = userdata;

        server->drained(server, server->userdata);
        return 0;
}

static void check_drained(struct rpc_server *server) {
        if (server->drained && !server->freed && list_is_empty(&server->connections))
                (void) sd_event_source_set_enabled(server->drained_source, SD_EVENT_ONESHOT);
}

/* From the address's account to the identity's. 0 or a negative errno. */
static int move_account(struct server_connection *connection, const struct tls_identity *identity) {
        struct quota_account *account;
        int r;

        quota_release(&connection->handshake_charge);
        if (identity && identity->name) {
                r = quota_account_get(connection->server->quota, identity->name, true, &account);
                if (r < 0)
                        return r;
                quota_release(&connection->connection_charge);
                quota_account_unref(connection->account);
                connection->account = account;
                r = quota_charge(account, QUOTA_CONNECTIONS, 1, &connection->connection_charge);
                if (r < 0)
                        return r;
        }
        http2_set_account(connection->http2, connection->account);
        return 0;
}

static void on_ready(struct http2 *http2, void *userdata) {
        struct server_connection *connection = userdata;
        struct rpc_server *server = server_ref(connection->server);
        const struct tls_identity *identity = bytestream_peer_identity(http2_bytestream(http2));

        if (move_account(connection, identity) < 0) {
                connection->crowded = true;
                http2_terminate(http2, NGHTTP2_ENHANCE_YOUR_CALM, "too many connections of one peer");
                server_unref(server);
                return;
        }
        connection->connected = true;
        server->counters.handshakes++;
        connection->peer = (struct rpc_peer){
                .id = ++server->last_peer_id,
                .address = &connection->address,
                .host = connection->host,
                .identity = identity,
                .name = identity && identity->name ? identity->name : connection->host,
                .since_usec = now_usec(CLOCK_REALTIME),
                .account = connection->account,
        };
        if (server->ops->peer_connected)
                server->ops->peer_connected(server, &connection->peer, server->userdata);
        if (server->drained)
                http2_drain(http2);
        server_unref(server);
}

static void on_request(struct http2 *http2 _unused_, struct http2_stream *stream, void *userdata) {
        call_open(userdata, stream);
}

/* To the journal, and to the owner. */
static void tell_refused(struct server_connection *connection, const char *reason, unsigned suppressed) {
        const struct tls_identity *claim = bytestream_peer_claim(http2_bytestream(connection->http2));
        struct rpc_server *server = connection->server;
        const struct log_fields fields = { .peer = connection->host };
        const struct rpc_refused refused = {
                .host = connection->host,
                .claimed_name = claim ? claim->name : NULL,
                .claimed_serial = claim ? claim->serial : NULL,
                .reason = reason,
                .suppressed = suppressed,
        };

        if (suppressed > 0)
                log_event(LOG_WARNING, &fields, "%u more failures of connections of %s were not logged.",
                                suppressed, refused.host);
        log_event(LOG_WARNING, &fields, "Connection of %s refused: %s%s%s%s", refused.host, reason,
                        refused.claimed_name ? " (it is in the name of " : "",
                        strempty(refused.claimed_name), refused.claimed_name ? ")" : "");
        if (!server->freed && server->ops->refused)
                server->ops->refused(server, &refused, server->userdata);
}

static void tell_failed(const struct server_connection *connection, const char *reason) {
        const struct log_fields fields = { .peer = connection->peer.name };

        log_event(LOG_NOTICE, &fields, "Connection of %s failed: %s", fields.peer, reason);
}

static void on_closed(struct http2 *http2 _unused_, int error, const char *reason, void *userdata) {
        struct server_connection *connection = userdata;
        struct rpc_server *server = server_ref(connection->server);
        const char *name = connection->connected ? connection->peer.name : connection->host;
        unsigned suppressed;

        if (!connection->connected)
                server->counters.refused[connection->crowded ? RPC_REFUSAL_ROOM
                                                             : server_refusal_of(error)]++;
        /* One who leaves is no event; one who never got in, or broke the protocol, is. */
        if (error == 0 || error == -ECONNRESET)
                log_debug("Connection of %s ended: %s", name, reason);
        else if (peer_limit_pass(&server->failures, name, &suppressed)) {
                if (connection->connected)
                        tell_failed(connection, reason);
                else
                        tell_refused(connection, reason, suppressed);
        }
        connection_free(connection);
        check_drained(server);
        server_unref(server);
}

static const struct http2_ops http2_ops = {
        .ready = on_ready,
        .request = on_request,
        .closed = on_closed,
};

/*
 * Whoever has most handshakes under way, and the last one of them. Where nobody has more than one, it is the
 * first of those that say nothing, or of those that were answered, whichever are more: who has many
 * addresses could have all the room otherwise, and an honest one is soon over either.
 */
static struct server_connection *find_surplus(const struct rpc_server *server, size_t *ret_n) {
        struct server_connection *connection, *last = NULL, *first[2] = {};
        size_t count[2] = {};

        *ret_n = 0;
        LIST_FOREACH(connection, &server->connections, link) {
                bool answered;
                size_t n;

                if (!connection->handshake_charge.account)
                        continue;
                n = quota_account_used(connection->account, QUOTA_HANDSHAKES);
                if (n >= *ret_n) {
                        *ret_n = n;
                        last = connection;
                }
                answered = bytestream_has_answered(http2_bytestream(connection->http2));
                first[answered] = first[answered] ?: connection;
                count[answered]++;
        }
        return *ret_n == 1 ? first[count[true] > count[false]] : last;
}

/* When no handshake more would fit, one of who has most gives way to whoever has fewer, or none. */
static void make_room(struct rpc_server *server, const struct quota_account *newcomer) {
        struct server_connection *surplus;
        size_t n, own = quota_account_used(newcomer, QUOTA_HANDSHAKES);

        if (quota_used(server->quota, QUOTA_HANDSHAKES) + 1 < server->limits.handshakes)
                return;
        surplus = find_surplus(server, &n);
        if (!surplus || (own > 0 && n <= own + 1))
                return;
        server->counters.refused[RPC_REFUSAL_ROOM]++;
        connection_free(surplus);
}

/* Whose it is before it has shown an identity. Who is on this machine may have any number of addresses. */
static const char *account_name(const struct server_connection *connection) {
        uint8_t ip[16];

        if (connection->address.any.sa_family == AF_UNIX)
                return "unix:";
        if (rpc_address_ip(&connection->address, ip) == 4 && ip[0] == 127)
                return "127.0.0.1";
        return connection->host;
}

/* Charges a new connection to its address. 0 or a negative errno. */
static int open_account(struct server_connection *connection) {
        struct rpc_server *server = connection->server;
        int r;

        r = quota_account_get(server->quota, account_name(connection), false, &connection->account);
        if (r < 0)
                return r;
        make_room(server, connection->account);
        r = quota_charge(connection->account, QUOTA_CONNECTIONS, 1, &connection->connection_charge);
        return r < 0 ? r
                     : quota_charge(connection->account, QUOTA_HANDSHAKES, 1, &connection->handshake_charge);
}

/* Whose address has had many handshakes lately has its next ones after those of others. */
static void line_up(struct server_connection *connection) {
        enum quota_rank rank = quota_account_spend(connection->account, HANDSHAKE_USEC);

        bytestream_set_priority(
                        http2_bytestream(connection->http2), BYTESTREAM_HANDSHAKE_PRIORITY + (int64_t) rank);
}

/* For listener_new(). */
static void take_connection(int fd_taken, const struct rpc_address *address, void *userdata) {
        struct rpc_server *server = userdata;
        const struct http2_config config_base = {
                .handshake_usec = server->limits.handshake_usec,
                .keepalive_usec = server->limits.keepalive_usec,
                .keepalive_timeout_usec = server->limits.keepalive_timeout_usec,
                .streams = server->limits.streams,
                .message_bytes = server->limits.message_bytes,
                .connection_bytes = server->limits.connection_bytes,
                .ops = &http2_ops,
        };
        _cleanup_(freep) char *host = rpc_address_format_host(address);
        _cleanup_(closep) int fd = fd_taken;
        struct http2_config config = config_base;
        struct server_connection *connection;
        int r;

        connection = host ? calloc(1, sizeof(*connection)) : NULL;
        if (!connection) {
                server->counters.refused[RPC_REFUSAL_ROOM]++;
                return;
        }
        connection->server = server;
        connection->address = *address;
        connection->host = TAKE_PTR(host);
        list_append(&server->connections, &connection->link);
        server->counters.connections_now++;
        if (open_account(connection) < 0) {
                server->counters.refused[RPC_REFUSAL_ROOM]++;
                connection_free(connection);
                return;
        }
        server->counters.connections++;
        config.userdata = connection;
        r = http2_new_server(&connection->http2, server->event, TAKE_FD(fd), server->tls, &config);
        if (r < 0) {
                log_warning_errno(r, "Cannot serve a connection from %s", connection->host);
                connection_free(connection);
                return;
        }
        if (server->tls)
                line_up(connection);
}

/* ---- listeners ---- */

int rpc_server_add_listener(struct rpc_server *server, int fd) {
        struct listener *listener;
        int r;

        r = listener_new(&listener, server->event, fd, take_connection, server);
        if (r < 0)
                return r;
        list_append(&server->listeners, &listener->link);
        return 0;
}

int rpc_server_listen(struct rpc_server *server, const struct rpc_address *address) {
        int fd = listener_bind(address);

        return fd < 0 ? fd : rpc_server_add_listener(server, fd);
}

/* ---- life ---- */

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
        return quota_new(&server->quota, limits);
}

int rpc_server_new(struct rpc_server **ret, sd_event *event, const struct rpc_server_limits *limits,
                const struct rpc_server_ops *ops, void *userdata) {
        static const struct rpc_server_ops no_ops = {};
        struct rpc_server *server = calloc(1, sizeof(*server));
        const struct rpc_server_limits *d = &default_limits;

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
        server->lines.burst = RPC_CALL_LINES;
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
        if (make_quota(server) < 0) {
                server_unref(server);
                return -ENOMEM;
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
                connection_free(connection);
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
        check_drained(server);
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
                        connection_free(connection);
                        check_drained(server);
                        server_unref(server);
                        return 0;
                }
        return -ENOENT;
}
