/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "whitelist.h"

static int compare_units(const void *a, const void *b) {
        return strcmp(((const struct whitelist_unit *) a)->name, ((const struct whitelist_unit *) b)->name);
}

/* The list is short and is not sorted yet. */
static bool is_listed(const struct whitelist *whitelist, const char *name) {
        for (size_t i = 0; i < whitelist->n_units; i++)
                if (streq(whitelist->units[i].name, name))
                        return true;
        return false;
}

static int add(struct whitelist *whitelist, const char *name, const char *target, uint32_t type, bool own) {
        struct whitelist_unit *unit = &whitelist->units[whitelist->n_units];

        if (is_listed(whitelist, name))
                return 0;
        *unit = (struct whitelist_unit){
                .name = strdup(name), .target = strdup(target), .type = type, .own = own
        };
        whitelist->n_units++;
        return unit->name && unit->target ? 0 : -ENOMEM;
}

static int add_all(struct whitelist *whitelist, char *const *names, uint32_t type) {
        int r = 0;

        for (; *names && r == 0; names++)
                r = add(whitelist, *names, *names, endswith(*names, ".service") ? type : WHITELIST_NO_TYPE,
                                false);
        return r;
}

static size_t count(char *const *names) {
        size_t n = 0;

        while (names[n])
                n++;
        return n;
}

static int fill(struct whitelist *whitelist, const struct config *config, const char *own_target) {
        int r;

        r = add(whitelist, config->agent, own_target ?: config->agent, config->type, true);
        if (r < 0)
                return r;
        r = add_all(whitelist, config->admin_vms, COMPONENT_ADMIN_VM);
        if (r < 0)
                return r;
        r = add_all(whitelist, config->system_vms, COMPONENT_SYSTEM_VM);
        if (r < 0)
                return r;
        r = add_all(whitelist, config->app_vms, COMPONENT_APP_VM);
        if (r < 0)
                return r;
        return add_all(whitelist, config->services, config->sub_type);
}

int whitelist_init(struct whitelist *whitelist, const struct config *config, const char *own_target) {
        size_t most;
        int r;

        most = 1 + count(config->admin_vms) + count(config->system_vms) + count(config->app_vms) +
                        count(config->services);
        *whitelist = WHITELIST_NULL;
        whitelist->units = calloc(most, sizeof(struct whitelist_unit));
        if (!whitelist->units)
                return -ENOMEM;
        r = fill(whitelist, config, own_target);
        if (r < 0) {
                whitelist_clear(whitelist);
                return r;
        }
        qsort(whitelist->units, whitelist->n_units, sizeof(struct whitelist_unit), compare_units);
        return 0;
}

void whitelist_clear(struct whitelist *whitelist) {
        for (size_t i = 0; i < whitelist->n_units; i++) {
                free(whitelist->units[i].name);
                free(whitelist->units[i].target);
        }
        free(whitelist->units);
        *whitelist = WHITELIST_NULL;
}

const struct whitelist_unit *whitelist_find(const struct whitelist *whitelist, const char *name) {
        struct whitelist_unit wanted = { .name = (char *) name };

        return bsearch(&wanted, whitelist->units, whitelist->n_units, sizeof(wanted), compare_units);
}

const struct whitelist_unit *whitelist_own(const struct whitelist *whitelist) {
        for (size_t i = 0; i < whitelist->n_units; i++)
                if (whitelist->units[i].own)
                        return &whitelist->units[i];
        return NULL;
}

bool whitelist_has_target(const struct whitelist *whitelist, const char *target) {
        for (size_t i = 0; i < whitelist->n_units; i++)
                if (streq(whitelist->units[i].target, target))
                        return true;
        return false;
}

bool whitelist_equal(const struct whitelist *a, const struct whitelist *b) {
        if (a->n_units != b->n_units)
                return false;
        for (size_t i = 0; i < a->n_units; i++)
                if (!streq(a->units[i].name, b->units[i].name) ||
                                !streq(a->units[i].target, b->units[i].target) ||
                                a->units[i].type != b->units[i].type)
                        return false;
        return true;
}
