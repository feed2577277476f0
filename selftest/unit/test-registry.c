/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the registry holds, what goes with what, and what those who follow it are told. */
#include "arena.h"
#include "query.h"
#include "registry.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define AGENT(vm_, number)                                                                                  \
        &(struct registry_agent_values) {                                                                   \
                .vm = vm_, .type = type_of(number),                                                         \
                .transport = { .protocol = (char *) "tcp",                                                  \
                        .address = (char *) "192.168.100.5",                                                \
                        .port = (char *) "9000" },                                                          \
        }

static struct registry *registry;
static struct registry_observer observer;
static char told[65536];

static struct component_type type_of(uint32_t number) {
        struct component_type type;

        cr_assert_eq(component_type_from_wire(number, &type), 0);
        return type;
}

static void changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        static const char signs[] = { [REGISTRY_ADDED] = '+',
                [REGISTRY_UPDATED] = '~',
                [REGISTRY_MOVED] = '.',
                [REGISTRY_REMOVED] = '-' };
        size_t n = strlen(told);

        snprintf(told + n, sizeof(told) - n, "%s%c%s", n > 0 ? " " : "", signs[event], entry->name);
}

/* What was told since the last time. */
static const char *news(void) {
        static char last[sizeof(told)];

        memcpy(last, told, sizeof(last));
        told[0] = '\0';
        return last;
}

static void set_up(void) {
        cr_assert_eq(registry_new(&registry), 0);
        observer = (struct registry_observer){ .changed = changed };
        registry_observe(registry, &observer);
        told[0] = '\0';
}

static void tear_down(void) {
        registry = registry_free(registry);
}

static Systemd__UnitStatus status(const char *active, const char *sub) {
        Systemd__UnitStatus s = SYSTEMD__UNIT_STATUS__INIT;

        s.loadstate = (char *) "loaded";
        s.activestate = (char *) active;
        s.substate = (char *) sub;
        s.freezerstate = (char *) "running";
        return s;
}

static struct registry_agent *put_agent(const char *vm, uint32_t number) {
        struct registry_agent *agent;

        cr_assert_eq(registry_put_agent(registry, AGENT(vm, number), &agent), 0);
        return agent;
}

static struct registry_entry *put_unit(struct registry_agent *agent, const char *name, uint32_t number,
                const char *active, const char *sub) {
        Systemd__UnitStatus s = status(active, sub);
        struct registry_entry *entry;

        cr_assert_eq(registry_put_unit(registry, agent, name, type_of(number), &s, &entry), 0);
        return entry;
}

static void set_state(const char *name, const char *active, const char *sub) {
        Systemd__UnitStatus s = status(active, sub);

        registry_set_state(registry, registry_find(registry, name), &s);
}

TestSuite(registry, .init = set_up, .fini = tear_down);

Test(registry, an_agent_takes_all_that_it_manages_along) {
        struct registry_agent *net = put_agent("net-vm", 8), *gui = put_agent("gui-vm", 8);

        put_unit(net, "a.service", 9, "active", "running");
        put_unit(net, "b.service", 9, "inactive", "dead");
        put_unit(gui, "c.service", 9, "active", "running");
        cr_assert_str_eq(news(),
                        "+givc-net-vm.service +givc-gui-vm.service +a.service +b.service +c.service");

        registry_remove(registry, net->entry);
        cr_assert_str_eq(news(), "-b.service -a.service -givc-net-vm.service");
        cr_assert_eq(registry_count(registry), 2);
        cr_assert_null(registry_find(registry, "a.service"));
        cr_assert_null(registry_find_agent(registry, "net-vm"));
        cr_assert_eq(registry_find_agent(registry, "gui-vm"), gui);
}

Test(registry, what_has_not_changed_is_not_told) {
        struct registry_agent *net = put_agent("net-vm", 8);

        put_unit(net, "a.service", 9, "active", "running");
        news();

        put_agent("net-vm", 8);
        put_unit(net, "a.service", 9, "active", "running");
        cr_assert_str_eq(news(), "");

        put_unit(net, "a.service", 9, "inactive", "dead");
        cr_assert_str_eq(news(), "~a.service");
        /* Another state, which a query shows as before: PoweredOff. */
        put_unit(net, "a.service", 9, "failed", "failed");
        cr_assert_str_eq(news(), ".a.service");
        put_unit(net, "a.service", 10, "failed", "failed");
        cr_assert_str_eq(news(), "~a.service");
}

Test(registry, an_agent_that_comes_as_another_kind_begins_anew) {
        struct registry_agent *vm = put_agent("x-vm", 8);

        put_unit(vm, "a.service", 9, "active", "running");
        news();
        put_agent("x-vm", 12);
        cr_assert_str_eq(news(), "-a.service -givc-x-vm.service +givc-x-vm.service");
}

Test(registry, another_kind_is_no_way_around_the_limit_of_registrations) {
        unsigned n = 0;

        while (ratelimit_pass(&put_agent("x-vm", n % 2 > 0 ? 8 : 12)->limits.registrations, NULL))
                cr_assert_leq(++n, 2 * REGISTRY_UNITS_MAX);
}

Test(registry, a_vm_that_goes_down_takes_its_agent_along_and_stays) {
        struct registry_agent *host = put_agent("ghaf-host", 0), *app;

        put_unit(host, "microvm@app-vm.service", 11, "active", "running");
        app = put_agent("app-vm", 12);
        put_unit(app, "clock.service", 13, "active", "running");
        news();

        set_state("microvm@app-vm.service", "failed", "failed");
        cr_assert_str_eq(news(), "~microvm@app-vm.service -clock.service -givc-app-vm.service");
        cr_assert_str_eq(component_state_text(registry_find(registry, "microvm@app-vm.service")->state),
                        "PoweredOff");

        /* What is down already takes nobody along: the agent of a VM that boots may be heard of before its
         * unit. */
        put_agent("app-vm", 12);
        set_state("microvm@app-vm.service", "inactive", "dead");
        cr_assert_not_null(registry_find_agent(registry, "app-vm"));
}

Test(registry, only_the_hosts_word_takes_a_vm_down) {
        struct registry_agent *bad = put_agent("bad-vm", 12);

        put_agent("app-vm", 12);
        put_unit(bad, "microvm@app-vm.service", 13, "active", "running");
        set_state("microvm@app-vm.service", "inactive", "dead");
        cr_assert_not_null(registry_find_agent(registry, "app-vm"));
}

Test(registry, an_application_leaves_when_it_ends_and_a_service_stays) {
        struct registry_agent *app = put_agent("app-vm", 12);

        put_unit(app, "clock@0.service", 14, "active", "running");
        put_unit(app, "clock@1.service", 14, "active", "running");
        put_unit(app, "exposed.service", 13, "active", "running");
        news();
        set_state("clock@0.service", "inactive", "dead");
        set_state("clock@1.service", "failed", "failed");
        set_state("exposed.service", "failed", "failed");
        cr_assert_str_eq(news(),
                        "~clock@0.service -clock@0.service ~clock@1.service -clock@1.service "
                        "~exposed.service");
        cr_assert_eq(app->n_units, 1);
}

Test(registry, an_agent_that_is_lost_is_told_of_it_and_its_units_and_nothing_is_removed) {
        struct registry_agent *net = put_agent("net-vm", 8);

        put_unit(net, "a.service", 9, "active", "running");
        put_unit(net, "b.service", 9, "active", "running");
        news();
        registry_set_online(registry, net, true);
        cr_assert_str_eq(news(), "~givc-net-vm.service");
        cr_assert(registry_tell_online(registry, net, 1));
        cr_assert_str_eq(news(), "~b.service");
        cr_assert_not(registry_tell_online(registry, net, 1));
        cr_assert_str_eq(news(), "~a.service");
        cr_assert_not(registry_tell_online(registry, net, 1));
        registry_set_online(registry, net, true);
        cr_assert_not(registry_tell_online(registry, net, 1));
        cr_assert_str_eq(news(), "");
        registry_set_online(registry, net, false);
        cr_assert_not(registry_tell_online(registry, net, 2));
        cr_assert_str_eq(news(), "~givc-net-vm.service ~b.service ~a.service");
        cr_assert_str_eq(component_state_text(registry_find(registry, "a.service")->state), "Running");
}

Test(registry, who_comes_back_at_once_has_units_that_are_told_nothing) {
        struct registry_agent *net = put_agent("net-vm", 8);

        put_unit(net, "a.service", 9, "active", "running");
        news();
        registry_set_online(registry, net, true);
        registry_set_online(registry, net, false);
        cr_assert_not(registry_tell_online(registry, net, 1));
        cr_assert_str_eq(news(), "~givc-net-vm.service ~givc-net-vm.service");
        registry_set_online(registry, net, true);
        put_unit(net, "new.service", 9, "active", "running");
        cr_assert_not(registry_tell_online(registry, net, 1));
        cr_assert_str_eq(news(), "~givc-net-vm.service +new.service ~a.service");
}

Test(registry, a_name_is_held_once) {
        struct registry_agent *net = put_agent("net-vm", 8), *gui = put_agent("gui-vm", 8), *host;
        struct registry_entry *entry;

        put_unit(net, "a.service", 9, "active", "running");
        cr_assert_eq(registry_put_unit(registry, gui, "a.service", type_of(9), NULL, &entry), -EEXIST);
        cr_assert_eq(registry_put_unit(registry, gui, "givc-net-vm.service", type_of(9), NULL, &entry),
                        -EEXIST);

        /* Whoever sits on the name of an agent or of a VM has to leave it to its owner. */
        put_unit(net, "givc-app-vm.service", 9, "active", "running");
        put_unit(net, "microvm@app-vm.service", 9, "active", "running");
        host = put_agent("ghaf-host", 0);
        news();
        put_agent("app-vm", 12);
        cr_assert_str_eq(news(), "-givc-app-vm.service +givc-app-vm.service");
        put_unit(host, "microvm@app-vm.service", 11, "active", "running");
        cr_assert_str_eq(news(), "-microvm@app-vm.service +microvm@app-vm.service");
        cr_assert_eq(net->n_units, 1);
}

Test(registry, has_room_for_so_many_and_no_more) {
        Systemd__UnitStatus state = status("active", "exited");
        char name[REGISTRY_NAME_MAX + 1], description[REGISTRY_DESCRIPTION_MAX + 1] = "";
        struct registry_agent *agent = NULL;
        Admin__QueryListResponse list;
        struct arena arena;
        size_t n = 0;
        int r = 0;

        memset(description, 'x', sizeof(description) - 1);
        state.description = description;
        registry_ignore(&observer);
        for (size_t vm = 0; r >= 0; vm++) {
                snprintf(name, sizeof(name), "vm-%07zu", vm);
                r = registry_put_agent(registry, AGENT(name, 12), &agent);
                for (size_t i = 0; i < REGISTRY_UNITS_MAX && r >= 0; i++) {
                        snprintf(name, sizeof(name), "%0*zu-%04zu.service", REGISTRY_NAME_MAX - 13, vm, i);
                        r = registry_put_unit(registry, agent, name, type_of(13), &state, NULL);
                        n += r >= 0;
                }
                if (vm == 0)
                        cr_assert_eq(registry_put_unit(registry, agent, "more.service", type_of(13), NULL,
                                                     NULL),
                                        -EDQUOT);
        }
        cr_assert_eq(r, -ENOSPC);
        cr_assert_eq(registry_count(registry), REGISTRY_ENTRIES_MAX);
        cr_assert_gt(n, REGISTRY_ENTRIES_MAX - 10);

        arena_init(&arena, QUERY_BYTES_MAX);
        cr_assert_eq(query_list(registry, &arena, &list), 0);
        /* gRPC's own default is all that a peer can be told at once. */
        cr_assert_leq(admin__query_list_response__get_packed_size(&list), 4 * 1024 * 1024);
        arena_clear(&arena);
}

Test(registry, names_are_charged_to_who_registers_the_agent) {
        const struct quota_limit limits[_QUOTA_RESOURCE_MAX] = { [QUOTA_NAMES] = { 100, 3 } };
        struct registry_agent_values values = *AGENT("net-vm", 8);
        struct registry_agent *net = put_agent("net-vm", 8);
        struct quota_account *one, *other;
        struct quota *quota;

        cr_assert_eq(quota_new(&quota, NULL, limits), 0);
        cr_assert_eq(quota_account_get(quota, "one", true, &one), 0);
        cr_assert_eq(quota_account_get(quota, "other", true, &other), 0);
        put_unit(net, "a.service", 9, "active", "running");
        cr_assert_eq(quota_used(quota, QUOTA_NAMES), 0);
        values.account = one;
        cr_assert_eq(registry_put_agent(registry, &values, &net), 0);
        cr_assert_eq(quota_account_used(one, QUOTA_NAMES), 2);
        put_unit(net, "b.service", 9, "active", "running");
        put_unit(net, "b.service", 9, "active", "running");
        cr_assert_eq(quota_account_used(one, QUOTA_NAMES), 3);
        cr_assert_eq(registry_put_unit(registry, net, "c.service", type_of(9), NULL, NULL), -EDQUOT);
        cr_assert_null(registry_find(registry, "c.service"));
        values.vm = "app-vm";
        cr_assert_eq(registry_put_agent(registry, &values, &net), -EDQUOT);
        values.account = other;
        cr_assert_eq(registry_put_agent(registry, &values, &net), 0);

        registry_remove(registry, registry_find(registry, "a.service"));
        net = registry_find_agent(registry, "net-vm");
        cr_assert_eq(quota_account_used(one, QUOTA_NAMES), 2);
        put_unit(net, "c.service", 9, "active", "running");
        values.vm = "net-vm";
        cr_assert_eq(registry_put_agent(registry, &values, &net),
                        -EDQUOT); /* it has one, and may have two more */
        registry_remove(registry, net->entry);
        cr_assert_eq(quota_account_used(one, QUOTA_NAMES), 0);
        registry_remove(registry, registry_find(registry, "givc-app-vm.service"));
        cr_assert_eq(quota_used(quota, QUOTA_NAMES), 0);
        quota_account_unref(one);
        quota_account_unref(other);
        quota_unref(quota);
}

Test(registry, a_description_is_cut_between_characters_and_must_be_text) {
        struct registry_agent *net = put_agent("net-vm", 8);
        Systemd__UnitStatus s = status("active", "running");
        struct registry_entry *entry;
        char text[REGISTRY_DESCRIPTION_MAX + 10];

        memset(text, 'x', sizeof(text));
        memcpy(text + REGISTRY_DESCRIPTION_MAX - 1, "\xc3\xa4", 3);
        s.description = text;
        cr_assert_eq(registry_put_unit(registry, net, "a.service", type_of(9), &s, &entry), 0);
        cr_assert_eq(strlen(entry->description), REGISTRY_DESCRIPTION_MAX - 1);

        s.description = (char *) "\xff\xfe";
        cr_assert_eq(registry_put_unit(registry, net, "b.service", type_of(9), &s, &entry), 0);
        cr_assert_null(entry->description);
}

Test(component, types_are_numbered_as_on_the_wire) {
        static const char *const names[] = { "Host Mgr", "Host Svc", "Host App", "AdmVM VM", "AdmVM Mgr",
                "AdmVM Svc", "AdmVM App", "SysVM VM", "SysVM Mgr", "SysVM Svc", "SysVM App", "AppVM VM",
                "AppVM Mgr", "AppVM Svc", "AppVM App" };
        struct component_type type;

        for (uint32_t i = 0; i < ELEMENTSOF(names); i++) {
                char name[32];

                type = type_of(i);
                snprintf(name, sizeof(name), "%s %s", component_vm_text(type.vm),
                                component_service_text(type.service));
                cr_assert_str_eq(name, names[i]);
                cr_assert_eq(component_type_to_wire(type), i);
        }
        cr_assert_eq(component_type_from_wire(15, &type), -EINVAL);
        cr_assert_eq(component_type_from_wire(UINT32_MAX, &type), -EINVAL);
}

Test(component, states_are_kept_as_words) {
        static const char *const words[] = { "active", "auto-restart", "waiting", "abandoned",
                "stop-sigterm" };
        Systemd__UnitStatus s = SYSTEMD__UNIT_STATUS__INIT, back = SYSTEMD__UNIT_STATUS__INIT;

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                s.substate = (char *) words[i];
                component_state_to_wire(component_state_from_wire(&s), &back);
                cr_assert_str_eq(back.substate, words[i]);
        }
        s.substate = (char *) "a word of tomorrow";
        component_state_to_wire(component_state_from_wire(&s), &back);
        cr_assert_str_eq(back.substate, "");
}

Test(component, what_is_shown_of_a_state) {
        Systemd__UnitStatus s = status("active", "running");

        cr_assert_str_eq(component_state_text(component_state_from_wire(&s)), "Running");
        s.freezerstate = (char *) "frozen";
        cr_assert_str_eq(component_state_text(component_state_from_wire(&s)), "Paused");
        s = status("active", "exited");
        cr_assert_str_eq(component_state_text(component_state_from_wire(&s)), "PoweredOff");
        s = status("active", "running");
        s.loadstate = (char *) "not-found";
        cr_assert_str_eq(component_state_text(component_state_from_wire(&s)), "PoweredOff");
}

static int reserve(const char *vm, const char *application, int first,
                struct registry_reservation *reservation) {
        *reservation = (struct registry_reservation){};
        list_init(&reservation->reservations);
        return registry_reserve(registry, vm, application, first, reservation);
}

Test(registry, instances_get_the_lowest_number_that_nobody_has) {
        struct registry_agent *app = put_agent("app-vm", 12), *other = put_agent("other-vm", 12);
        struct registry_reservation first, second, third, elsewhere;

        put_unit(app, "a@1.service", 14, "active", "running");
        cr_assert_eq(reserve("app-vm", "a", 0, &first), 0);
        cr_assert_str_eq(first.name, "a@0.service");
        cr_assert_eq(reserve("app-vm", "a", 0, &second), 2);
        cr_assert_eq(reserve("other-vm", "a", 0, &third), 3);
        cr_assert_eq(reserve("app-vm", "a", 7, &elsewhere), 7);
        registry_release(&elsewhere);

        /* Whoever has not reserved it cannot have it meanwhile. */
        cr_assert_eq(registry_put_unit(registry, other, "a@0.service", type_of(14), NULL, NULL), -EEXIST);
        put_unit(app, "a@0.service", 14, "active", "running");
        registry_release(&first);
        registry_release(&second);
        registry_release(&second);
        registry_release(&third);
        cr_assert_eq(reserve("app-vm", "a", 0, &first), 2);
        registry_release(&first);
        cr_assert_eq(reserve("app-vm", "b", 0, &first), 0);
        registry_release(&first);
}

Test(registry, instances_whose_name_would_be_too_long) {
        struct registry_reservation reservation;
        char name[REGISTRY_NAME_MAX + 1];

        memset(name, 'a', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        cr_assert_eq(reserve("app-vm", name, 0, &reservation), -ENAMETOOLONG);
        cr_assert_eq(reserve("app-vm", "a", REGISTRY_ENTRIES_MAX, &reservation), -ENOSPC);
}
