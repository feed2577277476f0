/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"

#include "arena.h"
#include "call.h"
#include "log.h"
#include "message-ids.h"
#include "policy-install.h"
#include "text.h"

#include "policyadmin.pb-c.h"

/* At once: when the admin is there again, it sends all of them. */
#define STREAMS_MAX CONFIG_POLICIES_MAX

/* A policy while it comes; in its call's arena. */
struct transfer {
        struct manager *manager;
        struct rpc_call *call;
        char *name; /* NULL: nothing has come */
        int fd;     /* what has come, in a file without a name: it goes with us, whatever happens */
        size_t size;
};

static const struct config_policy *find_policy(const struct config *config, const char *name) {
        for (size_t i = 0; i < config->policy.n_policies; i++)
                if (streq(config->policy.policies[i].name, name))
                        return &config->policy.policies[i];
        return NULL;
}

/* ---- the end ---- */

static void transfer_end(struct transfer *transfer) {
        transfer->fd = close_fd(transfer->fd);
        transfer->manager->n_policies--;
}

static void transfer_fail(struct transfer *transfer, enum rpc_code code, const char *text) {
        const struct log_fields fields = {
                .message_id = GIVC_MESSAGE_POLICY_REFUSED,
                .method = rpc_call_path(transfer->call) + 1,
                .peer = rpc_call_peer(transfer->call)->name,
                .status = rpc_code_name(code),
        };

        if (peer_limit_pass(&transfer->manager->refusals, fields.peer, NULL))
                log_event(LOG_WARNING, &fields, "%s: a policy is not installed: %s", fields.peer, text);
        transfer_end(transfer);
        rpc_call_fail(transfer->call, code, "%s", text);
}

/* The unit of ours lets the agent write where policies go by custom, and nowhere else. */
static const char *write_error(int error) {
        if (error == -EROFS)
                return "the file system is read-only, or ReadWritePaths= of the agent's unit lacks the "
                       "directory";
        return strerror(-error);
}

static void transfer_fail_errno(struct transfer *transfer, int error, const char *place) {
        _cleanup_(freep) char *text = text_printf("cannot write %s: %s", place, write_error(error));

        transfer_fail(transfer, error == -ENOSPC || error == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_INTERNAL,
                        strempty(text));
}

static void transfer_gone(struct rpc_call *call, void *userdata) {
        transfer_end(userdata);
}

static void log_installed(
                const struct transfer *transfer, const struct config_policy *policy, const char *sha) {
        const struct log_fields fields = {
                .message_id = GIVC_MESSAGE_POLICY_INSTALLED,
                .method = rpc_call_path(transfer->call) + 1,
                .peer = rpc_call_peer(transfer->call)->name,
        };

        log_event(LOG_NOTICE, &fields, "Policy %s of %zu bytes (SHA-256 %s) is installed %s%s.",
                        policy->name, transfer->size, sha,
                        isempty(policy->destination) ? "in the store" : "at ", policy->destination);
}

/* All of it has come. */
static void transfer_half_closed(struct rpc_call *call, void *userdata) {
        struct transfer *transfer = userdata;
        const struct config *config = &transfer->manager->config;
        Policyadmin__Status status = POLICYADMIN__STATUS__INIT;
        _cleanup_(freep) char *place = NULL;
        const struct config_policy *policy;
        char sha[POLICY_SHA_SIZE];
        int r;

        if (!transfer->name) {
                transfer_fail(transfer, RPC_INVALID_ARGUMENT, "the stream has ended before it began");
                return;
        }
        /* The configuration may be another by now. */
        policy = find_policy(config, transfer->name);
        if (!policy) {
                transfer_fail(transfer, RPC_NOT_FOUND, "the policy is not configured any more");
                return;
        }
        r = policy_install(config, policy, transfer->fd, transfer->size, sha, &place);
        if (r < 0) {
                transfer_fail_errno(transfer, r, place ?: policy->name);
                return;
        }
        if (r > 0)
                log_installed(transfer, policy, sha);
        else
                log_debug("Policy %s is what it was.", policy->name);
        transfer_end(transfer);
        status.status = (char *) "Success"; /* the word by which the deployed admin knows it */
        rpc_call_reply(call, &status.base);
}

/* ---- what comes ---- */

/* Whether it is one of ours; else the transfer has failed. */
static bool begin(struct transfer *transfer, const char *name) {
        struct arena *arena = rpc_call_arena(transfer->call);
        _cleanup_(freep) char *shown = NULL, *text = NULL;

        if (isempty(name)) {
                transfer_fail(transfer, RPC_INVALID_ARGUMENT, "the first message must name the policy");
                return false;
        }
        if (!find_policy(&transfer->manager->config, name)) {
                shown = text_escape(name, strlen(name), 64);
                text = text_printf("\"%s\" is no policy of this agent's configuration", strempty(shown));
                transfer_fail(transfer, RPC_NOT_FOUND, strempty(text));
                return false;
        }
        transfer->name = arena_memdup_text(arena, name, strlen(name));
        if (!transfer->name) {
                transfer_fail(transfer, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return false;
        }
        transfer->fd = policy_open_temporary(&transfer->manager->config);
        if (transfer->fd < 0) {
                transfer_fail_errno(transfer, transfer->fd, transfer->manager->config.policy.store);
                return false;
        }
        return true;
}

static int write_all(int fd, const ProtobufCBinaryData *data) {
        for (size_t done = 0; done < data->len;) {
                ssize_t n = write(fd, data->data + done, data->len - done);

                if (n < 0 && errno != EINTR)
                        return -errno;
                done += n < 0 ? 0 : (size_t) n;
        }
        return 0;
}

static void transfer_message(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Policyadmin__StreamPolicyRequest *request = (const Policyadmin__StreamPolicyRequest *) message;
        struct transfer *transfer = userdata;
        int r;

        if (!transfer->name) {
                if (!begin(transfer, request->policy_name))
                        return;
        } else if (!isempty(request->policy_name) && !streq(request->policy_name, transfer->name)) {
                transfer_fail(transfer, RPC_INVALID_ARGUMENT, "a later message names another policy");
                return;
        }
        if (request->policy_chunk.len > POLICY_BYTES_MAX - transfer->size) {
                transfer_fail(transfer, RPC_INVALID_ARGUMENT, "a policy has at most 16 MiB");
                return;
        }
        r = write_all(transfer->fd, &request->policy_chunk);
        if (r < 0) {
                transfer_fail_errno(transfer, r, transfer->manager->config.policy.store);
                return;
        }
        transfer->size += request->policy_chunk.len;
}

/* Whether the caller is the admin; without TLS nobody can be told from it. */
static bool is_admin(const struct manager *manager, const struct rpc_peer *peer) {
        const char *admin = manager->config.admin.name;

        if (!manager->config.tls.enable)
                return true;
        return peer->identity && peer->identity->name && admin && streq(peer->identity->name, admin);
}

static void open_transfer(struct rpc_call *call, void *userdata) {
        static const struct rpc_call_ops ops = {
                .message = transfer_message,
                .half_closed = transfer_half_closed,
                .gone = transfer_gone,
        };
        struct transfer *transfer = arena_alloc0(rpc_call_arena(call), sizeof(*transfer));
        struct manager *manager = userdata;

        if (!transfer || manager->n_policies == STREAMS_MAX) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "%s",
                                transfer ? "too many policies are on their way" : "out of memory");
                return;
        }
        *transfer = (struct transfer){ .manager = manager, .call = call, .fd = -1 };
        manager->n_policies++;
        if (is_admin(manager, rpc_call_peer(call)))
                rpc_call_set_ops(call, &ops, transfer);
        else
                transfer_fail(transfer, RPC_PERMISSION_DENIED, "only the admin may send policies");
}

static const struct rpc_method methods[] = {
        { .name = "StreamPolicy", .open = open_transfer },
};

const struct rpc_service policy_service = {
        .descriptor = &policyadmin__policy_admin__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};

void policy_prepare(struct manager *manager) {
        int r;

        if (!manager->config.policy.enable)
                return;
        r = policy_prepare_store(&manager->config);
        if (r < 0)
                log_warning("Cannot prepare %s for policies: %s.", manager->config.policy.store,
                                write_error(r));
}
