/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "application-instances.h"
#include "application-start.h"
#include "bus-object.h"
#include "config-read.h"
#include "log.h"
#include "message-ids.h"
#include "registration.h"
#include "run-result.h"
#include "text.h"
#include "unit-list.h"
#include "unit-watch.h"

/* Component types: applications come after a machine's agent and its services. */
#define APPLICATION_TYPE_OFFSET 2

struct application_instance *application_instance_find(struct manager *manager, const char *name) {
        struct application_instance *instance;

        LIST_FOREACH(instance, &manager->instances, instances)
                if (streq(instance->unit.name, name))
                        return instance;
        return NULL;
}

static size_t count(struct manager *manager) {
        struct application_instance *instance;
        size_t n = 0;

        LIST_FOREACH(instance, &manager->instances, instances)
                n++;
        return n;
}

int application_instance_add(struct manager *manager, const char *name, struct application_instance **ret) {
        struct application_instance *instance;
        int r;

        if (application_instance_find(manager, name))
                return -EEXIST;
        if (count(manager) >= APPLICATION_INSTANCES_MAX)
                return -ENOSPC;
        instance = calloc(1, sizeof(*instance));
        if (!instance)
                return -ENOMEM;
        instance->unit.name = instance->unit.target = strdup(name);
        instance->unit.type = manager->config.type + APPLICATION_TYPE_OFFSET;
        instance->shown = applications_find_instance(&manager->config.applications, name) &&
                        !whitelist_find(&manager->whitelist, name);
        r = instance->unit.name ? units_follow(manager->units, name) : -ENOMEM;
        if (r < 0) {
                free(instance->unit.name);
                free(instance);
                return r;
        }
        list_append(&manager->instances, &instance->instances);
        if (instance->shown)
                bus_object_unit_added(manager->bus_object, &instance->unit);
        *ret = instance;
        return 0;
}

void application_instance_remove(struct manager *manager, struct application_instance *instance) {
        if (instance->shown)
                bus_object_unit_removed(manager->bus_object, &instance->unit);
        if (instance->registered && manager->registration)
                registration_remove(manager->registration, &instance->unit);
        if (instance->start)
                application_start_forget(instance->start);
        /* A unit that the configuration lists as well is still followed for that. */
        if (!whitelist_has_target(&manager->whitelist, instance->unit.name))
                units_unfollow(manager->units, instance->unit.name);
        list_remove(&instance->instances);
        free(instance->unit.name);
        free(instance);
}

void application_instance_register(
                struct manager *manager, struct application_instance *instance, bool known) {
        if (!instance->shown || instance->registered)
                return;
        instance->registered = true;
        if (manager->registration)
                registration_add(manager->registration, &instance->unit, known);
}

struct application_instance *application_instance_sibling(
                struct manager *manager, const char *unit, const struct unit_state **ret_state) {
        struct application_instance *sibling;

        LIST_FOREACH(sibling, &manager->instances, instances) {
                if (!sibling->up || sibling->start || streq(sibling->unit.name, unit) ||
                                !application_unit_is_sibling(sibling->unit.name, unit))
                        continue;
                *ret_state = units_get(manager->units, sibling->unit.name);
                if (*ret_state && streq((*ret_state)->active_state, "active"))
                        return sibling;
        }
        return NULL;
}

/* --- how it ends --- */

static void log_end(const struct application_instance *instance, const struct unit_state *state) {
        const struct run_result result = {
                .result = state->result,
                .exit_code = state->exit_code,
                .exit_status = state->exit_status,
        };
        bool failed = run_result_is_failure(&result);
        const struct log_fields fields = {
                .message_id = failed ? GIVC_MESSAGE_APPLICATION_FAILED : GIVC_MESSAGE_APPLICATION_ENDED,
                .unit = instance->unit.name,
                .result = state->result,
        };
        _cleanup_(freep) char *text = run_result_text(&result);

        log_event(failed ? LOG_WARNING : LOG_INFO, &fields, "Application %s has %s: %s.", fields.unit,
                        failed ? "failed" : "ended", strempty(text));
}

void application_instance_changed(struct manager *manager, struct application_instance *instance,
                const struct unit_state *state) {
        bool down = streq(state->active_state, "inactive") || streq(state->active_state, "failed");
        struct application_start *start;

        if (!down) {
                instance->up = true;
                if (instance->shown)
                        unit_watch_tell(manager, &instance->unit, state);
                if (!instance->start)
                        application_instance_register(manager, instance, false);
                if (instance->registered && manager->registration)
                        registration_unit_known(manager->registration, &instance->unit);
                return;
        }
        /* A job is about to start it: for the first time, or again. */
        if (!unit_state_is_final(state) || (instance->start && !instance->up))
                return;
        if (instance->up) {
                if (instance->shown)
                        unit_watch_tell(manager, &instance->unit, state);
                log_end(instance, state);
                start = TAKE_PTR(instance->start);
                if (start)
                        application_start_ended(start, state);
        }
        application_instance_remove(manager, instance);
}

/* --- what runs already --- */

static void on_listed(const char *name, const char *active_state, void *userdata) {
        struct manager *manager = userdata;
        struct application_instance *instance;
        int r;

        if (streq(active_state, "inactive") || streq(active_state, "failed") ||
                        !applications_find_instance(&manager->config.applications, name))
                return;
        r = application_instance_add(manager, name, &instance);
        if (r < 0 && r != -EEXIST)
                log_warning_errno(r, "Cannot follow %s, which runs", name);
}

static int list_running(struct manager *manager) {
        const struct applications *applications = &manager->config.applications;
        _cleanup_(config_strings_freep) char **patterns = NULL;

        patterns = calloc(applications->n + 1, sizeof(char *));
        if (!patterns)
                return -ENOMEM;
        for (size_t i = 0; i < applications->n; i++) {
                patterns[i] = text_printf("%s@*.service", applications->list[i].name);
                if (!patterns[i])
                        return -ENOMEM;
        }
        manager->listing = unit_list_cancel(manager->listing);
        return unit_list_begin(
                        &manager->listing, manager->bus, (const char *const *) patterns, on_listed, manager);
}

static void on_connected(struct bus *bus, void *userdata) {
        struct manager *manager = userdata;
        int r;

        if (manager->config.applications.n == 0)
                return;
        r = list_running(manager);
        if (r < 0)
                log_warning_errno(r, "Cannot ask which applications run");
}

static const struct bus_listener bus_listener = { .connected = on_connected };

int application_instances_begin(struct manager *manager) {
        return bus_add_listener(manager->bus, &bus_listener, manager);
}

void application_instances_end(struct manager *manager) {
        manager->listing = unit_list_cancel(manager->listing);
        while (!list_is_empty(&manager->instances))
                application_instance_remove(manager,
                                LIST_FIRST(&manager->instances, struct application_instance, instances));
}

void application_instances_check(struct manager *manager) {
        struct application_instance *instance, *next;

        LIST_FOREACH_SAFE(instance, next, &manager->instances, instances)
                if (!applications_find_unit(&manager->config.applications, instance->unit.name))
                        application_instance_remove(manager, instance);
        on_connected(manager->bus, manager);
}
