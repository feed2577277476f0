/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query.h"

#include "application.h"

const char *query_vm(const struct registry_entry *entry, char name[static REGISTRY_NAME_MAX + 1]) {
        if (entry->type.service == COMPONENT_VM && registry_vm_of_unit(entry->name, name) >= 0)
                return name;
        return entry->agent->vm;
}

/* NULL: ENOMEM. */
static char *vm_name(const struct registry_entry *entry, struct arena *arena) {
        char name[REGISTRY_NAME_MAX + 1];
        const char *vm = query_vm(entry, name);

        return vm == name ? arena_strdup(arena, name) : (char *) vm;
}

/* Of what has ended, "" of all else; NULL: ENOMEM. */
static char *result(const struct registry_entry *entry, struct arena *arena) {
        _cleanup_(freep) char *text = NULL;

        if (!entry->ended)
                return (char *) "";
        text = application_end_text(entry);
        return text ? arena_strdup(arena, text) : NULL;
}

int query_item(const struct registry_entry *entry, struct arena *arena, Admin__QueryListItem *item) {
        char *vm = vm_name(entry, arena);

        if (!vm)
                return -ENOMEM;
        admin__query_list_item__init(item);
        item->name = (char *) entry->name;
        item->description = (char *) strempty(entry->description);
        item->vmstatus = (char *) component_state_text(entry->state);
        item->trustlevel = (char *) "Warning"; /* until trust is known */
        item->vmtype = (char *) component_vm_text(entry->type.vm);
        item->servicetype = (char *) component_service_text(entry->type.service);
        item->vm_name_presence_case = ADMIN__QUERY_LIST_ITEM__VM_NAME_PRESENCE_VM_NAME;
        item->vmname = vm;
        item->agent_name_presence_case = ADMIN__QUERY_LIST_ITEM__AGENT_NAME_PRESENCE_AGENT_NAME;
        item->agentname = entry->agent->entry->name;
        item->online_presence_case = ADMIN__QUERY_LIST_ITEM__ONLINE_PRESENCE_ONLINE;
        item->online = entry->agent->online;
        item->since = entry->agent->since_usec;
        item->result = result(entry, arena);
        return item->result ? 0 : -ENOMEM;
}

struct filling {
        struct arena *arena;
        Admin__QueryListResponse *list;
        Admin__QueryListItem *items;
        int error;
};

static void add_item(const struct registry_entry *entry, void *userdata) {
        struct filling *filling = userdata;
        Admin__QueryListItem *item;

        if (filling->error < 0)
                return;
        item = &filling->items[filling->list->n_list];
        filling->error = query_item(entry, filling->arena, item);
        if (filling->error >= 0)
                filling->list->list[filling->list->n_list++] = item;
}

int query_list(const struct registry *registry, struct arena *arena, Admin__QueryListResponse *list) {
        struct filling filling = { .arena = arena, .list = list };

        admin__query_list_response__init(list);
        /* In one piece each, which malloc() gives back to the system as it is freed. */
        filling.items = arena_alloc(arena, (registry_count(registry) + 1) * sizeof(filling.items[0]));
        list->list = arena_alloc(arena, (registry_count(registry) + 1) * sizeof(list->list[0]));
        if (!filling.items || !list->list)
                return -ENOMEM;
        registry_foreach(registry, add_item, &filling);
        return filling.error;
}
