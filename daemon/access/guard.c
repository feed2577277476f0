/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guard.h"

#include "log.h"
#include "message-ids.h"
#include "peer-limit.h"
#include "text.h"

struct access_guard {
        struct access_guard_config config;
        struct peer_limit refusals;
        uint64_t logged_id; /* the newest connection of which was said what is wrong with it */
};

int access_guard_new(struct access_guard **ret, const struct access_guard_config *config) {
        struct access_guard *guard;

        guard = malloc(sizeof(*guard));
        if (!guard)
                return -ENOMEM;
        *guard = (struct access_guard){ .config = *config, .refusals = PEER_LIMIT_NULL };
        *ret = guard;
        return 0;
}

struct access_guard *access_guard_free(struct access_guard *guard) {
        free(guard);
        return NULL;
}

/* RPC_OK, or why this peer is not accepted, with a text on the heap (NULL: ENOMEM). */
static enum rpc_code judge_peer(
                const struct access_guard *guard, const struct rpc_peer *peer, char **ret_reason) {
        uint8_t ip[16];
        size_t n;

        if (!guard->config.tls)
                return RPC_OK;

        if (!peer->identity || isempty(peer->identity->name)) {
                *ret_reason = text_printf("certificate has no DNS name");
                return RPC_UNAUTHENTICATED;
        }

        /* Unix sockets and vsock have no IP: there, the name alone is who it is. */
        n = rpc_address_ip(peer->address, ip);
        if (n > 0 && !tls_identity_has_ip(peer->identity, ip, n)) {
                *ret_reason = text_printf("IP %s not in certificate SAN", peer->host);
                return RPC_PERMISSION_DENIED;
        }
        return RPC_OK;
}

static void log_refusal(struct access_guard *guard, const struct rpc_peer *peer, const char *method,
                enum rpc_code code, const char *reason) {
        struct log_fields fields = {
                .message_id = GIVC_MESSAGE_CERTIFICATE_REFUSED,
                .method = method,
                .peer = peer->name,
                .status = rpc_code_name(code),
        };
        _cleanup_(freep) char *name = NULL;
        unsigned suppressed;

        /* Once a connection, however many calls it makes. Numbers of connections grow. */
        if (peer->id <= guard->logged_id)
                return;
        guard->logged_id = peer->id;
        if (!peer_limit_pass(&guard->refusals, peer->name, &suppressed))
                return;
        name = text_escape(peer->name, strlen(peer->name), 253);
        if (suppressed > 0)
                log_event(LOG_WARNING, &fields, "%u more refusals of certificate of %s were not logged.",
                                suppressed, strempty(name));
        log_event(LOG_WARNING, &fields, "Refused certificate of %s from %s, serial %s: %s", strempty(name),
                        peer->host, peer->identity ? strempty(peer->identity->serial) : "none",
                        strempty(reason));
}

bool access_guard_permit(
                struct rpc_call *call, const ProtobufCMessage *request, struct access_guard *guard) {
        const struct rpc_peer *peer = rpc_call_peer(call);
        _cleanup_(freep) char *reason = NULL;
        enum rpc_code code;

        code = judge_peer(guard, peer, &reason);
        if (code == RPC_OK)
                return true;
        log_refusal(guard, peer, rpc_call_path(call) + 1, code, reason);
        rpc_call_fail(call, code, "%s", reason ?: "certificate refused");
        return false;
}

void access_guard_peer(const struct rpc_peer *peer, struct access_guard *guard) {
        _cleanup_(freep) char *reason = NULL;
        enum rpc_code code;

        code = judge_peer(guard, peer, &reason);
        if (code != RPC_OK)
                log_refusal(guard, peer, NULL, code, reason);
}
