/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "manager.h"
#include "application-instances.h"
#include "application-start.h"
#include "bus-object.h"
#include "call.h"
#include "credential.h"
#include "ctap.h"
#include "decision-watch.h"
#include "descriptors.h"
#include "exec.h"
#include "hwid.h"
#include "locale-client.h"
#include "log.h"
#include "logs.h"
#include "message-ids.h"
#include "metrics.h"
#include "notify.h"
#include "policy.h"
#include "registration.h"
#include "stats.h"
#include "text.h"
#include "unit-call.h"
#include "unit-control.h"
#include "unit-manage.h"
#include "unit-monitor.h"
#include "unit-watch.h"
#include "wifi.h"

#include <systemd/sd-login.h>

/* What is under way may take so long when we stop: a shutdown of the machine is not to be held up by us. */
#define DRAIN_USEC (2 * USEC_PER_SEC)

/* --- who we are --- */

static enum bus_kind bus_kind(void) {
        return geteuid() == 0 ? BUS_SYSTEM : BUS_USER;
}

/*
 * The unit in which we run, NULL: in none. Somebody's shell is in a unit, too: only a process that systemd
 * itself has started is that unit (SYSTEMD_EXEC_PID, systemd.exec(5)).
 */
static int find_own_unit(char **ret) {
        const char *started = getenv("SYSTEMD_EXEC_PID");
        _cleanup_(freep) char *unit = NULL;
        uint64_t pid;
        int r;

        *ret = NULL;
        if (!started || text_to_uint(started, INT32_MAX, &pid) < 0 || pid != (uint64_t) getpid())
                return 0;
        r = bus_kind() == BUS_SYSTEM ? sd_pid_get_unit(0, &unit) : sd_pid_get_user_unit(0, &unit);
        if (r == -ENOMEM)
                return r;
        if (r >= 0 && endswith(unit, ".service"))
                *ret = TAKE_PTR(unit);
        return 0;
}

/* A certificate that does not fit the configuration works nowhere: better said here than by whoever refuses
 * it. */
static void check_identity(const struct config *config, const struct tls_identity *identity) {
        uint8_t ip[16];
        size_t n;

        if (!identity->name || !streq(identity->name, config->name))
                log_warning("%s: the certificate is that of \"%s\", but identity.name is \"%s\": the admin "
                            "will refuse it.",
                                config->tls.cert_path, strempty(identity->name), config->name);
        n = rpc_address_ip(&config->transport.socket, ip);
        if (n > 0 && !tls_identity_has_ip(identity, ip, n))
                log_warning("%s: the certificate does not have our address %s: peers will refuse it.",
                                config->tls.cert_path, config->transport.address);
}

/* *ret is NULL where TLS is off. What is wrong has been logged. */
static int load_tls(const struct config *config, struct tls_context **ret) {
        _cleanup_(freep) char *error = NULL;
        int r;

        *ret = NULL;
        if (!config->tls.enable)
                return 0;
        r = credential_check_source(config->tls.key_path, CONFIG_TLS_DIRECTORY, &error);
        if (r >= 0)
                r = tls_context_new(ret, config->tls.ca_path, config->tls.cert_path, config->tls.key_path,
                                &error);
        if (r < 0) {
                log_error("%s", error ?: strerror(-r));
                return r;
        }
        check_identity(config, tls_context_identity(*ret));
        return 0;
}

static void log_config(const struct config *config) {
        static const struct log_fields access_control_off = {
                .message_id = GIVC_MESSAGE_ACCESS_CONTROL_OFF
        };

        for (char **warning = config->warnings; *warning; warning++)
                log_warning("%s", *warning);
        if (config->not_offered)
                log_notice("Enabled in the configuration, but not offered by this build: %s.",
                                config->not_offered);
        if (!config->tls.enable)
                log_warning("TLS is off (network.tls.enable): everybody who reaches this agent may use it, "
                            "unencrypted.");
        if (!config->access.enable)
                log_event(LOG_NOTICE, &access_control_off, "Access control is off: %s may make every call.",
                                config->tls.enable ? "every VM of the fleet" : "everybody");
}

/* --- units --- */

static void tell_unit(
                struct manager *manager, const struct whitelist_unit *unit, const struct unit_state *state) {
        unit_watch_tell(manager, unit, state);
        bus_object_unit_changed(manager->bus_object, unit);
        if (manager->registration)
                registration_unit_known(manager->registration, unit);
}

/* The unit in which we run may be shown under its own name, too. */
static void on_unit_changed(struct units *units, const struct unit_state *state, void *userdata) {
        struct manager *manager = userdata;
        const struct whitelist_unit *unit = whitelist_find(&manager->whitelist, state->name);
        const struct whitelist_unit *own = whitelist_own(&manager->whitelist);
        struct application_instance *instance = application_instance_find(manager, state->name);

        if (streq(own->target, state->name))
                tell_unit(manager, own, state);
        if (unit && unit != own)
                tell_unit(manager, unit, state);
        if (instance && instance->shown)
                bus_object_unit_changed(manager->bus_object, &instance->unit);
        if (instance)
                application_instance_changed(manager, instance, state);
}

static int follow_all(struct manager *manager, const struct whitelist *whitelist) {
        int r;

        for (size_t i = 0; i < whitelist->n_units; i++) {
                const char *target = whitelist->units[i].target;

                if (whitelist_has_target(&manager->whitelist, target))
                        continue;
                r = units_follow(manager->units, target);
                if (r < 0)
                        return log_error_errno(r, "Cannot follow %s", target);
        }
        return 0;
}

static void unfollow_all(struct manager *manager, const struct whitelist *whitelist) {
        for (size_t i = 0; i < whitelist->n_units; i++)
                if (!whitelist_has_target(&manager->whitelist, whitelist->units[i].target))
                        units_unfollow(manager->units, whitelist->units[i].target);
}

/* An instance of an application is permitted whether it runs or not: it may have ended just now. */
static const struct whitelist_unit *find_instance(struct manager *manager, const char *name) {
        size_t n = strlen(name);

        if (!applications_find_instance(&manager->config.applications, name) ||
                        n >= sizeof(manager->asked_name))
                return NULL;
        memcpy(manager->asked_name, name, n + 1);
        manager->asked = (struct whitelist_unit){
                .name = manager->asked_name,
                .target = manager->asked_name,
                .type = WHITELIST_NO_TYPE,
        };
        return &manager->asked;
}

bool manager_shows(struct manager *manager, const char *name) {
        return whitelist_find(&manager->whitelist, name) || find_instance(manager, name);
}

const struct whitelist_unit *manager_find_unit(
                struct manager *manager, struct rpc_call *call, const char *name) {
        const struct whitelist_unit *unit =
                        whitelist_find(&manager->whitelist, name) ?: find_instance(manager, name);
        const struct log_fields fields = {
                .method = rpc_call_path(call) + 1,
                .peer = rpc_call_peer(call)->name,
        };

        if (!unit && peer_limit_pass(&manager->refusals, fields.peer))
                log_event(LOG_WARNING, &fields,
                                "%s asks for \"%.255s\" (%s), which is not a unit that this agent shows.",
                                fields.peer, name, rpc_call_method(call));
        return unit;
}

/* --- calls --- */

static bool on_permit(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        struct manager *manager = userdata;

        if (manager->stopping) {
                rpc_call_fail(call, RPC_UNAVAILABLE, "the agent is stopping");
                return false;
        }
        return access_guard_permit(call, request, manager->guard);
}

static bool on_review(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        struct manager *manager = userdata;

        return access_guard_review(call, request, manager->guard);
}

static void on_rules_changed(void *userdata) {
        struct manager *manager = userdata;

        rpc_server_review(manager->server);
}

static void on_peer(struct rpc_server *server, const struct rpc_peer *peer, void *userdata) {
        struct manager *manager = userdata;

        access_guard_peer(peer, manager->guard);
        bus_object_peers_changed(manager->bus_object);
}

static void on_peer_gone(struct rpc_server *server, const struct rpc_peer *peer, void *userdata) {
        struct manager *manager = userdata;

        bus_object_peers_changed(manager->bus_object);
}

static void on_peer_refused(struct rpc_server *server, const struct rpc_refused *refused, void *userdata) {
        struct manager *manager = userdata;

        access_guard_refused(refused, manager->guard);
}

static void on_peer_refused_more(struct rpc_server *server, const char *host, unsigned n, void *userdata) {
        struct manager *manager = userdata;

        access_guard_refused_more(host, n, manager->guard);
}

/* What the configuration does not enable is not there, for reflection as for callers. */
static int add_services(struct manager *manager) {
        const struct config *config = &manager->config;
        const struct {
                const struct rpc_service *service;
                void *userdata;
                bool offered;
        } services[] = {
                { &unit_control_service, manager, true },
                { &unit_watch_service, manager, true },
                { &unit_manage_service, manager, true },
                { &locale_service, manager, true },
                { &access_service, manager->decisions, true },
                { &stats_service, manager->stats, true },
                { &ctap_service, manager->ctap, config->ctap },
                { &wifi_service, manager, config->wifi },
                { &hwid_service, manager, config->hwid.enable },
                { &notify_service, manager, config->notifier.enable },
                { &policy_service, manager, config->policy.enable },
                { &logs_service, manager, config->logs.enable },
                { &exec_service, manager, config->exec.commands },
        };

        for (size_t i = 0; i < ELEMENTSOF(services); i++) {
                int r = 0;

                if (services[i].offered)
                        r = rpc_server_add_service(
                                        manager->server, services[i].service, services[i].userdata);
                if (r < 0)
                        return r;
        }
        return 0;
}

static struct access_guard_config guard_config(const struct config *config) {
        return (struct access_guard_config){
                .tls = config->tls.enable,
                .rules = config->access.rules_file,
                .entities = config->access.entities_file,
                .audit_permits = config->access.audit_permits,
                .denial = "permission denied by access control policy",
        };
}

/* Of what calls take besides their memory: of all, and of one peer. */
static const struct quota_limit resources[_QUOTA_RESOURCE_MAX] = {
        /* The admin has one; some tools and other VMs may look on. */
        [QUOTA_WATCHERS] = { 64, 8 },
        /* Each wakes this process once a second. */
        [QUOTA_MONITORS] = { 32, 8 },
        /* Each opens every file of the journal, of which there may be a hundred. */
        [QUOTA_LOGS] = { 8, 4 },
        /* Each is two processes or more, three pipes and a socket. */
        [QUOTA_COMMANDS] = { 32, 8 },
        /* They wait for the scan of /proc that is under way: those that the admin can have under way, of all
         * its callers, and some of others. */
        [QUOTA_LOOKS] = { 512, 128 },
        /* On units, of which a job may take minutes, settings and the adapter for Wi-Fi. */
        [QUOTA_OPERATIONS] = { UNITS_OPERATIONS_MAX, UNITS_OPERATIONS_MAX / 2 },
};

static int make_server(struct manager *manager) {
        static const struct rpc_server_ops ops = {
                .permit = on_permit,
                .review = on_review,
                .peer_connected = on_peer,
                .peer_gone = on_peer_gone,
                .refused = on_peer_refused,
                .refused_more = on_peer_refused_more,
        };
        static const struct rpc_server_limits limits = { .resources = resources };
        const struct access_guard_config guard = guard_config(&manager->config);
        int r;

        r = access_guard_new(&manager->guard, reactor_event(manager->reactor), &guard);
        if (r < 0)
                return r;
        r = decision_watchers_new(&manager->decisions, manager->guard, manager->config.name, "givc-agent");
        if (r < 0)
                return r;
        r = rpc_server_new(&manager->server, reactor_event(manager->reactor), &limits, &ops, manager);
        if (r < 0)
                return r;
        access_guard_set_changed(manager->guard, on_rules_changed, manager);
        rpc_server_set_tls(manager->server, manager->tls);
        /* Everybody's calls come through it. */
        r = rpc_server_trust(manager->server, manager->config.admin.name);
        if (r < 0)
                return r;
        r = stats_new(&manager->stats, reactor_event(manager->reactor));
        if (r >= 0 && manager->config.ctap)
                r = ctap_new(&manager->ctap, reactor_event(manager->reactor), manager->units);
        if (r >= 0)
                r = add_services(manager);
        if (r < 0)
                return r;
        r = rpc_reflection_new(
                        &manager->reflection, manager->server, givc_descriptors, givc_descriptors_size());
        if (r < 0)
                return r;
        return rpc_health_new(&manager->health, manager->server);
}

/* Sockets that systemd hands over are the ones. Else ours, which is where the admin will look for us. */
static int listen_all(struct manager *manager) {
        struct rpc_address address = manager->config.transport.socket;
        _cleanup_(freep) int *sockets = NULL;
        int n, r = 0;

        n = reactor_take_listeners(manager->reactor, NULL, &sockets);
        if (n < 0)
                return log_error_errno(n, "Cannot take the sockets that systemd hands over");
        for (int i = 0; i < n; i++) {
                int added = rpc_server_add_listener(manager->server, sockets[i]);

                /* All of them are to become the server's, the good ones after a bad one as well. */
                if (added < 0)
                        r = log_error_errno(added, "Cannot listen on socket %i of systemd's", i);
        }
        if (n > 0 || r < 0)
                return r;

        /* Which CID is ours is the hypervisor's business (vsock(7)). */
        if (address.any.sa_family == AF_VSOCK)
                address.vm.svm_cid = VMADDR_CID_ANY;
        r = rpc_server_listen(manager->server, &address);
        if (r < 0)
                return log_error_errno(r,
                                "Cannot listen on %s port %s (%s), as network.agent.transport asks",
                                manager->config.transport.address, manager->config.transport.port,
                                manager->config.transport.protocol);
        return 0;
}

/* --- reloading --- */

/* What of the new configuration takes a restart; NULL: nothing. */
static const char *needs_restart(const struct config *now, const struct config *new) {
        if (!streq(now->name, new->name) || now->type != new->type || now->sub_type != new->sub_type ||
                        !streq(now->parent, new->parent))
                return "identity";
        if (!config_transport_equal(&now->transport, &new->transport))
                return "network.agent.transport";
        if (now->tls.enable != new->tls.enable)
                return "network.tls.enable";
        if (now->wifi != new->wifi)
                return "capabilities.wifi.enable";
        if (now->ctap != new->ctap)
                return "capabilities.ctap.enable";
        if (now->hwid.enable != new->hwid.enable)
                return "capabilities.hwid.enable";
        if (now->notifier.enable != new->notifier.enable)
                return "capabilities.notifier.enable";
        if (now->logs.enable != new->logs.enable)
                return "capabilities.logs.enable";
        if (now->policy.enable != new->policy.enable)
                return "capabilities.policy.enable";
        if (now->access.enable != new->access.enable)
                return "accessControl.enable";
        return NULL;
}

/* The new one in place of the old; whoever points into the old is told. */
static void replace_whitelist(struct manager *manager, struct whitelist *new) {
        struct whitelist old = manager->whitelist;

        for (size_t i = 0; i < old.n_units; i++)
                if (!whitelist_find(new, old.units[i].name))
                        bus_object_unit_removed(manager->bus_object, &old.units[i]);
        manager->whitelist = *new;
        *new = WHITELIST_NULL;
        for (size_t i = 0; i < manager->whitelist.n_units; i++)
                if (!whitelist_find(&old, manager->whitelist.units[i].name))
                        bus_object_unit_added(manager->bus_object, &manager->whitelist.units[i]);
        registration_refresh(manager->registration);
        unfollow_all(manager, &old);
        whitelist_clear(&old);
}

static void replace_tls(struct manager *manager, struct tls_context *tls) {
        tls_context_unref(manager->tls);
        manager->tls = tls;
        rpc_server_set_tls(manager->server, tls);
        registration_set_tls(manager->registration, tls);
}

/* Another admin: register there. Without memory for that, all else is reloaded. */
static int replace_registration(struct manager *manager) {
        struct registration *new;
        int r;

        /* It is through this one, now, that everybody's calls come. */
        r = rpc_server_trust(manager->server, manager->config.admin.name);
        if (r >= 0)
                r = registration_new(&new, manager);
        if (r < 0)
                return log_error_errno(r, "Cannot turn to another admin");
        registration_free(manager->registration);
        manager->registration = new;
        bus_object_admin_changed(manager->bus_object);
        return 0;
}

/* All of it or, on any failure (which has been logged), nothing. */
static int reload(struct manager *manager) {
        _cleanup_(whitelist_clear) struct whitelist whitelist = WHITELIST_NULL;
        _cleanup_(tls_context_unrefp) struct tls_context *tls = NULL;
        _cleanup_(config_clear) struct config config = CONFIG_NULL;
        _cleanup_(freep) char *error = NULL;
        struct access_guard_config guard;
        const char *fixed;
        bool same_admin;
        int r;

        r = config_load(&config, manager->config_path, &error);
        if (r < 0) {
                log_error("%s", error ?: strerror(-r));
                return r;
        }
        fixed = needs_restart(&manager->config, &config);
        if (fixed) {
                log_error("%s: %s is another: that takes a restart.", manager->config_path, fixed);
                return -EINVAL;
        }
        r = load_tls(&config, &tls);
        if (r < 0)
                return r;
        r = whitelist_init(&whitelist, &config, manager->own_unit);
        if (r < 0)
                return log_error_errno(r, "Cannot read the new list of units");
        guard = guard_config(&config);
        r = follow_all(manager, &whitelist);
        if (r >= 0)
                r = access_guard_configure(manager->guard, &guard);
        if (r < 0) {
                unfollow_all(manager, &whitelist);
                return r;
        }

        same_admin = config_transport_equal(&manager->config.admin, &config.admin);
        config_swap(&manager->config, &config);
        log_config(&manager->config);
        replace_tls(manager, TAKE_PTR(tls));
        if (!whitelist_equal(&manager->whitelist, &whitelist))
                replace_whitelist(manager, &whitelist);
        application_instances_check(manager);
        unit_watch_check(manager);
        unit_monitor_check(manager);
        logs_check(manager);
        policy_prepare(manager);
        return same_admin ? 0 : replace_registration(manager);
}

static int on_reload(struct reactor *reactor, void *userdata) {
        static const struct log_fields kept = { .message_id = GIVC_MESSAGE_CONFIGURATION_KEPT };
        struct manager *manager = userdata;
        int r;

        r = reload(manager);
        if (r < 0)
                log_event(LOG_ERR, &kept,
                                "Not reloaded: the configuration and certificates that were in force stay "
                                "so.");
        else
                log_info("Configuration and certificates have been read again.");
        return r;
}

/* --- life --- */

static void on_drained(struct rpc_server *server, void *userdata) {
        struct manager *manager = userdata;

        reactor_exit(manager->reactor, EXIT_SUCCESS);
}

static void on_stop(struct reactor *reactor, void *userdata) {
        struct manager *manager = userdata;

        manager->stopping = true;
        manager->registration = registration_free(manager->registration);
        rpc_health_set(manager->health, false);
        unit_watch_stop(manager);
        unit_monitor_stop(manager);
        logs_stop(manager);
        decision_watchers_close(manager->decisions, "the agent is stopping");
        unit_calls_stop(manager);
        rpc_server_drain(manager->server, on_drained);
}

static int join_system_bus(struct manager *manager) {
        int r;

        if (bus_kind() == BUS_SYSTEM) {
                manager->system_bus = manager->bus;
                return 0;
        }
        r = bus_new(&manager->system_bus, reactor_event(manager->reactor), BUS_SYSTEM);
        if (r >= 0)
                bus_start(manager->system_bus);
        return r;
}

static int start_units(struct manager *manager) {
        _cleanup_(whitelist_clear) struct whitelist whitelist = WHITELIST_NULL;
        int r;

        r = find_own_unit(&manager->own_unit);
        if (r < 0)
                return log_error_errno(r, "Cannot find out in which unit we run");
        r = bus_new(&manager->bus, reactor_event(manager->reactor), bus_kind());
        if (r < 0)
                return log_error_errno(r, "Cannot prepare for D-Bus");
        r = join_system_bus(manager);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare for the system's D-Bus");
        r = units_new(&manager->units, manager->bus, on_unit_changed, manager);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare for systemd's units");
        r = whitelist_init(&whitelist, &manager->config, manager->own_unit);
        if (r < 0)
                return log_error_errno(r, "Cannot read the list of units");
        r = follow_all(manager, &whitelist);
        if (r < 0)
                return r;
        manager->whitelist = whitelist;
        whitelist = WHITELIST_NULL;
        r = application_instances_begin(manager);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare for applications");
        return 0;
}

int manager_new(struct manager **ret, const char *config_path, struct config *config) {
        static const struct reactor_ops ops = { .reload = on_reload, .stop = on_stop };
        _cleanup_(manager_freep) struct manager *manager = NULL;
        int r;

        manager = calloc(1, sizeof(*manager));
        if (!manager) {
                config_clear(config);
                return log_error_errno(-ENOMEM, "Cannot start");
        }
        manager->config = *config;
        *config = CONFIG_NULL;
        list_init(&manager->instances);
        list_init(&manager->starts);
        list_init(&manager->operations);
        list_init(&manager->watchers);
        list_init(&manager->monitors);
        list_init(&manager->executions);
        list_init(&manager->log_streams);
        list_init(&manager->policies);
        manager->refusals = (struct peer_limit){ .more = "refusals to", .priority = LOG_WARNING };
        manager->config_path = strdup(config_path);
        if (!manager->config_path)
                return log_error_errno(-ENOMEM, "Cannot start");

        log_config(&manager->config);
        r = reactor_new(&manager->reactor, &ops, DRAIN_USEC, manager);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare the event loop");
        r = peer_limit_watch(&manager->refusals, reactor_event(manager->reactor), NULL, NULL);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare the event loop");
        r = load_tls(&manager->config, &manager->tls);
        if (r < 0)
                return r;
        r = start_units(manager);
        if (r < 0)
                return r;
        policy_prepare(manager);
        r = make_server(manager);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare the server");
        r = bus_object_new(&manager->bus_object, manager);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare to be seen on D-Bus");
        bus_start(manager->bus);
        r = agent_metrics_begin(manager);
        if (r < 0)
                return r;
        r = listen_all(manager);
        if (r < 0)
                return r;
        r = registration_new(&manager->registration, manager);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare the connection to the admin");
        *ret = TAKE_PTR(manager);
        return 0;
}

/* The server first: its calls are still heard of when they go. */
struct manager *manager_free(struct manager *manager) {
        if (!manager)
                return NULL;
        metrics_socket_free(manager->metrics);
        manager->registration = registration_free(manager->registration);
        manager->bus_object = bus_object_free(manager->bus_object);
        rpc_server_free(manager->server);
        policy_end(manager);
        stats_free(manager->stats);
        ctap_free(manager->ctap);
        rpc_health_free(manager->health);
        rpc_reflection_free(manager->reflection);
        decision_watchers_free(manager->decisions);
        access_guard_free(manager->guard);
        application_starts_free(manager);
        application_instances_end(manager);
        units_free(manager->units);
        if (manager->system_bus != manager->bus)
                bus_free(manager->system_bus);
        bus_free(manager->bus);
        tls_context_unref(manager->tls);
        peer_limit_clear(&manager->refusals);
        reactor_free(manager->reactor);
        whitelist_clear(&manager->whitelist);
        config_clear(&manager->config);
        free(manager->own_unit);
        free(manager->config_path);
        free(manager);
        return NULL;
}

int manager_run(struct manager *manager) {
        reactor_ready(manager->reactor, "Waiting for the admin");
        return reactor_run(manager->reactor);
}
