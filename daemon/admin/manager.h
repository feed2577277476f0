/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The daemon: it owns the loop and everything that runs on it. */

#include "delivery.h"
#include "guard.h"
#include "metrics-socket.h"
#include "options.h"
#include "peer-limit.h"
#include "reactor.h"
#include "reflection.h"
#include "registration.h"
#include "registry-store.h"
#include "registry.h"
#include "settings.h"
#include "watch.h"

struct bus_object;
struct decision_follow;
struct decision_watchers;
struct policy_fetch;

/* Changes of settings by one peer in a minute: more than people make. The disk is waited for at each, and
 * each is told to the whole fleet. */
#define CHANGES_PER_MINUTE 30

struct manager {
        const struct options *options;
        struct reactor *reactor;
        struct tls_context *tls; /* NULL: in clear */
        struct access_guard *guard;
        struct decision_watchers *decisions; /* and its rules: access.AccessService */
        struct decision_follow *follow;      /* … of agents */
        struct rpc_server *server;
        struct rpc_health *health;
        struct metrics_socket *metrics;
        struct bus_object *bus_object;
        struct rpc_reflection *reflection;
        struct registry *registry;
        struct registry_store *store;
        struct registry_observer links; /* each agent has its link as long as it is in the registry */
        struct watchers *watchers;
        struct list vm_starts;     /* vm-start.c */
        struct recovery *recovery; /* NULL: VMs that crash stay down */
        struct list streams;       /* forward-stream.c */
        struct settings *settings;
        struct policies *policies;     /* NULL: not asked for */
        struct policy_fetch *fetch;    /* NULL: they are not fetched */
        struct deliveries *deliveries; /* of both, to agents */
        struct peer_limit refusals;    /* of registrations, in the journal */
        struct peer_limit changes;     /* of settings, by a peer */
};

int manager_new(struct manager **ret, const struct options *options);
struct manager *manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager, manager_free)

/* Serves until told to stop: the exit code, or a negative errno. */
int manager_run(struct manager *manager);

/* The rules by which registrations are judged now. */
struct registration_rules manager_rules(const struct manager *manager);
