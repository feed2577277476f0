/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The agent's configuration file: JSON with the keys of the deployed agents, matched without regard to case.
 */

#include "address.h"
#include "applications.h"

/* Units in all lists together. A VM exposes a dozen; bus/units.h follows 400. */
#define CONFIG_UNITS_MAX 256
/* Where certificates and key are when the file does not say: what the service manager hands over comes from
 * there. */
#define CONFIG_TLS_DIRECTORY "/etc/givc"
/* Policies that are taken: a VM has a handful, and each may be a few megabytes. */
#define CONFIG_POLICIES_MAX 64
/* The bookkeeping of installed policies, in their store. */
#define POLICY_BOOK_FILE "policies.json"

/* Component types (RegistryRequest.Type): agents of the four kinds of machine, and VM units that a host's
 * has. */
enum component_type {
        COMPONENT_HOST_AGENT = 0,
        COMPONENT_ADMIN_VM = 3,
        COMPONENT_ADMIN_AGENT = 4,
        COMPONENT_SYSTEM_VM = 7,
        COMPONENT_SYSTEM_AGENT = 8,
        COMPONENT_APP_VM = 11,
        COMPONENT_APP_AGENT = 12,
};

struct config_transport {
        char *name; /* in the certificate of whoever listens there */
        char *protocol, *address, *port;
        struct rpc_address socket; /* the three, read */
};

struct config_policy {
        char *name;
        char *destination; /* an absolute path; "": it stays in the store */
};

struct config {
        uint32_t type, sub_type; /* of the agent; of its services */
        char *name;              /* the identity: "app-vm" */
        char *agent;             /* the name under which it is registered: "givc-app-vm.service" */
        char *parent;            /* its VM's unit on the host; "" for the host's agent */
        struct config_transport transport, admin;
        struct {
                bool enable;
                char *ca_path, *cert_path, *key_path; /* NULL unless enabled */
        } tls;
        char **services;  /* these four are never NULL after config_load() */
        char **admin_vms; /* one, or none */
        char **system_vms;
        char **app_vms;
        struct applications applications;
        struct {
                char **commands;  /* what may be run for peers; NULL: nothing, it is not enabled */
                char **variables; /* patterns of what they may set for it (exec-variable.h); NULL: whatever
                                     is not known to do harm */
        } exec;
        bool wifi, ctap;
        struct {
                bool enable;
                char *interface; /* NULL: the first that fits */
        } hwid;
        struct {
                bool enable;
                char *directory; /* NULL unless enabled */
        } notifier;
        struct {
                bool enable;        /* of units that peers may see */
                bool whole_journal; /* and everything else in it */
        } logs;
        struct {
                bool enable;
                char *store; /* NULL unless enabled */
                struct config_policy *policies;
                size_t n_policies;
        } policy;
        struct {
                bool enable;
                char *rules_file;    /* Cedar's; NULL unless enabled */
                char *entities_file; /* NULL: there are none */
                bool audit_permits;
        } access;
        char *not_offered; /* "socketProxy, eventProxy": what is enabled and this build has not; NULL:
                              nothing */
        char **warnings;   /* for the log, each naming file and line; never NULL after config_load() */
};

#define CONFIG_NULL ((struct config){})

/*
 * Reads the file. On failure returns a negative errno, and *ret_error (the caller's; NULL: out of memory)
 * names file, line, key, what was found and what is allowed.
 */
int config_load(struct config *config, const char *path, char **ret_error);
void config_clear(struct config *config);
void config_swap(struct config *a, struct config *b);

/* Whether two agents' transports say the same. */
bool config_transport_equal(const struct config_transport *a, const struct config_transport *b);
