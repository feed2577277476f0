/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics.h"

#include "registration.h"

static size_t count_list(const struct list *list) {
        size_t n = 0;

        for (const struct list *i = list->next; i != list; i = i->next)
                n++;
        return n;
}

static void write_metrics(struct openmetrics *metrics, void *userdata) {
        struct manager *manager = userdata;

        rpc_server_write_metrics(manager->server, metrics);
        access_guard_write_metrics(manager->guard, metrics);
        openmetrics_gauge(metrics, "units", NULL, "Units that peers may see and move.",
                        manager->whitelist.n_units);
        openmetrics_gauge(metrics, "application_instances", NULL, "Instances of applications that run.",
                        count_list(&manager->instances));
        openmetrics_gauge(metrics, "unit_operations", NULL, "Starts, stops and the like in progress.",
                        count_list(&manager->operations));
        openmetrics_gauge(metrics, "commands", NULL, "Commands that run for callers.",
                        count_list(&manager->executions));
        openmetrics_gauge(metrics, "watchers", NULL, "Streams of the units' changes.",
                        count_list(&manager->watchers));
        openmetrics_gauge(metrics, "admin_connected", NULL, "1: the connection to the admin stands.",
                        manager->registration && registration_is_connected(manager->registration));
}

int agent_metrics_begin(struct manager *manager) {
        return metrics_socket_begin(&manager->metrics, manager->reactor, "givc-agent", GIVC_VERSION,
                        write_metrics, manager);
}
