/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "channel.h"

#include "channel-internal.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>
#include <sys/random.h>

#define CONNECT_TIMEOUT_USEC   (5 * USEC_PER_SEC)
#define BACKOFF_MIN_USEC       (250 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC       (30 * USEC_PER_SEC)
#define KEEPALIVE_USEC         (20 * USEC_PER_SEC)
#define KEEPALIVE_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define MESSAGE_BYTES          (4 * 1024 * 1024)
/* What the server's answers may take together: the largest message, decoded, is larger. */
#define ANSWER_MESSAGES 4

/* A connection of the channel's: the current one, or one that has said GOAWAY and lives for its last calls.
 */
struct channel_connection {
        struct rpc_channel *channel;
        struct list link;
        struct http2 *http2;
};

static struct channel_connection *connection_free(struct channel_connection *connection) {
        list_remove(&connection->link);
        if (connection->channel->current == connection)
                connection->channel->current = NULL;
        http2_free(connection->http2);
        free(connection);
        return NULL;
}

static void channel_connect(struct rpc_channel *channel);

static void set_state(struct rpc_channel *channel, enum rpc_channel_state state) {
        if (channel->state == state)
                return;
        channel->state = state;
        if (channel->state_changed)
                channel->state_changed(channel, state, channel->userdata);
}

static void set_reason(struct rpc_channel *channel, const char *reason) {
        free(channel->reason);
        channel->reason = strdup(reason);
}

/* ---- back-off ---- */

/* Doubling, each ± 20 %, so that a fleet that lost its admin does not come back in step. */
static uint64_t next_backoff(struct rpc_channel *channel) {
        uint64_t usec = channel->backoff_usec;
        uint16_t random;

        channel->backoff_usec = MIN(usec * 2, channel->backoff_max_usec);
        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
                random = UINT16_MAX / 2;
        return usec * 8 / 10 + usec * 4 / 10 * random / UINT16_MAX;
}

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        channel_connect(userdata);
        return 0;
}

static void connect_later(struct rpc_channel *channel) {
        uint64_t usec = next_backoff(channel);

        (void) sd_event_source_set_time_relative(channel->retry_source, usec);
        (void) sd_event_source_set_enabled(channel->retry_source, SD_EVENT_ONESHOT);
}

/* ---- the connection ---- */

/* The calls that wait for a connection hear of it at the next turn of the loop, unless they wait on. */
static void fail_waiting(struct rpc_channel *channel) {
        struct rpc_client_call *call, *next;

        LIST_FOREACH_SAFE(call, next, &channel->waiting, link)
                if (!call->wait_for_ready || channel->once)
                        client_call_fail_later(call, RPC_UNAVAILABLE, rpc_channel_reason(channel));
}

static void connection_lost(struct rpc_channel *channel) {
        if (!channel->once)
                connect_later(channel);
        fail_waiting(channel);
        set_state(channel, RPC_CHANNEL_FAILED);
}

static void on_ready(struct http2 *http2 _unused_, void *userdata) {
        struct channel_connection *connection = userdata;
        struct rpc_channel *channel = channel_ref(connection->channel);
        struct rpc_client_call *call;

        channel->backoff_usec = channel->backoff_min_usec;
        set_reason(channel, "");
        set_state(channel, RPC_CHANNEL_READY);
        while (channel->current == connection &&
                        (call = LIST_FIRST(&channel->waiting, struct rpc_client_call, link)))
                client_call_begin(call, connection->http2);
        channel_unref(channel);
}

static void on_goaway(struct http2 *http2, void *userdata) {
        struct channel_connection *connection = userdata;
        struct rpc_channel *channel = connection->channel;

        if (channel->current != connection)
                return;
        channel->current = NULL;
        /* Ends by itself when its last call has. */
        http2_drain(http2);
        set_reason(channel, "the server is going away");
        connection_lost(channel);
}

static void on_closed(struct http2 *http2 _unused_, int error _unused_, const char *reason, void *userdata) {
        struct channel_connection *connection = userdata;
        struct rpc_channel *channel = channel_ref(connection->channel);
        bool current = channel->current == connection;

        /* The reason may be the connection's. */
        if (current)
                set_reason(channel, reason);
        connection_free(connection);
        if (current && !channel->freed)
                connection_lost(channel);
        channel_unref(channel);
}

static const struct http2_ops http2_ops = {
        .ready = on_ready,
        .goaway = on_goaway,
        .closed = on_closed,
};

static void channel_connect(struct rpc_channel *channel) {
        const struct http2_config config_base = {
                .handshake_usec = channel->connect_timeout_usec,
                .keepalive_usec = channel->keepalive_usec,
                .keepalive_timeout_usec = channel->keepalive_timeout_usec,
                .message_bytes = channel->message_bytes,
                .connection_bytes = channel->message_bytes * 2,
                .ops = &http2_ops,
        };
        struct channel_connection *connection;
        struct http2_config config = config_base;
        int r;

        (void) sd_event_source_set_enabled(channel->retry_source, SD_EVENT_OFF);
        connection = calloc(1, sizeof(*connection));
        if (!connection) {
                connect_later(channel);
                return;
        }
        connection->channel = channel;
        list_append(&channel->connections, &connection->link);
        channel->current = connection;
        config.userdata = connection;
        set_state(channel, RPC_CHANNEL_CONNECTING);
        r = http2_new_client(&connection->http2, channel->event, &channel->address, channel->tls,
                        channel->server_name, &config);
        if (r < 0) {
                connection_free(connection);
                set_reason(channel, strerror(-r));
                connection_lost(channel);
        }
}

/* ---- the channel ---- */

struct rpc_channel *channel_ref(struct rpc_channel *channel) {
        channel->n_refs++;
        return channel;
}

struct rpc_channel *channel_unref(struct rpc_channel *channel) {
        if (--channel->n_refs > 0)
                return NULL;
        sd_event_source_disable_unref(channel->retry_source);
        sd_event_source_disable_unref(channel->deferred_source);
        tls_context_unref(channel->tls);
        sd_event_unref(channel->event);
        free(channel->server_name);
        free(channel->authority);
        free(channel->reason);
        free(channel);
        return NULL;
}

/* RFC 9113, 8.3.1 :authority. A path is none: gRPC's clients say "localhost" where they do not speak TCP. */
static char *make_authority(const struct rpc_channel_config *config) {
        sa_family_t family = config->address.any.sa_family;

        if (config->server_name)
                return strdup(config->server_name);
        if (family == AF_INET || family == AF_INET6)
                return rpc_address_format(&config->address);
        return strdup("localhost");
}

int rpc_channel_new(struct rpc_channel **ret, sd_event *event, const struct rpc_channel_config *config) {
        struct rpc_channel *channel = calloc(1, sizeof(*channel));
        int r;

        if (!channel)
                return -ENOMEM;
        *channel = (struct rpc_channel){
                .n_refs = 1,
                .event = sd_event_ref(event),
                .address = config->address,
                .tls = config->tls ? tls_context_ref(config->tls) : NULL,
                .server_name = config->server_name ? strdup(config->server_name) : NULL,
                .connect_timeout_usec = config->connect_timeout_usec ?: CONNECT_TIMEOUT_USEC,
                .backoff_min_usec = config->backoff_min_usec ?: BACKOFF_MIN_USEC,
                .backoff_max_usec = config->backoff_max_usec ?: BACKOFF_MAX_USEC,
                .keepalive_usec = config->keepalive_usec ?: KEEPALIVE_USEC,
                .keepalive_timeout_usec = config->keepalive_timeout_usec ?: KEEPALIVE_TIMEOUT_USEC,
                .message_bytes = config->message_bytes ?: MESSAGE_BYTES,
                .once = config->once,
                .state_changed = config->state_changed,
                .userdata = config->userdata,
        };
        channel->budget.limit = channel->message_bytes * ANSWER_MESSAGES;
        list_init(&channel->connections);
        list_init(&channel->waiting);
        list_init(&channel->running);
        list_init(&channel->deferred);
        channel->backoff_usec = channel->backoff_min_usec;
        channel->authority = make_authority(config);
        r = !channel->authority || (config->server_name && !channel->server_name) ? -ENOMEM : 0;
        if (r >= 0)
                r = sd_event_add_time(event, &channel->retry_source, CLOCK_MONOTONIC, UINT64_MAX, 0,
                                on_retry, channel);
        if (r >= 0)
                r = sd_event_source_set_enabled(channel->retry_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &channel->deferred_source, client_call_on_deferred, channel);
        if (r >= 0)
                r = sd_event_source_set_enabled(channel->deferred_source, SD_EVENT_OFF);
        if (r < 0) {
                channel_unref(channel);
                return r;
        }
        *ret = channel;
        return 0;
}

static void cancel_calls(struct list *calls) {
        struct rpc_client_call *call;

        while ((call = LIST_FIRST(calls, struct rpc_client_call, link)))
                client_call_fail(call, RPC_CANCELLED, "the channel is closed");
}

struct rpc_channel *rpc_channel_free(struct rpc_channel *channel) {
        struct channel_connection *connection;

        if (!channel)
                return NULL;
        channel->freed = true;
        channel->state_changed = NULL;
        (void) sd_event_source_set_enabled(channel->retry_source, SD_EVENT_OFF);
        cancel_calls(&channel->waiting);
        cancel_calls(&channel->running);
        cancel_calls(&channel->deferred);
        while ((connection = LIST_FIRST(&channel->connections, struct channel_connection, link)))
                connection_free(connection);
        return channel_unref(channel);
}

void rpc_channel_connect(struct rpc_channel *channel) {
        if (!channel->current && (channel->state == RPC_CHANNEL_IDLE || channel->once))
                channel_connect(channel);
}

enum rpc_channel_state rpc_channel_get_state(const struct rpc_channel *channel) {
        return channel->state;
}

const char *rpc_channel_reason(const struct rpc_channel *channel) {
        return strempty(channel->reason);
}

void rpc_channel_set_tls(struct rpc_channel *channel, struct tls_context *tls) {
        if (tls)
                tls_context_ref(tls);
        tls_context_unref(channel->tls);
        channel->tls = tls;
}

void channel_submit(struct rpc_channel *channel, struct rpc_client_call *call) {
        if (channel->state == RPC_CHANNEL_READY && channel->current) {
                client_call_begin(call, channel->current->http2);
                return;
        }
        if (channel->state == RPC_CHANNEL_FAILED && (!call->wait_for_ready || channel->once)) {
                client_call_fail_later(call, RPC_UNAVAILABLE, rpc_channel_reason(channel));
                return;
        }
        list_append(&channel->waiting, &call->link);
        rpc_channel_connect(channel);
}
