/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Everything that runs in the fleet, by unique name: agents, and the units that each of them answers for.
 * What comes, changes and goes is told to observers. Plain data: it knows no connection, and trusts what it
 * is given (who may register what is decided in registration.h).
 */

#include "component.h"
#include "list.h"
#include "quota.h"
#include "ratelimit.h"

/* A fleet has some dozens of VMs; each agent costs us a held connection. */
#define REGISTRY_AGENTS_MAX 512
/* One hostile agent must not take all of the room. */
#define REGISTRY_UNITS_MAX 2048
/* All of it is to fit into one answer, of 4 MiB: an entry does into 512 bytes, and one whose name is too
 * long for that is charged twice. */
#define REGISTRY_ENTRIES_MAX 8000
#define REGISTRY_ENTRY_BYTES 512
/* systemd's UNIT_NAME_MAX. */
#define REGISTRY_NAME_MAX 255
/* A line on a screen; what is longer is cut. */
#define REGISTRY_DESCRIPTION_MAX 160

struct registry;
struct agent_link;

struct registry_entry {
        struct registry_agent *agent; /* who answers for it; of an agent's own entry: that agent */
        struct list units;            /* in agent->units; an agent's own entry is in no list */
        struct component_type type;
        struct component_state state; /* the last that was heard of */
        bool stale;                   /* its agent should be asked for its state */
        bool online;                  /* whether its agent was, when that was told of last */
        char *description;            /* NULL: none */
        /* Of an application, while it is told that it leaves as it has ended: its last state. Else NULL. */
        const Systemd__UnitStatus *ended;
        char name[];
};

/* Where an agent is reached, as in TransportConfig; its name there is the VM's. */
struct registry_transport {
        char *protocol, *address, *port;
};
bool registry_transport_equal(const struct registry_transport *a, const struct registry_transport *b);

/* How often an agent may do what others feel. It keeps them when it comes as another kind of VM, which makes
 * another agent of it. */
struct registry_limits {
        struct ratelimit registrations; /* of itself and its units */
        struct ratelimit kinds;         /* coming as another kind of VM */
        struct ratelimit ends;          /* lines in the journal about applications that have ended, */
        struct ratelimit deliveries;    /* and about settings and policies that it was brought */
};

struct registry_agent {
        struct registry_entry *entry; /* its own: givc-<vm>.service */
        struct list agents;           /* in the registry's list */
        struct list units; /* what it answers for; stale ones first, then in the order of asking */
        size_t n_units;
        size_t n_charged; /* entries, its own included, as they are charged */
        char *vm;
        struct registry_transport transport;
        struct quota_charge
                        names; /* its own and its units', to who registered it; none until that has been */
        struct registry_limits limits;
        uint64_t peer_id; /* the newest connection over which it has registered; 0: none since our start */
        bool online;
        uint64_t since_usec;     /* CLOCK_REALTIME of the last change of online */
        struct agent_link *link; /* our connection to it; the manager's */
};

enum registry_event {
        REGISTRY_ADDED,
        REGISTRY_UPDATED, /* something that a query shows is different */
        REGISTRY_MOVED,   /* its state is another, but a query shows it as before */
        REGISTRY_REMOVED, /* told before the entry is freed, and of an agent's units before the agent */
};

/* Whoever follows the registry embeds one. changed() must not change the registry, and may remove no other
 * observer. */
struct registry_observer {
        struct list observers;
        void (*changed)(enum registry_event event, const struct registry_entry *entry, void *userdata);
        void *userdata;
};

int registry_new(struct registry **ret);
struct registry *registry_free(struct registry *registry);
DEFINE_CLEANUP(struct registry, registry_free)

/* Observers are told in the order in which they began. */
void registry_observe(struct registry *registry, struct registry_observer *observer);
static inline void registry_ignore(struct registry_observer *observer) {
        list_remove(&observer->observers);
}

/* NULL: there is none. */
struct registry_entry *registry_find(const struct registry *registry, const char *name);
struct registry_agent *registry_find_agent(const struct registry *registry, const char *vm);
/* The agent of the host, or of the admin VM, of which there is one at most (registration.h sees to that). */
struct registry_agent *registry_find_only(const struct registry *registry, enum component_vm vm);
/* The entry of that name if it is this agent's, itself included; else NULL. */
struct registry_entry *registry_find_unit(
                const struct registry *registry, const struct registry_agent *agent, const char *name);

/* Every agent, linked by struct registry_agent's agents. */
struct list *registry_agents(struct registry *registry);
/* Every entry, by name. */
void registry_foreach(const struct registry *registry,
                void (*each)(const struct registry_entry *entry, void *userdata), void *userdata);
size_t registry_count(const struct registry *registry);

/* What a new or changed agent is; the texts are copied. */
struct registry_agent_values {
        const char *vm;
        struct component_type type;
        struct registry_transport transport;
        const Systemd__UnitStatus *state; /* NULL: as it was, or unknown */
        struct quota_account *
                        account; /* who registers it, and is charged for all of its names; NULL: as it was */
};

/*
 * Adds an agent, offline, or changes the one that is held by this name. An agent that comes as another type
 * of VM is taken out, with its units, and added anew; a unit that is in the way of its name is taken out. 0,
 * -EDQUOT: too many names of that account, -ENOSPC: no room, -ENOMEM.
 */
int registry_put_agent(struct registry *registry, const struct registry_agent_values *values,
                struct registry_agent **ret);

/*
 * Adds a unit under an agent, or changes it. A VM's unit takes its name from a unit that is none. 0,
 * -EEXIST: the name is another agent's, or reserved for it, -EDQUOT: too many of this agent, or of its
 * account, -ENOSPC: no room, -ENOMEM. *ret may be NULL.
 */
int registry_put_unit(struct registry *registry, struct registry_agent *agent, const char *name,
                struct component_type type, const Systemd__UnitStatus *state, struct registry_entry **ret);

/* The name of an application's instance, kept free for one VM until it is registered there. */
struct registry_reservation {
        struct list reservations;
        const char *vm;
        char name[REGISTRY_NAME_MAX + 1];
};

/*
 * Reserves <application>@N.service, N being the lowest number from first on whose name nobody holds or has
 * reserved. vm must last as long as the reservation, which is in no list before. Returns N; -ENAMETOOLONG:
 * no unit can have that name; -ENOSPC: all are taken.
 */
int registry_reserve(struct registry *registry, const char *vm, const char *application, int first,
                struct registry_reservation *reservation);
static inline void registry_release(struct registry_reservation *reservation) {
        list_remove(&reservation->reservations);
}

/* Takes an entry out; an agent's with all that it manages. */
void registry_remove(struct registry *registry, struct registry_entry *entry);

/*
 * A new state was heard of. An application whose unit goes down leaves the registry; with a VM's unit that
 * goes down, reported by the host, goes the VM's agent: afterwards, entry may be gone.
 */
void registry_set_state(
                struct registry *registry, struct registry_entry *entry, const Systemd__UnitStatus *state);

/*
 * Whether the agent is connected: told as a change of it and, by registry_tell_online(), of all its units.
 * Their state stays what was last heard: it can be neither vouched for nor known to be wrong.
 */
void registry_set_online(struct registry *registry, struct registry_agent *agent, bool online);
/* Tells so many units that have not been told of since that was another: there may be thousands, and an
 * agent can come and go. True: there may be more. */
bool registry_tell_online(struct registry *registry, struct registry_agent *agent, unsigned max);

/* "microvm@X.service" → X in name[], or -EINVAL. */
int registry_vm_of_unit(const char *unit, char name[static REGISTRY_NAME_MAX + 1]);
/* "givc-X.service" → X in name[], or -EINVAL. */
int registry_vm_of_agent(const char *unit, char name[static REGISTRY_NAME_MAX + 1]);
