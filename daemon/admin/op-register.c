/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "agent-link.h"
#include "answer.h"
#include "log.h"
#include "manager.h"
#include "message-ids.h"
#include "server.h"
#include "text.h"

static void refuse(struct manager *manager, struct rpc_call *call, const Admin__RegistryRequest *request,
                enum rpc_code code, const char *reason) {
        const struct rpc_peer *peer = rpc_call_peer(call);
        struct log_fields fields = {
                .message_id = GIVC_MESSAGE_REGISTRATION_REFUSED,
                .method = rpc_call_path(call) + 1,
                .peer = peer->name,
                .unit = text_is_unit_name(request->name) ? request->name : NULL,
                .status = rpc_code_name(code),
        };

        if (peer_limit_pass(&manager->refusals, peer->name))
                log_event(LOG_WARNING, &fields, "Refused registration by %s from %s: %s", peer->name,
                                peer->host, reason);
        answer_fail(call, code, "%s", reason);
}

static void refuse_for_error(struct manager *manager, struct rpc_call *call,
                const Admin__RegistryRequest *request, int error) {
        switch (error) {
        case -EEXIST:
                refuse(manager, call, request, RPC_ALREADY_EXISTS,
                                "the name is held by a unit of another VM");
                break;
        case -EDQUOT:
                refuse(manager, call, request, RPC_RESOURCE_EXHAUSTED, "too many names of one VM");
                break;
        case -ENOSPC:
                refuse(manager, call, request, RPC_RESOURCE_EXHAUSTED, "the registry is full");
                break;
        default:
                refuse(manager, call, request, RPC_INTERNAL, strerror(-error));
        }
}

/* A connection that is older than the one over which the agent was last registered is what a pulled cable
 * has left. */
static bool is_stale_connection(const struct registry_agent *agent, const struct rpc_peer *peer) {
        return agent && peer->id < agent->peer_id;
}

/* We have known it from before our start, and reached it where it says that it is: it need not be connected
 * to anew, and calls that are under way there go on. */
static bool is_found(const struct registry_agent *agent, const struct registry_transport *transport) {
        return agent->peer_id == 0 && agent->link && agent_link_is_ready(agent->link) &&
                        registry_transport_equal(&agent->transport, transport);
}

static int put_agent(struct manager *manager, const struct registration *registration,
                const struct rpc_peer *peer, const Admin__RegistryRequest *request) {
        const struct registry_agent_values values = {
                .vm = registration->vm,
                .type = registration->type,
                .transport = {
                        .protocol = request->transport->protocol,
                        .address = request->transport->address,
                        .port = request->transport->port,
                },
                /* What we follow, we know better than a registration that may have been overtaken. */
                .state = registration->agent && registration->agent->online ? NULL : request->state,
                .account = peer->account,
        };
        bool held = registration->agent && registration->agent->entry->type.vm == registration->type.vm;
        bool found = held && is_found(registration->agent, &values.transport);
        struct registry_agent *agent;
        int r;

        r = registry_put_agent(manager->registry, &values, &agent);
        if (r < 0)
                return r;
        /* A new one has got its link by now, as the manager follows the registry. */
        if (found)
                agent_link_watch_anew(agent->link);
        else if (held && peer->id > agent->peer_id && agent->link)
                r = agent_link_renew(agent->link);
        agent->peer_id = peer->id;
        return r;
}

/* Its units go with it, and its connection to us, so that it comes again and hears why. */
static void evict(struct manager *manager, struct registry_agent *agent, const Admin__RegistryRequest *unit,
                enum component_vm as) {
        const struct log_fields fields = {
                .message_id = GIVC_MESSAGE_REGISTRATION_REFUSED,
                .peer = agent->vm,
                .vm = agent->vm,
                .unit = agent->entry->name,
                .status = rpc_code_name(RPC_PERMISSION_DENIED),
        };
        uint64_t peer_id = agent->peer_id;

        log_event(LOG_WARNING, &fields,
                        "%s had registered as %s, but the host has %s as %s: taken out of the registry.",
                        agent->vm, component_vm_text(agent->entry->type.vm), unit->name,
                        component_vm_text(as));
        registry_remove(manager->registry, agent->entry);
        if (peer_id > 0)
                (void) rpc_server_disconnect(manager->server, peer_id);
}

static int put_unit(struct manager *manager, const struct registration *registration,
                const Admin__RegistryRequest *request) {
        struct registry_agent *agent = registration->agent, *contradicted;
        bool held = registry_find_unit(manager->registry, agent, request->name);
        int r;

        r = registry_put_unit(manager->registry, agent, request->name, registration->type,
                        held && agent->online ? NULL : request->state, NULL);
        if (r < 0)
                return r;
        if (!held && agent->link)
                agent_link_unit_added(agent->link);
        contradicted = registration_contradicted(manager->registry, registration, request->name);
        if (contradicted)
                evict(manager, contradicted, request, registration->type.vm);
        return 0;
}

/* Each registration may be news to all who watch; and as another kind of VM, an agent leaves with all its
 * units and comes anew. */
static bool may_come_again(const struct registration *registration) {
        struct registry_agent *agent = registration->agent;

        if (!agent)
                return true;
        if (!ratelimit_pass(&agent->limits.registrations, NULL))
                return false;
        return registration->type.service != COMPONENT_MGR ||
                        registration->type.vm == agent->entry->type.vm ||
                        ratelimit_pass(&agent->limits.kinds, NULL);
}

/* RegisterService: is it the caller's to register; then it is. Answered at once: deployed agents wait for
 * 150 ms. */
void op_register_service(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__RegistryRequest *request = (const Admin__RegistryRequest *) message;
        const struct rpc_peer *peer = rpc_call_peer(call);
        const struct registrant registrant = { .identity = peer->identity, .address = peer->address };
        Admin__RegistryResponse response = ADMIN__REGISTRY_RESPONSE__INIT;
        struct manager *manager = userdata;
        struct registration_rules rules = manager_rules(manager);
        _cleanup_(freep) char *reason = NULL;
        struct registration registration;
        enum rpc_code code;
        int r;

        code = registration_check(manager->registry, &rules, &registrant, request, &registration, &reason);
        if (code != RPC_OK) {
                refuse(manager, call, request, code, reason ?: "out of memory");
                return;
        }
        if (is_stale_connection(registration.agent, peer)) {
                answer_fail(call, RPC_ABORTED, "%s has registered over a newer connection", registration.vm);
                return;
        }
        if (!may_come_again(&registration)) {
                refuse(manager, call, request, RPC_RESOURCE_EXHAUSTED,
                                "too many registrations: wait a minute");
                return;
        }

        r = registration.type.service == COMPONENT_MGR ? put_agent(manager, &registration, peer, request)
                                                       : put_unit(manager, &registration, request);
        if (r < 0)
                refuse_for_error(manager, call, request, r);
        else
                rpc_call_reply(call, &response.base);
}
