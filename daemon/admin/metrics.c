/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics.h"

#include "recovery.h"

#define SERVICES (COMPONENT_APP + 1)

static void count_entry(const struct registry_entry *entry, void *userdata) {
        uint64_t *n = userdata;

        n[entry->type.service]++;
}

static void write_registry(struct manager *manager, struct openmetrics *metrics) {
        uint64_t n[SERVICES] = {}, online = 0;
        struct registry_agent *agent;

        registry_foreach(manager->registry, count_entry, n);
        openmetrics_family(metrics, OPENMETRICS_GAUGE, "registry_entries", NULL,
                        "What runs, or could, by what it is: a VM, its agent, a service, an application.");
        for (int i = 0; i < SERVICES; i++)
                openmetrics_uint(metrics, "", n[i], "type",
                                component_service_text((enum component_service) i), NULL);

        LIST_FOREACH(agent, registry_agents(manager->registry), agents)
                online += agent->online;
        openmetrics_family(metrics, OPENMETRICS_GAUGE, "agents", NULL,
                        "Agents in the registry, by whether the admin is connected to them.");
        openmetrics_uint(metrics, "", online, "state", "online", NULL);
        openmetrics_uint(metrics, "", n[COMPONENT_MGR] - online, "state", "offline", NULL);
}

static void write_metrics(struct openmetrics *metrics, void *userdata) {
        struct manager *manager = userdata;

        rpc_server_write_metrics(manager->server, metrics);
        access_guard_write_metrics(manager->guard, metrics);
        write_registry(manager, metrics);
        openmetrics_gauge(metrics, "watchers", NULL, "Streams of the registry's changes.",
                        watchers_count(manager->watchers));
        openmetrics_counter(metrics, "recoveries", "Starts of VMs that had crashed.",
                        recovery_count(manager->recovery));
}

int admin_metrics_begin(struct manager *manager) {
        return metrics_socket_begin(&manager->metrics, manager->reactor, "givc-admin", GIVC_VERSION,
                        write_metrics, manager);
}
