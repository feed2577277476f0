/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "manager.h"

#include "agent-link.h"
#include "application.h"
#include "bus-object.h"
#include "credential.h"
#include "decision-follow.h"
#include "fleet.h"
#include "forward-stream.h"
#include "log.h"
#include "message-ids.h"
#include "metrics.h"
#include "policy-fetch.h"
#include "recovery.h"
#include "server.h"
#include "service.h"
#include "text.h"

#include "descriptors.h"

/* What stopping may take: calls to agents that are under way may still be answered. systemd waits for far
 * longer. */
#define DRAIN_USEC (3 * USEC_PER_SEC)
/* The registry's name in the service manager's descriptor store. */
#define STORED_REGISTRY "registry"

/* ---- links to agents ---- */

static void agent_event(const char *message_id, const struct registry_agent *agent, const char *what) {
        struct log_fields fields = {
                .message_id = message_id,
                .vm = agent->vm,
                .unit = agent->entry->name,
        };

        log_event(LOG_INFO, &fields, "Agent %s (%s) %s.", agent->entry->name,
                        component_vm_text(agent->entry->type.vm), what);
}

/* What the whole fleet is set to, it may have missed. */
static void agent_ready(struct registry_agent *agent, void *userdata) {
        struct manager *manager = userdata;

        deliveries_begin_all(manager->deliveries, agent->vm);
        decision_follow_ready(manager->follow, agent);
}

static void link_agent(struct manager *manager, struct registry_agent *agent) {
        int r;

        r = agent_link_new(&agent->link, reactor_event(manager->reactor), manager->registry, agent,
                        manager->tls);
        if (r < 0)
                (void) log_warning_errno(r, "Cannot connect to agent %s at %s %s:%s", agent->entry->name,
                                agent->transport.protocol, agent->transport.address, agent->transport.port);
        else
                agent_link_set_ready(agent->link, agent_ready, manager);
}

static void registry_changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        struct manager *manager = userdata;
        struct registry_agent *agent = entry->agent;

        if (event == REGISTRY_REMOVED && entry->ended)
                application_log_end(entry);
        if (entry != agent->entry)
                return;
        if (event == REGISTRY_ADDED) {
                agent_event(GIVC_MESSAGE_AGENT_REGISTERED, agent, "has registered");
                link_agent(manager, agent);
        } else if (event == REGISTRY_REMOVED) {
                agent_event(GIVC_MESSAGE_AGENT_REMOVED, agent, "has left the registry");
                decision_follow_left(manager->follow, agent);
                agent->link = agent_link_free(agent->link);
        }
}

static void unlink_agents(struct manager *manager) {
        struct registry_agent *agent;

        LIST_FOREACH(agent, registry_agents(manager->registry), agents)
                agent->link = agent_link_free(agent->link);
}

/* ---- the registry, over restarts ---- */

static int restore_registry(struct manager *manager) {
        _cleanup_(closep) int fd = -1;
        struct registry_agent *agent;
        int r;

        fd = reactor_take_stored(manager->reactor, STORED_REGISTRY);
        if (fd >= 0) {
                r = registry_store_read(manager->registry, fd);
                if (r < 0)
                        return log_error_errno(r, "Cannot read the registry that was kept");
                log_info("The registry of before has %d entries.", r);
        }

        r = registry_store_new(&manager->store, manager->registry);
        if (r < 0)
                return log_error_errno(r, "Cannot write the registry into memory");
        r = reactor_store(manager->reactor, STORED_REGISTRY, registry_store_fd(manager->store));
        if (r < 0)
                (void) log_warning_errno(r, "A restart will forget the registry");
        registry_observe(manager->registry, &manager->links);
        LIST_FOREACH(agent, registry_agents(manager->registry), agents)
                link_agent(manager, agent);
        return 0;
}

/* ---- certificates ---- */

/* Where givc-admin.service takes the credentials from. */
#define TLS_DIRECTORY "/etc/givc"

static int load_tls(const struct options *options, struct tls_context **ret) {
        _cleanup_(freep) char *error = NULL;
        int r;

        r = credential_check_source(options->host_key, TLS_DIRECTORY, &error);
        if (r >= 0)
                r = tls_context_new(ret, options->ca_cert, options->host_cert, options->host_key, &error);
        if (r < 0)
                log_error("%s", error ?: strerror(-r));
        return r;
}

static int reload_tls(struct manager *manager) {
        struct registry_agent *agent;
        struct tls_context *tls;
        int r;

        if (!manager->tls)
                return 0;
        r = load_tls(manager->options, &tls);
        if (r < 0) {
                log_error("The certificates stay those of before.");
                return r;
        }
        tls_context_unref(manager->tls);
        manager->tls = tls;
        rpc_server_set_tls(manager->server, tls);
        LIST_FOREACH(agent, registry_agents(manager->registry), agents)
                if (agent->link)
                        agent_link_set_tls(agent->link, tls);
        log_info("Certificates were read again; connections that stand keep the former ones.");
        return 0;
}

static struct access_guard_config guard_config(const struct manager *manager) {
        const struct options *options = manager->options;

        return (struct access_guard_config){
                .tls = manager->tls,
                .rules = options->access_control ? options->cedar_file : NULL,
                .entities = options->cedar_entities,
                .audit_permits = options->audit_permits,
                .denial = "cedar: permission denied by admin access control policy",
        };
}

/* ---- policies ---- */

static int read_policies(struct manager *manager) {
        const struct options *options = manager->options;
        _cleanup_(freep) char *error = NULL;
        int r;

        if (!options->policy_admin)
                return 0;
        r = policies_new(&manager->policies, options->policy_config, options->policy_store,
                        options->state_directory, &error);
        if (r < 0)
                log_error("--policy-config: %s", error ?: strerror(-r));
        return r;
}

/* To everybody: who has them already takes them for what they are. */
static void send_policies(struct manager *manager) {
        struct registry_agent *agent;

        LIST_FOREACH(agent, registry_agents(manager->registry), agents)
                if (agent->online)
                        deliveries_begin_policies(manager->deliveries, agent->vm);
}

static void send_policy(struct manager *manager, const struct policy *policy) {
        struct registry_agent *agent;

        LIST_FOREACH(agent, registry_agents(manager->registry), agents)
                if (agent->online)
                        deliveries_begin_policy(manager->deliveries, agent->vm, policy);
}

/* Who comes meanwhile is sent all of them, so that everybody has what was there at the last look, or newer.
 */
static void policy_fetched(const struct policy *policy, void *userdata) {
        struct manager *manager = userdata;
        struct policies *policies = manager->policies;

        if (policy)
                send_policy(manager, policy);
        for (size_t i = 0; !policy && i < policies->n_policies; i++)
                if (policies_look(policies, &policies->policies[i]))
                        send_policy(manager, &policies->policies[i]);
}

static int fetch_policies(struct manager *manager) {
        int r;

        if (!manager->policies || manager->policies->source == POLICIES_LOCAL)
                return 0;
        r = policy_fetch_new(&manager->fetch, reactor_event(manager->reactor), manager->policies,
                        policy_fetched, manager);
        return r < 0 ? log_error_errno(r, "Cannot fetch policies into %s",
                                       manager->policies->fetched_directory)
                     : 0;
}

static int reload(struct reactor *reactor, void *userdata) {
        struct manager *manager = userdata;
        const struct access_guard_config config = guard_config(manager);
        int r, q;

        r = reload_tls(manager);
        q = access_guard_configure(manager->guard, &config);
        send_policies(manager);
        policy_fetch_now(manager->fetch);
        return r < 0 ? r : q;
}

struct registration_rules manager_rules(const struct manager *manager) {
        return (struct registration_rules){
                .admin_name = manager->tls ? tls_context_identity(manager->tls)->name : NULL,
                .host_name = manager->options->host_identity,
        };
}

/* ---- serving ---- */

static bool permit(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        struct manager *manager = userdata;

        return access_guard_permit(call, request, manager->guard);
}

static bool review(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        struct manager *manager = userdata;

        return access_guard_review(call, request, manager->guard);
}

static void rules_changed(void *userdata) {
        struct manager *manager = userdata;

        rpc_server_review(manager->server);
}

static void peer_connected(struct rpc_server *server, const struct rpc_peer *peer, void *userdata) {
        struct manager *manager = userdata;

        access_guard_peer(peer, manager->guard);
        bus_object_peers_changed(manager->bus_object);
}

static void peer_gone(struct rpc_server *server, const struct rpc_peer *peer, void *userdata) {
        struct manager *manager = userdata;

        bus_object_peers_changed(manager->bus_object);
}

static void peer_refused(struct rpc_server *server, const struct rpc_refused *refused, void *userdata) {
        struct manager *manager = userdata;

        access_guard_refused(refused, manager->guard);
}

static void peer_refused_more(struct rpc_server *server, const char *host, unsigned n, void *userdata) {
        struct manager *manager = userdata;

        access_guard_refused_more(host, n, manager->guard);
}

static const struct rpc_server_ops server_ops = {
        .permit = permit,
        .review = review,
        .peer_connected = peer_connected,
        .peer_gone = peer_gone,
        .refused = peer_refused,
        .refused_more = peer_refused_more,
};

/*
 * Of what calls take besides their memory: of all, and of one peer. What is passed on is the admin's at the
 * agent (givc-agent(8)): one peer gets no more of it than leaves the others some there.
 */
static const struct quota_limit resources[_QUOTA_RESOURCE_MAX] = {
        [QUOTA_NAMES] = { REGISTRY_ENTRIES_MAX, REGISTRY_UNITS_MAX },
        [QUOTA_WATCHERS] = { 1024, 16 },
        [QUOTA_LOGS] = { 128, 4 },
        [QUOTA_RELAYS] = { 128, 16 },
        [QUOTA_COMMANDS] = { 128, 8 },
        [QUOTA_OPERATIONS] = { 1024, 24 },
        /* One for each VM, of who looks at all of them. An agent has 256 calls of ours at once. */
        [QUOTA_LOOKS] = { 1024, 128 },
};

static int set_up_server(struct manager *manager) {
        static const struct rpc_server_limits limits = { .resources = resources };
        const struct access_guard_config config = guard_config(manager);
        sd_event *event = reactor_event(manager->reactor);
        int r;

        r = access_guard_new(&manager->guard, event, &config);
        if (r < 0)
                return r;
        r = decision_watchers_new(&manager->decisions, manager->guard,
                        strempty(manager_rules(manager).admin_name), "givc-admin");
        if (r >= 0)
                r = decision_follow_new(&manager->follow, event, manager->registry, manager->decisions);
        if (r >= 0)
                r = rpc_server_new(&manager->server, event, &limits, &server_ops, manager);
        if (r >= 0)
                r = rpc_server_add_service(manager->server, &admin_service, manager);
        if (r >= 0)
                r = rpc_server_add_service(manager->server, &fleet_service, manager);
        if (r >= 0)
                r = rpc_server_add_service(manager->server, &access_service, manager->decisions);
        if (r >= 0)
                r = rpc_health_new(&manager->health, manager->server);
        if (r >= 0)
                r = rpc_reflection_new(&manager->reflection, manager->server, givc_descriptors,
                                givc_descriptors_size());
        if (r < 0)
                return log_error_errno(r, "Cannot set up the server");
        rpc_server_set_tls(manager->server, manager->tls);
        access_guard_set_changed(manager->guard, rules_changed, manager);
        return 0;
}

/* Whether one of the sockets that were handed over is bound to this address already. */
static bool is_bound(const int *fds, int n_fds, const struct rpc_address *address) {
        for (int i = 0; i < n_fds; i++) {
                struct rpc_address bound = { .length = sizeof(bound) - offsetof(struct rpc_address, any) };

                if (getsockname(fds[i], &bound.any, &bound.length) >= 0 && bound.length == address->length &&
                                memcmp(&bound.any, &address->any, bound.length) == 0)
                        return true;
        }
        return false;
}

static int listen_on(struct manager *manager, const char *text, const int *fds, int n_fds) {
        struct rpc_address address;
        const char *allowed;
        int r;

        r = rpc_address_parse(&address, text, &allowed);
        if (r < 0) {
                log_error("--listen=%s is no address to listen on: %s", text, allowed);
                return r;
        }
        if (is_bound(fds, n_fds, &address))
                return 0;
        r = rpc_server_listen(manager->server, &address);
        if (r < 0)
                return log_error_errno(r, "Cannot listen on %s", text);
        return 0;
}

static int listen_everywhere(struct manager *manager) {
        _cleanup_(freep) int *fds = NULL;
        int n_fds, r = 0;

        n_fds = reactor_take_listeners(manager->reactor, NULL, &fds);
        if (n_fds < 0)
                return log_error_errno(n_fds, "Cannot take the sockets that systemd has handed over");
        if (n_fds == 0 && manager->options->n_listen == 0) {
                log_error("Nothing to listen on: start givc-admin.socket, or give --listen.");
                return -EDESTADDRREQ;
        }

        for (size_t i = 0; i < manager->options->n_listen && r >= 0; i++)
                r = listen_on(manager, manager->options->listen[i], fds, n_fds);
        for (int i = 0; i < n_fds; i++) {
                int added = rpc_server_add_listener(manager->server, fds[i]);

                if (added < 0)
                        r = log_error_errno(added, "Cannot listen on socket %d that systemd has handed over",
                                        fds[i]);
        }
        return r;
}

static void drained(struct rpc_server *server, void *userdata) {
        struct manager *manager = userdata;

        reactor_exit(manager->reactor, EXIT_SUCCESS);
}

static void stop(struct reactor *reactor, void *userdata) {
        struct manager *manager = userdata;

        rpc_health_set(manager->health, false);
        watchers_close(manager->watchers);
        decision_watchers_close(manager->decisions, "givc-admin is stopping");
        forward_streams_stop(manager);
        rpc_server_drain(manager->server, drained);
}

static const struct reactor_ops reactor_ops = {
        .reload = reload,
        .stop = stop,
};

static void say_what_is_off(const struct options *options) {
        const struct log_fields fields = { .message_id = GIVC_MESSAGE_ACCESS_CONTROL_OFF };

        if (!options->access_control)
                log_event(LOG_NOTICE, &fields, "Access control is switched off: %s may make every call.%s",
                                options->use_tls ? "every peer with a certificate of the fleet"
                                                 : "everyone, without TLS,",
                                options->cedar_file ? " The rules file is not read." : "");
        if (!options->monitoring)
                log_notice("With --monitoring=false, VMs that crash are not started again.");
}

int manager_new(struct manager **ret, const struct options *options) {
        _cleanup_(manager_freep) struct manager *manager = NULL;
        int r;

        manager = calloc(1, sizeof(*manager));
        if (!manager)
                return log_error_errno(-ENOMEM, "Cannot start");
        manager->options = options;
        manager->changes.burst = CHANGES_PER_MINUTE;
        manager->refusals = (struct peer_limit){
                .more = "refused registrations by",
                .message_id = GIVC_MESSAGE_REGISTRATION_REFUSED,
                .priority = LOG_WARNING,
        };
        manager->links = (struct registry_observer){ .changed = registry_changed, .userdata = manager };
        list_init(&manager->links.observers);
        list_init(&manager->vm_starts);
        list_init(&manager->streams);
        say_what_is_off(options);

        r = reactor_new(&manager->reactor, &reactor_ops, DRAIN_USEC, manager);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the loop");
        r = peer_limit_watch(&manager->refusals, reactor_event(manager->reactor), NULL, NULL);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the loop");
        if (options->use_tls) {
                r = load_tls(options, &manager->tls);
                if (r < 0)
                        return r;
        }

        r = read_policies(manager);
        if (r < 0)
                return r;
        r = registry_new(&manager->registry);
        if (r >= 0)
                r = watchers_new(&manager->watchers, manager->registry);
        if (r >= 0)
                r = settings_new(&manager->settings, options->state_directory);
        if (r >= 0)
                r = deliveries_new(&manager->deliveries, reactor_event(manager->reactor), manager->registry,
                                manager->settings, manager->policies);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the registry");
        r = restore_registry(manager);
        if (r < 0)
                return r;
        r = fetch_policies(manager);
        if (r < 0)
                return r;
        r = options->monitoring ? recovery_new(&manager->recovery, manager) : 0;
        if (r < 0)
                return log_error_errno(r, "Cannot watch over VMs");
        r = set_up_server(manager);
        if (r < 0)
                return r;
        r = admin_metrics_begin(manager);
        if (r < 0)
                return r;
        r = bus_object_new(&manager->bus_object, manager);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare for D-Bus");
        r = listen_everywhere(manager);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(manager);
        return 0;
}

int manager_run(struct manager *manager) {
        int r;

        reactor_ready(manager->reactor, "Serving");
        r = reactor_run(manager->reactor);
        if (r < 0)
                return log_error_errno(r, "The loop has failed");
        return r;
}

/* Calls first, since they use everything else; then whoever follows the registry; then that. */
struct manager *manager_free(struct manager *manager) {
        if (!manager)
                return NULL;
        metrics_socket_free(manager->metrics);
        manager->bus_object = bus_object_free(manager->bus_object);
        manager->server = rpc_server_free(manager->server);
        manager->reflection = rpc_reflection_free(manager->reflection);
        manager->health = rpc_health_free(manager->health);
        policy_fetch_free(manager->fetch);
        manager->deliveries = deliveries_free(manager->deliveries);
        recovery_free(manager->recovery);
        decision_follow_free(manager->follow);
        if (manager->registry)
                unlink_agents(manager);
        registry_ignore(&manager->links);
        watchers_free(manager->watchers);
        registry_store_free(manager->store);
        registry_free(manager->registry);
        settings_free(manager->settings);
        policies_free(manager->policies);
        decision_watchers_free(manager->decisions);
        access_guard_free(manager->guard);
        if (manager->tls)
                tls_context_unref(manager->tls);
        peer_limit_clear(&manager->refusals);
        reactor_free(manager->reactor);
        free(manager);
        return NULL;
}
