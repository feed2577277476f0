/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "whitelist.h"

#include <criterion/criterion.h>

static char *none[] = { NULL };

static struct config make_config(char **services) {
        return (struct config){
                .type = COMPONENT_APP_AGENT,
                .sub_type = 13,
                .agent = (char *) "givc-app-vm.service",
                .services = services,
                .admin_vms = none,
                .system_vms = none,
                .app_vms = none,
        };
}

static void check_unit(
                const struct whitelist *whitelist, const char *name, const char *target, uint32_t type) {
        const struct whitelist_unit *unit = whitelist_find(whitelist, name);

        cr_assert_not_null(unit, "%s is not in the whitelist", name);
        cr_assert_str_eq(unit->name, name);
        cr_assert_str_eq(unit->target, target);
        cr_assert_eq(unit->type, type);
}

Test(whitelist, services_and_the_own_unit) {
        char *services[] = { (char *) "zebra.service", (char *) "poweroff.target", (char *) "ant.service",
                NULL };
        const struct config config = make_config(services);
        _cleanup_(whitelist_clear) struct whitelist whitelist = WHITELIST_NULL;

        cr_assert_eq(whitelist_init(&whitelist, &config, "givc-agent.service"), 0);
        cr_assert_eq(whitelist.n_units, 4);
        check_unit(&whitelist, "givc-app-vm.service", "givc-agent.service", COMPONENT_APP_AGENT);
        check_unit(&whitelist, "zebra.service", "zebra.service", 13);
        check_unit(&whitelist, "ant.service", "ant.service", 13);
        check_unit(&whitelist, "poweroff.target", "poweroff.target", WHITELIST_NO_TYPE);
        cr_assert_str_eq(whitelist_own(&whitelist)->name, "givc-app-vm.service");
}

Test(whitelist, everything_else_is_refused) {
        static const char *const others[] = { "", "ant", "ant.service ", "ANT.service",
                "ant.service.service", "ant.socket", "ant@1.service", "../ant.service", "givc-agent.service",
                "givc-other-vm.service", "*.service" };
        char *services[] = { (char *) "ant.service", NULL };
        const struct config config = make_config(services);
        _cleanup_(whitelist_clear) struct whitelist whitelist = WHITELIST_NULL;

        cr_assert_eq(whitelist_init(&whitelist, &config, "givc-agent.service"), 0);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                cr_expect_null(whitelist_find(&whitelist, others[i]), "%s is permitted", others[i]);
}

Test(whitelist, vms_of_a_host) {
        char *admin[] = { (char *) "microvm@admin-vm.service", NULL };
        char *system[] = { (char *) "microvm@net-vm.service", (char *) "microvm@gui-vm.service", NULL };
        char *app[] = { (char *) "microvm@app-vm.service", NULL };
        const struct config config = {
                .type = COMPONENT_HOST_AGENT,
                .sub_type = 1,
                .agent = (char *) "givc-ghaf-host.service",
                .services = none,
                .admin_vms = admin,
                .system_vms = system,
                .app_vms = app,
        };
        _cleanup_(whitelist_clear) struct whitelist whitelist = WHITELIST_NULL;

        cr_assert_eq(whitelist_init(&whitelist, &config, NULL), 0);
        check_unit(&whitelist, "givc-ghaf-host.service", "givc-ghaf-host.service", COMPONENT_HOST_AGENT);
        check_unit(&whitelist, "microvm@admin-vm.service", "microvm@admin-vm.service", COMPONENT_ADMIN_VM);
        check_unit(&whitelist, "microvm@gui-vm.service", "microvm@gui-vm.service", COMPONENT_SYSTEM_VM);
        check_unit(&whitelist, "microvm@app-vm.service", "microvm@app-vm.service", COMPONENT_APP_VM);
        cr_assert_null(whitelist_find(&whitelist, "microvm@other-vm.service"));
}

Test(whitelist, a_name_counts_once) {
        char *services[] = { (char *) "ant.service", (char *) "givc-app-vm.service", (char *) "ant.service",
                (char *) "microvm@app-vm.service", NULL };
        char *app[] = { (char *) "microvm@app-vm.service", NULL };
        struct config config = make_config(services);
        _cleanup_(whitelist_clear) struct whitelist whitelist = WHITELIST_NULL;

        config.app_vms = app;
        cr_assert_eq(whitelist_init(&whitelist, &config, "givc-agent.service"), 0);
        cr_assert_eq(whitelist.n_units, 3);
        check_unit(&whitelist, "givc-app-vm.service", "givc-agent.service", COMPONENT_APP_AGENT);
        check_unit(&whitelist, "microvm@app-vm.service", "microvm@app-vm.service", COMPONENT_APP_VM);
}

Test(whitelist, targets_are_what_systemd_knows) {
        char *services[] = { (char *) "ant.service", NULL };
        const struct config config = make_config(services);
        _cleanup_(whitelist_clear) struct whitelist whitelist = WHITELIST_NULL;

        cr_assert_eq(whitelist_init(&whitelist, &config, "givc-agent.service"), 0);
        cr_assert(whitelist_has_target(&whitelist, "givc-agent.service"));
        cr_assert(whitelist_has_target(&whitelist, "ant.service"));
        cr_assert_not(whitelist_has_target(&whitelist, "givc-app-vm.service"));
}

Test(whitelist, equal_where_both_permit_the_same) {
        char *forth[] = { (char *) "a.service", (char *) "b.service", NULL };
        char *back[] = { (char *) "b.service", (char *) "a.service", NULL };
        char *less[] = { (char *) "a.service", NULL };
        char *other[] = { (char *) "a.service", (char *) "c.service", NULL };
        _cleanup_(whitelist_clear) struct whitelist first = WHITELIST_NULL, second = WHITELIST_NULL,
                                                    third = WHITELIST_NULL, fourth = WHITELIST_NULL;
        struct config config;

        config = make_config(forth);
        cr_assert_eq(whitelist_init(&first, &config, NULL), 0);
        config = make_config(back);
        cr_assert_eq(whitelist_init(&second, &config, NULL), 0);
        config = make_config(less);
        cr_assert_eq(whitelist_init(&third, &config, NULL), 0);
        config = make_config(other);
        cr_assert_eq(whitelist_init(&fourth, &config, NULL), 0);
        cr_assert(whitelist_equal(&first, &second));
        cr_assert_not(whitelist_equal(&first, &third));
        cr_assert_not(whitelist_equal(&first, &fourth));
}
