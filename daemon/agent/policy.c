/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"

#include "call.h"
#include "log.h"
#include "message-ids.h"
#include "policy-installer.h"
#include "policy-store.h"
#include "text.h"

#include "policyadmin.pb-c.h"

/* At once: when the admin is there again, it sends all of them. */
#define STREAMS_MAX CONFIG_POLICIES_MAX

#define METHOD "policyadmin.PolicyAdmin/StreamPolicy"

/* A policy that comes, or has come. */
struct transfer {
        struct list whole; /* the manager's: all of it has come; the first of them is being installed */
        struct manager *manager;
        struct rpc_call *call; /* NULL: gone while it is being installed, which goes on */
        char *peer;
        char *name; /* NULL: nothing has come */
        int fd;     /* what has come, in a file without a name: it goes with us, whatever happens */
        size_t size;
        struct policy_installer *installer; /* NULL: it comes, or waits for others */
};

static const struct config_policy *find_policy(const struct config *config, const char *name) {
        for (size_t i = 0; i < config->policy.n_policies; i++)
                if (streq(config->policy.policies[i].name, name))
                        return &config->policy.policies[i];
        return NULL;
}

/* ---- the end ---- */

static void transfer_free(struct transfer *transfer) {
        list_remove(&transfer->whole);
        policy_installer_free(transfer->installer);
        close_fd(transfer->fd);
        transfer->manager->n_policies--;
        free(transfer->peer);
        free(transfer->name);
        free(transfer);
}

static void transfer_fail(struct transfer *transfer, enum rpc_code code, const char *text) {
        struct rpc_call *call = transfer->call;
        const struct log_fields fields = {
                .message_id = GIVC_MESSAGE_POLICY_REFUSED,
                .method = METHOD,
                .peer = transfer->peer,
                .status = rpc_code_name(code),
        };

        if (peer_limit_pass(&transfer->manager->refusals, fields.peer))
                log_event(LOG_WARNING, &fields, "%s: a policy is not installed: %s", fields.peer, text);
        transfer_free(transfer);
        if (call)
                rpc_call_fail(call, code, "%s", text);
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

static void log_installed(const struct transfer *transfer, const struct policy_report *report) {
        const struct config_policy *policy = find_policy(&transfer->manager->config, transfer->name);
        const char *destination = policy ? policy->destination : NULL;
        const struct log_fields fields = {
                .message_id = GIVC_MESSAGE_POLICY_INSTALLED,
                .method = METHOD,
                .peer = transfer->peer,
        };

        if (report->result > 0)
                log_event(LOG_NOTICE, &fields, "Policy %s of %zu bytes (SHA-256 %s) is installed %s%s.",
                                transfer->name, transfer->size, report->sha,
                                isempty(destination) ? "in the store" : "at ", strempty(destination));
        else
                log_debug("Policy %s is what it was.", transfer->name);
}

static void transfer_succeed(struct transfer *transfer) {
        Policyadmin__Status status = POLICYADMIN__STATUS__INIT;
        struct rpc_call *call = transfer->call;

        transfer_free(transfer);
        status.status = (char *) "Success"; /* the word by which the deployed admin knows it */
        if (call)
                rpc_call_reply(call, &status.base);
}

/* ---- installing, one after the other: policies have a file in common, and may be the same one ---- */

static void install_next(struct manager *manager);

static void transfer_installed(const struct policy_report *report, void *userdata) {
        struct transfer *transfer = userdata;
        struct manager *manager = transfer->manager;

        if (report->result >= 0) {
                log_installed(transfer, report);
                transfer_succeed(transfer);
        } else
                transfer_fail_errno(transfer, report->result,
                                isempty(report->place) ? transfer->name : report->place);
        if (manager->policies_changed)
                policy_prepare(manager);
        install_next(manager);
}

static void transfer_install(struct transfer *transfer) {
        struct manager *manager = transfer->manager;
        /* The configuration may be another by now. */
        const struct config_policy *policy = find_policy(&manager->config, transfer->name);
        int r;

        if (!policy) {
                transfer_fail(transfer, RPC_NOT_FOUND, "the policy is not configured any more");
                return;
        }
        r = policy_installer_new(&transfer->installer, reactor_event(manager->reactor), &manager->config,
                        policy, transfer->fd, transfer_installed, transfer);
        if (r < 0)
                transfer_fail_errno(transfer, r, transfer->name);
}

/* Unless one is at it. */
static void install_next(struct manager *manager) {
        struct transfer *transfer;

        while ((transfer = LIST_FIRST(&manager->policies, struct transfer, whole)) && !transfer->installer)
                transfer_install(transfer);
}

/* All of it has come. */
static void transfer_half_closed(struct rpc_call *call, void *userdata) {
        struct transfer *transfer = userdata;

        if (!transfer->name) {
                transfer_fail(transfer, RPC_INVALID_ARGUMENT, "the stream has ended before it began");
                return;
        }
        list_append(&transfer->manager->policies, &transfer->whole);
        install_next(transfer->manager);
}

/* What is being installed is whole, and is not left half installed. */
static void transfer_gone(struct rpc_call *call, void *userdata) {
        struct transfer *transfer = userdata;

        transfer->call = NULL;
        if (!transfer->installer)
                transfer_free(transfer);
}

/* ---- what comes ---- */

/* Whether it is one of ours; else the transfer has failed. */
static bool begin(struct transfer *transfer, const char *name) {
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
        transfer->name = strdup(name);
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
        struct manager *manager = userdata;
        struct transfer *transfer;

        if (manager->n_policies == STREAMS_MAX) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "too many policies are on their way");
                return;
        }
        transfer = calloc(1, sizeof(*transfer));
        if (!transfer) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        *transfer = (struct transfer){
                .manager = manager, .call = call, .peer = strdup(rpc_call_peer(call)->name), .fd = -1
        };
        list_init(&transfer->whole);
        manager->n_policies++;
        if (!transfer->peer)
                transfer_fail(transfer, RPC_RESOURCE_EXHAUSTED, "out of memory");
        else if (is_admin(manager, rpc_call_peer(call)))
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
        const struct transfer *first = LIST_FIRST(&manager->policies, struct transfer, whole);
        int r;

        /* One that is being installed uses the same files. */
        manager->policies_changed = first && first->installer;
        if (!manager->config.policy.enable || manager->policies_changed)
                return;
        r = policy_prepare_store(&manager->config);
        if (r < 0)
                log_warning("Cannot prepare %s for policies: %s.", manager->config.policy.store,
                                write_error(r));
}

void policy_end(struct manager *manager) {
        struct transfer *transfer, *next;

        LIST_FOREACH_SAFE(transfer, next, &manager->policies, whole)
                transfer_free(transfer);
}
