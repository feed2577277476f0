/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "registry.h"

#include "text.h"

#include <search.h>
#include <stdio.h>

struct registry {
        void *names; /* tsearch(3): struct registry_entry by name */
        size_t n_entries;
        struct list agents;
        size_t n_agents;
        struct list observers;
        struct list reservations;
};

/* What tsearch() compares: an entry's name, or the name that is looked for. */
static int compare_names(const void *a, const void *b) {
        return strcmp(a, b);
}

static struct registry_entry *entry_of_name(const char *name) {
        return (struct registry_entry *) (name - offsetof(struct registry_entry, name));
}

int registry_new(struct registry **ret) {
        struct registry *registry;

        registry = calloc(1, sizeof(*registry));
        if (!registry)
                return -ENOMEM;
        list_init(&registry->agents);
        list_init(&registry->observers);
        list_init(&registry->reservations);
        *ret = registry;
        return 0;
}

struct registry *registry_free(struct registry *registry) {
        struct registry_agent *agent;

        if (!registry)
                return NULL;
        /* Nobody is told: this is the end of the registry, not of what it knows. */
        while (!list_is_empty(&registry->observers))
                list_remove(registry->observers.next);
        while ((agent = LIST_FIRST(&registry->agents, struct registry_agent, agents)))
                registry_remove(registry, agent->entry);
        free(registry);
        return NULL;
}

void registry_observe(struct registry *registry, struct registry_observer *observer) {
        list_append(&registry->observers, &observer->observers);
}

static void tell(struct registry *registry, enum registry_event event, const struct registry_entry *entry) {
        struct registry_observer *i, *next;

        LIST_FOREACH_SAFE(i, next, &registry->observers, observers)
                i->changed(event, entry, i->userdata);
}

struct registry_entry *registry_find(const struct registry *registry, const char *name) {
        const char *const *found;

        found = tfind(name, &registry->names, compare_names);
        return found ? entry_of_name(*found) : NULL;
}

struct registry_agent *registry_find_agent(const struct registry *registry, const char *vm) {
        char name[REGISTRY_NAME_MAX + 1];
        struct registry_entry *entry;

        if ((size_t) snprintf(name, sizeof(name), "givc-%s.service", vm) >= sizeof(name))
                return NULL;
        entry = registry_find(registry, name);
        return entry && entry->type.service == COMPONENT_MGR ? entry->agent : NULL;
}

struct registry_agent *registry_find_only(const struct registry *registry, enum component_vm vm) {
        struct registry_agent *agent;

        LIST_FOREACH(agent, &registry->agents, agents)
                if (agent->entry->type.vm == vm)
                        return agent;
        return NULL;
}

struct registry_entry *registry_find_unit(
                const struct registry *registry, const struct registry_agent *agent, const char *name) {
        struct registry_entry *entry;

        entry = registry_find(registry, name);
        return entry && entry->agent == agent ? entry : NULL;
}

struct list *registry_agents(struct registry *registry) {
        return &registry->agents;
}

struct each {
        void (*function)(const struct registry_entry *entry, void *userdata);
        void *userdata;
};

static void visit(const void *node, VISIT which, void *closure) {
        struct each *each = closure;

        if (which == postorder || which == leaf)
                each->function(entry_of_name(*(const char *const *) node), each->userdata);
}

void registry_foreach(const struct registry *registry,
                void (*each)(const struct registry_entry *entry, void *userdata), void *userdata) {
        twalk_r(registry->names, visit, &(struct each){ .function = each, .userdata = userdata });
}

size_t registry_count(const struct registry *registry) {
        return registry->n_entries;
}

/* The longest beginning that fits and does not end within a character; none of what is not UTF-8. */
static size_t description_length(const char *text) {
        size_t n = strnlen(text, REGISTRY_DESCRIPTION_MAX + 1);

        if (n > REGISTRY_DESCRIPTION_MAX) {
                n = REGISTRY_DESCRIPTION_MAX;
                while (n > 0 && ((unsigned char) text[n] & 0xC0) == 0x80)
                        n--;
        }
        return text_is_utf8(text, n) ? n : 0;
}

/*
 * Takes state and description over. An empty description keeps the old one, which says more; one that cannot
 * be copied does, too. Returns whether a query shows a difference; *ret_moved: whether there is any.
 */
static bool assign_status(struct registry_entry *entry, const Systemd__UnitStatus *status, bool *ret_moved) {
        struct component_state state = component_state_from_wire(status);
        size_t n = description_length(status->description);
        bool shown;

        *ret_moved = !component_state_equal(entry->state, state);
        shown = !streq(component_state_text(entry->state), component_state_text(state));
        entry->state = state;

        if (n > 0 &&
                        (strlen(strempty(entry->description)) != n ||
                                        memcmp(entry->description, status->description, n) != 0)) {
                char *description = strndup(status->description, n);

                if (description) {
                        free(entry->description);
                        entry->description = description;
                        shown = true;
                }
        }
        return shown;
}

static void free_entry(struct registry_entry *entry) {
        free(entry->description);
        free(entry);
}

/* An entry in the tree of names, told to nobody yet. */
static int insert_entry(struct registry *registry, struct registry_agent *agent, const char *name,
                struct component_type type, const Systemd__UnitStatus *state, struct registry_entry **ret) {
        struct registry_entry *entry;
        size_t n = strlen(name) + 1;
        bool moved;

        if (registry->n_entries >= REGISTRY_ENTRIES_MAX)
                return -ENOSPC;

        entry = malloc(sizeof(*entry) + n);
        if (!entry)
                return -ENOMEM;
        *entry = (struct registry_entry){
                .agent = agent, .type = type, .stale = true, .online = agent->online
        };
        list_init(&entry->units);
        memcpy(entry->name, name, n);
        if (state)
                (void) assign_status(entry, state, &moved);

        if (!tsearch(entry->name, &registry->names, compare_names)) {
                free_entry(entry);
                return -ENOMEM;
        }
        registry->n_entries++;
        *ret = entry;
        return 0;
}

static void remove_entry(struct registry *registry, struct registry_entry *entry) {
        tell(registry, REGISTRY_REMOVED, entry);
        list_remove(&entry->units);
        tdelete(entry->name, &registry->names, compare_names);
        registry->n_entries--;
        free_entry(entry);
}

/* What a query says of an entry besides its texts takes less. */
#define ITEM_BYTES 64

/* As how many the entry of that name counts. Its agent's name is said with it, and its VM's. */
static size_t count_entry(const struct registry_agent *agent, const char *name) {
        size_t bytes = ITEM_BYTES + REGISTRY_DESCRIPTION_MAX + strlen(name) + strlen("givc-.service") +
                        2 * strlen(agent->vm);

        return 1 + (bytes - 1) / REGISTRY_ENTRY_BYTES;
}

/* Charges all the names of the agent to whom it is charged to, or to account if there is one. 0 or -EDQUOT.
 */
static int charge_names(struct registry_agent *agent, struct quota_account *account, size_t n) {
        struct quota_charge charge = {};
        int r;

        if (account && account != agent->names.account) {
                r = quota_charge(account, QUOTA_NAMES, n, &charge);
                if (r < 0)
                        return r;
                quota_release(&agent->names);
                agent->names = charge;
        }
        return agent->names.account ? quota_charge(agent->names.account, QUOTA_NAMES, n, &agent->names) : 0;
}

static void free_agent(struct registry_agent *agent) {
        quota_release(&agent->names);
        free(agent->vm);
        free(agent->transport.protocol);
        free(agent->transport.address);
        free(agent->transport.port);
        free(agent);
}

static void remove_agent(struct registry *registry, struct registry_agent *agent) {
        struct registry_entry *unit;

        while ((unit = LIST_FIRST(&agent->units, struct registry_entry, units)))
                remove_entry(registry, unit);
        remove_entry(registry, agent->entry);
        list_remove(&agent->agents);
        registry->n_agents--;
        free_agent(agent);
}

void registry_remove(struct registry *registry, struct registry_entry *entry) {
        struct registry_agent *agent = entry->agent;

        if (agent->entry == entry) {
                remove_agent(registry, agent);
                return;
        }
        agent->n_units--;
        agent->n_charged -= count_entry(agent, entry->name);
        remove_entry(registry, entry);
        (void) charge_names(agent, NULL, agent->n_charged);
}

static int copy_transport(struct registry_transport *to, const struct registry_transport *from) {
        struct registry_transport copy = {
                .protocol = strdup(from->protocol),
                .address = strdup(from->address),
                .port = strdup(from->port),
        };

        if (!copy.protocol || !copy.address || !copy.port) {
                free(copy.protocol);
                free(copy.address);
                free(copy.port);
                return -ENOMEM;
        }
        free(to->protocol);
        free(to->address);
        free(to->port);
        *to = copy;
        return 0;
}

bool registry_transport_equal(const struct registry_transport *a, const struct registry_transport *b) {
        return streq(a->protocol, b->protocol) && streq(a->address, b->address) && streq(a->port, b->port);
}

static const struct registry_limits usual_limits = {
        /* All that it may have, and once more. */
        .registrations = { .interval_usec = 10 * USEC_PER_SEC, .burst = 2 * REGISTRY_UNITS_MAX },
        /* A configuration that was mended, and mended again. */
        .kinds = { .interval_usec = 60 * USEC_PER_SEC, .burst = 4 },
        /* More than people end, less than a VM that makes noise could. */
        .ends = { .interval_usec = 60 * USEC_PER_SEC, .burst = 120 },
        /* As many as there can be of them, once. */
        .deliveries = { .interval_usec = 60 * USEC_PER_SEC, .burst = 66 },
};

static int add_agent(struct registry *registry, const char *name, const struct registry_agent_values *values,
                struct registry_agent **ret) {
        struct registry_agent *agent;
        int r;

        if (registry->n_agents >= REGISTRY_AGENTS_MAX)
                return -ENOSPC;

        agent = calloc(1, sizeof(*agent));
        if (!agent)
                return -ENOMEM;
        list_init(&agent->agents);
        list_init(&agent->units);
        agent->limits = usual_limits;
        agent->since_usec = now_usec(CLOCK_REALTIME);
        agent->vm = strdup(values->vm);
        r = agent->vm ? copy_transport(&agent->transport, &values->transport) : -ENOMEM;
        if (r >= 0) {
                agent->n_charged = count_entry(agent, name);
                r = charge_names(agent, values->account, agent->n_charged);
        }
        if (r >= 0)
                r = insert_entry(registry, agent, name, values->type, values->state, &agent->entry);
        if (r < 0) {
                free_agent(agent);
                return r;
        }

        list_append(&registry->agents, &agent->agents);
        registry->n_agents++;
        tell(registry, REGISTRY_ADDED, agent->entry);
        *ret = agent;
        return 0;
}

static int change_agent(struct registry *registry, struct registry_agent *agent,
                const struct registry_agent_values *values) {
        bool shown = false, moved = false;
        int r;

        r = charge_names(agent, values->account, agent->n_charged);
        if (r < 0)
                return r;
        if (!registry_transport_equal(&agent->transport, &values->transport)) {
                r = copy_transport(&agent->transport, &values->transport);
                if (r < 0)
                        return r;
                moved = true;
        }
        if (values->state) {
                bool state_moved;

                shown = assign_status(agent->entry, values->state, &state_moved);
                moved = moved || state_moved;
        }
        if (shown || moved)
                tell(registry, shown ? REGISTRY_UPDATED : REGISTRY_MOVED, agent->entry);
        return 0;
}

int registry_put_agent(struct registry *registry, const struct registry_agent_values *values,
                struct registry_agent **ret) {
        char name[REGISTRY_NAME_MAX + 1];
        struct registry_entry *held;
        struct registry_limits limits;
        bool returns;
        int r;

        if ((size_t) snprintf(name, sizeof(name), "givc-%s.service", values->vm) >= sizeof(name))
                return -EINVAL;

        held = registry_find(registry, name);
        if (held && held->type.service == COMPONENT_MGR && held->type.vm == values->type.vm) {
                *ret = held->agent;
                return change_agent(registry, held->agent, values);
        }
        returns = held && held->type.service == COMPONENT_MGR;
        if (returns)
                limits = held->agent->limits;
        if (held)
                registry_remove(registry, held);
        r = add_agent(registry, name, values, ret);
        if (r >= 0 && returns)
                (*ret)->limits = limits;
        return r;
}

static int add_unit(struct registry *registry, struct registry_agent *agent, const char *name,
                struct component_type type, const Systemd__UnitStatus *state, struct registry_entry **ret) {
        size_t n = count_entry(agent, name);
        struct registry_entry *entry;
        int r;

        if (agent->n_units >= REGISTRY_UNITS_MAX)
                return -EDQUOT;
        r = charge_names(agent, NULL, agent->n_charged + n);
        if (r < 0)
                return r;
        r = insert_entry(registry, agent, name, type, state, &entry);
        if (r < 0) {
                (void) charge_names(agent, NULL, agent->n_charged);
                return r;
        }

        list_append(agent->units.next, &entry->units); /* in front: it is stale */
        agent->n_units++;
        agent->n_charged += n;
        tell(registry, REGISTRY_ADDED, entry);
        if (ret)
                *ret = entry;
        return 0;
}

static const struct registry_reservation *find_reservation(
                const struct registry *registry, const char *name) {
        const struct registry_reservation *reservation;

        LIST_FOREACH(reservation, &registry->reservations, reservations)
                if (streq(reservation->name, name))
                        return reservation;
        return NULL;
}

int registry_reserve(struct registry *registry, const char *vm, const char *application, int first,
                struct registry_reservation *reservation) {
        for (int n = first; n < REGISTRY_ENTRIES_MAX; n++) {
                int length = snprintf(reservation->name, sizeof(reservation->name), "%s@%d.service",
                                application, n);

                if (length < 0 || (size_t) length >= sizeof(reservation->name))
                        return -ENAMETOOLONG;
                if (registry_find(registry, reservation->name) ||
                                find_reservation(registry, reservation->name))
                        continue;
                reservation->vm = vm;
                list_append(&registry->reservations, &reservation->reservations);
                return n;
        }
        return -ENOSPC;
}

static bool type_equal(struct component_type a, struct component_type b) {
        return a.vm == b.vm && a.service == b.service;
}

int registry_put_unit(struct registry *registry, struct registry_agent *agent, const char *name,
                struct component_type type, const Systemd__UnitStatus *state, struct registry_entry **ret) {
        const struct registry_reservation *reservation;
        struct registry_entry *held;

        reservation = find_reservation(registry, name);
        if (reservation && !streq(reservation->vm, agent->vm))
                return -EEXIST;
        held = registry_find(registry, name);
        if (held && held->agent != agent) {
                if (type.service != COMPONENT_VM || held->type.service == COMPONENT_VM ||
                                held->type.service == COMPONENT_MGR)
                        return -EEXIST;
                registry_remove(registry, held);
                held = NULL;
        }
        if (!held)
                return add_unit(registry, agent, name, type, state, ret);
        if (held == agent->entry)
                return -EEXIST;

        if (ret)
                *ret = held;
        if (!type_equal(held->type, type)) {
                held->type = type;
                tell(registry, REGISTRY_UPDATED, held);
        }
        if (state)
                registry_set_state(registry, held, state);
        return 0;
}

/* The VM's unit has gone down, says the host: nothing in the VM runs any more. */
static void remove_agent_of(struct registry *registry, const struct registry_entry *unit) {
        char vm[REGISTRY_NAME_MAX + 1];
        struct registry_agent *agent;

        if (unit->type.service != COMPONENT_VM || registry_vm_of_unit(unit->name, vm) < 0)
                return;
        agent = registry_find_agent(registry, vm);
        if (agent && agent != unit->agent)
                remove_agent(registry, agent);
}

void registry_set_state(
                struct registry *registry, struct registry_entry *entry, const Systemd__UnitStatus *state) {
        bool was_down = component_state_is_down(entry->state), moved, shown, down;

        shown = assign_status(entry, state, &moved);
        if (!shown && !moved)
                return;
        down = !was_down && component_state_is_down(entry->state);
        tell(registry, shown ? REGISTRY_UPDATED : REGISTRY_MOVED, entry);
        if (!down)
                return;

        if (entry->type.service == COMPONENT_APP) {
                entry->ended = state;
                registry_remove(registry, entry);
        } else
                remove_agent_of(registry, entry);
}

void registry_set_online(struct registry *registry, struct registry_agent *agent, bool online) {
        if (agent->online == online)
                return;
        agent->online = online;
        agent->since_usec = now_usec(CLOCK_REALTIME);
        tell(registry, REGISTRY_UPDATED, agent->entry);
}

bool registry_tell_online(struct registry *registry, struct registry_agent *agent, unsigned max) {
        struct registry_entry *unit;

        LIST_FOREACH(unit, &agent->units, units) {
                if (unit->online == agent->online)
                        continue;
                if (max-- == 0)
                        return true;
                unit->online = agent->online;
                tell(registry, REGISTRY_UPDATED, unit);
        }
        return false;
}

/* What stands in s between prefix and ".service". */
static int take_middle(const char *s, const char *prefix, char middle[static REGISTRY_NAME_MAX + 1]) {
        size_t n;

        s = startswith(s, prefix);
        if (!s || !endswith(s, ".service"))
                return -EINVAL;
        n = strlen(s) - strlen(".service");
        if (n == 0 || n > REGISTRY_NAME_MAX)
                return -EINVAL;
        memcpy(middle, s, n);
        middle[n] = '\0';
        return text_is_host_name(middle) ? 0 : -EINVAL;
}

int registry_vm_of_unit(const char *unit, char name[static REGISTRY_NAME_MAX + 1]) {
        return take_middle(unit, "microvm@", name);
}

int registry_vm_of_agent(const char *unit, char name[static REGISTRY_NAME_MAX + 1]) {
        return take_middle(unit, "givc-", name);
}
