/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server's connections: who may have one, from being taken to being told of. */
#include "server-internal.h"

#include "log.h"

/* What a handshake takes of the loop's time, by rule of thumb: it is charged to the address before it
 * begins. */
#define HANDSHAKE_USEC (2 * USEC_PER_MSEC)

struct server_connection *server_connection_free(struct server_connection *connection) {
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
static void tell_refused(struct server_connection *connection, const char *reason) {
        const struct tls_identity *claim = bytestream_peer_claim(http2_bytestream(connection->http2));
        struct rpc_server *server = connection->server;
        const struct log_fields fields = { .peer = connection->host };
        const struct rpc_refused refused = {
                .host = connection->host,
                .claimed_name = claim ? claim->name : NULL,
                .claimed_serial = claim ? claim->serial : NULL,
                .reason = reason,
        };

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

        /* Out of sight: who hears of it may free the server, and with it the connections that are listed. */
        list_remove(&connection->link);
        if (!connection->connected)
                server->counters.refused[connection->crowded ? RPC_REFUSAL_ROOM
                                                             : server_refusal_of(error)]++;
        /* One who leaves is no event; one who never got in, or broke the protocol, is. */
        if (error == 0 || error == -ECONNRESET)
                log_debug("Connection of %s ended: %s", name, reason);
        else if (connection->connected) {
                if (peer_limit_pass(&server->failures, name))
                        tell_failed(connection, reason);
        } else if (peer_limit_pass(&server->refusals, name))
                tell_refused(connection, reason);
        server_connection_free(connection);
        server_check_drained(server);
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
        server_connection_free(surplus);
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

void server_take_connection(int fd_taken, const struct rpc_address *address, void *userdata) {
        struct rpc_server *server = userdata;
        _cleanup_(freep) char *host = rpc_address_format_host(address);
        _cleanup_(closep) int fd = fd_taken;
        struct http2_config config;
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
                server_connection_free(connection);
                return;
        }
        server->counters.connections++;
        config = (struct http2_config){
                .handshake_usec = server->limits.handshake_usec,
                .keepalive_usec = server->limits.keepalive_usec,
                .keepalive_timeout_usec = server->limits.keepalive_timeout_usec,
                .streams = server->limits.streams,
                .message_bytes = server->limits.message_bytes,
                .connection_bytes = server->limits.connection_bytes,
                .ops = &http2_ops,
                .userdata = connection,
        };
        r = http2_new_server(&connection->http2, server->event, TAKE_FD(fd), server->tls, &config);
        if (r < 0) {
                log_warning_errno(r, "Cannot serve a connection from %s", connection->host);
                server_connection_free(connection);
                return;
        }
        if (server->tls)
                line_up(connection);
}
