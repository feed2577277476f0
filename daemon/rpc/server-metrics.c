/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server-internal.h"

static const char *const refusal_names[] = {
        [RPC_REFUSAL_ROOM] = "room",
        [RPC_REFUSAL_CERTIFICATE] = "certificate",
        [RPC_REFUSAL_PROTOCOL] = "protocol",
        [RPC_REFUSAL_TIMEOUT] = "timeout",
        [RPC_REFUSAL_CLOSED] = "closed",
        [RPC_REFUSAL_OTHER] = "other",
};

enum rpc_refusal server_refusal_of(int error) {
        switch (error) {
        case 0:
        case -ECONNRESET:
        case -EPIPE:
                return RPC_REFUSAL_CLOSED;
        case -ETIMEDOUT:
                return RPC_REFUSAL_TIMEOUT;
        case -EKEYREJECTED:
        case -EKEYEXPIRED:
        case -EKEYREVOKED:
        case -EACCES:
                return RPC_REFUSAL_CERTIFICATE;
        case -EPROTO:
        case -EPROTONOSUPPORT:
        case -EBADMSG:
                return RPC_REFUSAL_PROTOCOL;
        default:
                return RPC_REFUSAL_OTHER;
        }
}

void rpc_server_write_metrics(const struct rpc_server *server, struct openmetrics *metrics) {
        struct rpc_server_counters counters;

        rpc_server_get_counters(server, &counters);
        call_stats_write(server->stats, metrics);
        openmetrics_gauge(metrics, "calls_in_progress", NULL, "Calls that have not ended.",
                        counters.calls_now);
        openmetrics_counter(metrics, "connections", "Connections that were taken.", counters.connections);
        openmetrics_gauge(metrics, "connections_open", NULL, "Connections, handshakes in progress included.",
                        counters.connections_now);
        openmetrics_counter(metrics, "handshakes", "Connections whose handshake has succeeded.",
                        counters.handshakes);
        openmetrics_gauge(metrics, "queued_bytes", "bytes", "Answers that wait for peers to read them.",
                        counters.queued_bytes);

        openmetrics_family(metrics, OPENMETRICS_COUNTER, "limited", NULL,
                        "What was refused to peers that took more than their share.");
        for (size_t i = QUOTA_NONE + 1; i < _QUOTA_RESOURCE_MAX; i++)
                openmetrics_uint(metrics, "_total", counters.limited[i], "resource", quota_resource_name(i),
                                NULL);

        openmetrics_family(metrics, OPENMETRICS_COUNTER, "connections_refused", NULL,
                        "Connections that did not get past their handshake, by what was in the way.");
        for (size_t i = 0; i < ELEMENTSOF(refusal_names); i++)
                openmetrics_uint(metrics, "_total", counters.refused[i], "reason", refusal_names[i], NULL);
}
