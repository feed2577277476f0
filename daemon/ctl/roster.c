/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "roster.h"

static Admin__QueryListItem *item_copy(const Admin__QueryListItem *item) {
        size_t n = admin__query_list_item__get_packed_size(item);
        _cleanup_(freep) uint8_t *packed = malloc(n > 0 ? n : 1);

        if (!packed)
                return NULL;
        admin__query_list_item__pack(item, packed);
        return admin__query_list_item__unpack(NULL, n, packed);
}

static void item_free(Admin__QueryListItem *item) {
        admin__query_list_item__free_unpacked(item, NULL);
}
DEFINE_CLEANUP(Admin__QueryListItem, item_free)

/* Since when an agent is online is no change while it still is. */
static bool item_equal(const Admin__QueryListItem *a, const Admin__QueryListItem *b) {
        return streq(a->name, b->name) && streq(a->description, b->description) &&
                        streq(a->vmstatus, b->vmstatus) && streq(a->trustlevel, b->trustlevel) &&
                        streq(a->vmtype, b->vmtype) && streq(a->servicetype, b->servicetype) &&
                        a->vm_name_presence_case == b->vm_name_presence_case &&
                        (!a->vm_name_presence_case || streq(a->vmname, b->vmname)) &&
                        a->agent_name_presence_case == b->agent_name_presence_case &&
                        (!a->agent_name_presence_case || streq(a->agentname, b->agentname)) &&
                        a->online_presence_case == b->online_presence_case &&
                        (!a->online_presence_case || a->online == b->online);
}

void roster_clear(struct roster *roster) {
        for (size_t i = 0; i < roster->n; i++)
                item_free(roster->items[i]);
        free(roster->items);
        *roster = ROSTER_NULL;
}

/* Where name is, or would have to be. */
static bool roster_find(const struct roster *roster, const char *name, size_t *ret_at) {
        size_t low = 0, high = roster->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int r = strcmp(roster->items[middle]->name, name);

                if (r == 0) {
                        *ret_at = middle;
                        return true;
                }
                if (r < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_at = low;
        return false;
}

static int roster_insert(struct roster *roster, size_t at, const Admin__QueryListItem *item) {
        _cleanup_(item_freep) Admin__QueryListItem *copy = NULL;

        if (roster->n >= ROSTER_ENTRIES_MAX)
                return -E2BIG;
        if (roster->n == roster->size) {
                size_t size = MAX(roster->size * 2, (size_t) 64);
                Admin__QueryListItem **items = reallocarray(roster->items, size, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                roster->items = items;
                roster->size = size;
        }
        copy = item_copy(item);
        if (!copy)
                return -ENOMEM;
        memmove(roster->items + at + 1, roster->items + at, (roster->n - at) * sizeof(*roster->items));
        roster->items[at] = TAKE_PTR(copy);
        roster->n++;
        return 0;
}

static void roster_remove(struct roster *roster, size_t at) {
        item_free(roster->items[at]);
        roster->n--;
        memmove(roster->items + at, roster->items + at + 1, (roster->n - at) * sizeof(*roster->items));
}

static int roster_update(struct roster *roster, size_t at, const Admin__QueryListItem *item) {
        Admin__QueryListItem *copy = item_copy(item);

        if (!copy)
                return -ENOMEM;
        item_free(roster->items[at]);
        roster->items[at] = copy;
        return 0;
}

int roster_apply(struct roster *roster, enum output_event event, const Admin__QueryListItem *item,
                roster_told_t told, void *userdata) {
        size_t at;
        bool known = roster_find(roster, item->name, &at);
        int r;

        if (event == OUTPUT_REMOVED) {
                if (!known)
                        return 0;
                roster_remove(roster, at);
                told(OUTPUT_REMOVED, item, userdata);
                return 0;
        }
        if (known && item_equal(roster->items[at], item))
                return 0;
        r = known ? roster_update(roster, at, item) : roster_insert(roster, at, item);
        if (r < 0)
                return r;
        told(known ? OUTPUT_CHANGED : OUTPUT_ADDED, item, userdata);
        return 0;
}

static void tell_nobody(enum output_event event, const Admin__QueryListItem *item, void *userdata) {
}

int roster_replace(struct roster *roster, Admin__QueryListItem *const *items, size_t n, roster_told_t told,
                void *userdata) {
        struct roster now = ROSTER_NULL;
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = roster_apply(&now, OUTPUT_ADDED, items[i], tell_nobody, NULL);
        if (r < 0) {
                roster_clear(&now);
                return r;
        }
        if (!told)
                told = tell_nobody;

        for (size_t i = 0; i < roster->n; i++) {
                size_t at;

                if (!roster_find(&now, roster->items[i]->name, &at))
                        told(OUTPUT_REMOVED, roster->items[i], userdata);
        }
        for (size_t i = 0; i < now.n; i++) {
                size_t at;
                bool known = roster_find(roster, now.items[i]->name, &at);

                if (!known || !item_equal(roster->items[at], now.items[i]))
                        told(known ? OUTPUT_CHANGED : OUTPUT_ADDED, now.items[i], userdata);
        }
        roster_clear(roster);
        *roster = now;
        return 0;
}

int roster_keep(struct roster *roster, const Admin__WatchItem *item) {
        switch (item->status_case) {
        case ADMIN__WATCH_ITEM__STATUS_INITIAL:
                return roster_replace(roster, item->initial->list, item->initial->n_list, NULL, NULL);
        case ADMIN__WATCH_ITEM__STATUS_ADDED:
                return roster_apply(roster, OUTPUT_ADDED, item->added, tell_nobody, NULL);
        case ADMIN__WATCH_ITEM__STATUS_UPDATED:
                return roster_apply(roster, OUTPUT_CHANGED, item->updated, tell_nobody, NULL);
        case ADMIN__WATCH_ITEM__STATUS_REMOVED:
                return roster_apply(roster, OUTPUT_REMOVED, item->removed, tell_nobody, NULL);
        default:
                return 0; /* of a later contract */
        }
}
