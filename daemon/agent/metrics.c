/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics.h"

#include "log.h"
#include "registration.h"

static size_t count_list(const struct list *list) {
        size_t n = 0;

        for (const struct list *i = list->next; i != list; i = i->next)
                n++;
        return n;
}

static void write_metrics(struct openmetrics *metrics, void *userdata) {
        struct manager *manager = userdata;

        openmetrics_family(metrics, OPENMETRICS_INFO, "build", NULL, "What runs here.");
        openmetrics_uint(metrics, "_info", 1, "program", "givc-agent", "version", GIVC_VERSION, NULL);
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
        int r;

        r = metrics_socket_new(
                        &manager->metrics, reactor_event(manager->reactor), "givc", write_metrics, manager);
        if (r >= 0)
                r = metrics_socket_take_listeners(manager->metrics, manager->reactor);
        return r < 0 ? log_error_errno(r, "Cannot offer metrics") : 0;
}
