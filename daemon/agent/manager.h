/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The agent: owns the loop and everything in it. */

#include "config.h"
#include "guard.h"
#include "list.h"
#include "metrics-socket.h"
#include "peer-limit.h"
#include "reactor.h"
#include "reflection.h"
#include "server.h"
#include "units.h"
#include "whitelist.h"

struct bus_object;
struct ctap;
struct decision_watchers;
struct registration;
struct unit_list;
struct stats;

struct manager {
        char *config_path;
        struct config config;
        struct whitelist whitelist;
        char *own_unit; /* systemd's name of the unit in which we run; NULL: in none */

        struct reactor *reactor;
        struct bus *bus;        /* of the manager that we control */
        struct bus *system_bus; /* the same where that is the system's: localed, timedated and the like */
        struct units *units;
        struct tls_context *tls; /* NULL: in clear */
        struct access_guard *guard;
        struct decision_watchers *decisions; /* and its rules: access.AccessService */
        struct rpc_server *server;
        struct rpc_reflection *reflection;
        struct rpc_health *health;
        struct metrics_socket *metrics;
        struct bus_object *bus_object;
        struct registration *registration; /* NULL: we are stopping */
        bool stopping;

        struct stats *stats;
        struct ctap *ctap;         /* NULL: not enabled */
        struct list instances;     /* application-instances.c */
        struct unit_list *listing; /* of those that run already */
        struct list starts;        /* application-start.c */
        struct list operations;    /* unit-call.c */
        struct list watchers;      /* unit-watch.c */
        struct list monitors;      /* unit-monitor.c */
        struct list executions;    /* exec.c */
        struct list log_streams;   /* logs.c */
        unsigned n_policies;       /* policy.c: streams under way */
        struct list policies;      /* those of them that have come whole */
        bool policies_changed;     /* others are configured, which is still to be prepared */
        struct peer_limit refusals;

        struct whitelist_unit asked; /* manager_find_unit(): an instance that is not followed */
        char asked_name[256];
};

/*
 * Everything up to listening; the bus and the admin are joined later. Takes over *config, which the file at
 * config_path said, on success and failure alike. What fails is logged. 0 or a negative errno.
 */
int manager_new(struct manager **ret, const char *config_path, struct config *config);
struct manager *manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager, manager_free)

/* Tells the service manager that we are ready and runs: an exit code, or a negative errno. */
int manager_run(struct manager *manager);

/* Whether peers may see and move what they call by that name. */
bool manager_shows(struct manager *manager, const char *name);
/*
 * The unit that a call names, valid until the next such call; NULL: not in the whitelist, and the caller
 * ends the call. That is logged, as much as a peer who insists may write into the journal.
 */
const struct whitelist_unit *manager_find_unit(
                struct manager *manager, struct rpc_call *call, const char *name);
