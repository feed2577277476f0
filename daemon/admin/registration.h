/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Who may register what. The certificate decides: the holder of identity X may register the agent
 * givc-X.service, at X's own address, and units under it; nobody else may. What kind of VM X is, the host
 * says, and VMs' units are its alone. Without TLS there is no identity, and claims are taken as they come.
 */

#include "registry.h"

#include "address.h"
#include "admin.pb-c.h"
#include "status.h"
#include "tls.h"

struct registrant {
        const struct tls_identity *identity; /* NULL: without TLS */
        const struct rpc_address *address;   /* from which it speaks */
};

struct registration_rules {
        const char *admin_name; /* identity of our own certificate, and so of the admin VM's agent; NULL:
                                   without TLS */
        const char *host_name;  /* the one identity that may be the host; NULL: the first that comes */
};

/* A request that may be carried out. */
struct registration {
        struct component_type type;
        char vm[REGISTRY_NAME_MAX + 1]; /* of the agent, or whose agent the unit has */
        struct registry_agent *agent; /* of a unit: its agent; of an agent: itself, if it is held, or NULL */
};

/*
 * RPC_OK, or the code with which the request is refused: INVALID_ARGUMENT what makes no sense,
 * PERMISSION_DENIED what is not the registrant's, NOT_FOUND a unit whose agent has not registered.
 * *ret_reason is the caller's; NULL: ENOMEM.
 */
enum rpc_code registration_check(const struct registry *registry, const struct registration_rules *rules,
                const struct registrant *registrant, const Admin__RegistryRequest *request,
                struct registration *ret, char **ret_reason);

/*
 * The host has registered a VM's unit of that name, as a kind of VM that another agent has not come as while
 * the host had not said so yet: that agent, which may not stay. Else NULL.
 */
struct registry_agent *registration_contradicted(
                const struct registry *registry, const struct registration *registration, const char *name);
