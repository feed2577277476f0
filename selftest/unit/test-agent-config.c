/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"
#include "text.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

/* Each line has its number, so that a case can say which one an error must name. */
static const char full[] = "{\n"                                                    /* 1 */
                           "  \"identity\": {\n"                                    /* 2 */
                           "    \"type\": 12,\n"                                    /* 3 */
                           "    \"subType\": 13,\n"                                 /* 4 */
                           "    \"parent\": \"microvm@app-vm.service\",\n"          /* 5 */
                           "    \"name\": \"app-vm\"\n"                             /* 6 */
                           "  },\n"                                                 /* 7 */
                           "  \"network\": {\n"                                     /* 8 */
                           "    \"agent\": { \"transport\": {\n"                    /* 9 */
                           "      \"name\": \"app-vm\",\n"                          /* 10 */
                           "      \"addr\": \"192.168.100.4\",\n"                   /* 11 */
                           "      \"port\": \"9000\",\n"                            /* 12 */
                           "      \"protocol\": \"tcp\" } },\n"                     /* 13 */
                           "    \"admin\": { \"transport\": {\n"                    /* 14 */
                           "      \"name\": \"admin-vm\",\n"                        /* 15 */
                           "      \"addr\": \"192.168.100.2\",\n"                   /* 16 */
                           "      \"port\": \"9001\",\n"                            /* 17 */
                           "      \"protocol\": \"tcp\" } },\n"                     /* 18 */
                           "    \"tls\": {\n"                                       /* 19 */
                           "      \"enable\": true,\n"                              /* 20 */
                           "      \"caCertPath\": \"/etc/givc/ca-cert.pem\",\n"     /* 21 */
                           "      \"certPath\": \"/etc/givc/cert.pem\",\n"          /* 22 */
                           "      \"keyPath\": \"/etc/givc/key.pem\" }\n"           /* 23 */
                           "  },\n"                                                 /* 24 */
                           "  \"capabilities\": {\n"                                /* 25 */
                           "    \"services\": [\n"                                  /* 26 */
                           "      \"poweroff.target\",\n"                           /* 27 */
                           "      \"chrony.service\"\n"                             /* 28 */
                           "    ],\n"                                               /* 29 */
                           "    \"vmServices\": {\n"                                /* 30 */
                           "      \"adminVm\": \"microvm@admin-vm.service\",\n"     /* 31 */
                           "      \"systemVms\": [ \"microvm@net-vm.service\" ],\n" /* 32 */
                           "      \"appVms\": [ \"microvm@app-vm.service\", \"microvm@chrome-vm.service\" ] "
                           "},\n"                                                                    /* 33 */
                           "    \"applications\": null,\n"                                           /* 34 */
                           "    \"exec\": { \"enable\": false },\n"                                  /* 35 */
                           "    \"wifi\": { \"enable\": false },\n"                                  /* 36 */
                           "    \"ctap\": { \"enable\": false },\n"                                  /* 37 */
                           "    \"hwid\": { \"enable\": false, \"interface\": \"\" },\n"             /* 38 */
                           "    \"notifier\": { \"enable\": false, \"socket\": \"/run/notify\" },\n" /* 39 */
                           "    \"socketProxy\": { \"enable\": false, \"sockets\": null },\n"        /* 40 */
                           "    \"eventProxy\": { \"enable\": false, \"events\": null },\n"          /* 41 */
                           "    \"policy\": { \"enable\": false, \"storePath\": \"/etc/policies\", "
                           "\"policies\": {} }\n" /* 42 */
                           "  },\n"               /* 43 */
                           "  \"accessControl\": { \"enable\": false, \"rulesFile\": "
                           "\"/etc/givc/rules.cedar\" }\n" /* 44 */
                           "}\n";                          /* 45 */

/* Loads n bytes as a file whose path is of no interest: *ret_error has it taken off its front. */
static int load(struct config *config, const char *text, size_t n, char **ret_error) {
        _cleanup_(closep) int fd = -1;
        char path[64];
        int r;

        fd = memfd_create("agent.json", MFD_CLOEXEC);
        cr_assert(fd >= 0);
        cr_assert_eq(write(fd, text, n), (ssize_t) n);
        snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        r = config_load(config, path, ret_error);
        if (*ret_error) {
                cr_assert(startswith(*ret_error, path), "%s does not name the file", *ret_error);
                memmove(*ret_error, *ret_error + strlen(path), strlen(*ret_error) - strlen(path) + 1);
        }
        return r;
}

/* The full configuration with one piece of it replaced. */
static char *variant(const char *piece, const char *other) {
        const char *at = strstr(full, piece);

        cr_assert_not_null(at, "no %s in the configuration", piece);
        return text_printf("%.*s%s%s", (int) (at - full), full, other, at + strlen(piece));
}

static void load_variant(struct config *config, const char *piece, const char *other) {
        _cleanup_(freep) char *text = variant(piece, other), *error = NULL;

        cr_assert_eq(load(config, text, strlen(text), &error), 0, "%s: %s", other, error);
        cr_assert_null(error);
}

static void check_error(const char *piece, const char *other, const char *expected) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;
        _cleanup_(freep) char *text = variant(piece, other), *error = NULL;

        cr_expect_eq(load(&config, text, strlen(text), &error), -EINVAL, "%s was taken", other);
        cr_expect_not_null(error);
        cr_expect_str_eq(strempty(error), expected);
}

Test(agent_config, everything_is_read) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;
        _cleanup_(freep) char *error = NULL;

        cr_assert_eq(load(&config, full, strlen(full), &error), 0, "%s", error);
        cr_assert_null(error);
        cr_assert_eq(config.type, COMPONENT_APP_AGENT);
        cr_assert_eq(config.sub_type, 13);
        cr_assert_str_eq(config.name, "app-vm");
        cr_assert_str_eq(config.agent, "givc-app-vm.service");
        cr_assert_str_eq(config.parent, "microvm@app-vm.service");
        cr_assert_str_eq(config.transport.name, "app-vm");
        cr_assert_str_eq(config.transport.address, "192.168.100.4");
        cr_assert_str_eq(config.transport.port, "9000");
        cr_assert_str_eq(config.transport.protocol, "tcp");
        cr_assert_eq(ntohs(config.transport.socket.in.sin_port), 9000);
        cr_assert_str_eq(config.admin.name, "admin-vm");
        cr_assert_eq(ntohs(config.admin.socket.in.sin_port), 9001);
        cr_assert(config.tls.enable);
        cr_assert_str_eq(config.tls.ca_path, "/etc/givc/ca-cert.pem");
        cr_assert_str_eq(config.tls.cert_path, "/etc/givc/cert.pem");
        cr_assert_str_eq(config.tls.key_path, "/etc/givc/key.pem");
        cr_assert_str_eq(config.services[0], "poweroff.target");
        cr_assert_str_eq(config.services[1], "chrony.service");
        cr_assert_null(config.services[2]);
        cr_assert_str_eq(config.admin_vms[0], "microvm@admin-vm.service");
        cr_assert_str_eq(config.system_vms[0], "microvm@net-vm.service");
        cr_assert_str_eq(config.app_vms[1], "microvm@chrome-vm.service");
        cr_assert_null(config.app_vms[2]);
        cr_assert_null(config.not_offered);
        cr_assert_null(config.warnings[0]);
}

Test(agent_config, what_is_left_out_has_a_default) {
        static const char least[] =
                        "{ \"identity\": { \"type\": 8, \"name\": \"net-vm\" }, \"network\": {"
                        " \"agent\": { \"transport\": { \"addr\": \"10.0.0.3\", \"port\": \"9000\" } },"
                        " \"admin\": { \"transport\": { \"name\": \"admin-vm\", \"addr\": \"10.0.0.2\", "
                        "\"port\": \"9001\" } },"
                        " \"tls\": { \"enable\": false } } }";
        _cleanup_(config_clear) struct config config = CONFIG_NULL;
        _cleanup_(freep) char *error = NULL;

        cr_assert_eq(load(&config, least, strlen(least), &error), 0, "%s", error);
        cr_assert_eq(config.sub_type, 9);
        cr_assert_str_eq(config.parent, "microvm@net-vm.service");
        cr_assert_str_eq(config.transport.name, "net-vm");
        cr_assert_str_eq(config.transport.protocol, "tcp");
        cr_assert_not(config.tls.enable);
        cr_assert_null(config.services[0]);
        cr_assert_null(config.admin_vms[0]);
        cr_assert_null(config.system_vms[0]);
        cr_assert_null(config.app_vms[0]);
}

Test(agent_config, keys_are_matched_without_regard_to_case) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;

        load_variant(&config, "\"caCertPath\": \"/etc/givc/ca-cert.pem\"", "\"CACERTPATH\": \"/a\"");
        cr_assert_str_eq(config.tls.ca_path, "/a");
        cr_assert_null(config.warnings[0]);
}

/* Each on its own: the service manager may have been told of the key alone. */
Test(agent_config, what_is_not_said_of_tls_comes_from_credentials_or_etc) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL, other = CONFIG_NULL;
        _cleanup_(freep) char *path = NULL;
        char directory[] = "/tmp/test-agent-config.XXXXXX";
        int fd;

        cr_assert_not_null(mkdtemp(directory));
        path = text_printf("%s/key.pem", directory);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
        cr_assert_geq(fd, 0);
        close(fd);
        cr_assert_eq(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
        load_variant(&config,
                        "\"caCertPath\": \"/etc/givc/ca-cert.pem\",\n"
                        "      \"certPath\": \"/etc/givc/cert.pem\",\n"
                        "      \"keyPath\": \"/etc/givc/key.pem\" }",
                        "\"caCertPath\": \"/a\" }");
        cr_expect_str_eq(config.tls.ca_path, "/a");
        cr_expect_str_eq(config.tls.cert_path, "/etc/givc/cert.pem");
        cr_expect_str_eq(config.tls.key_path, path);
        load_variant(&other, "\"chrony.service\"", "\"other.service\"");
        cr_expect_str_eq(other.tls.key_path, "/etc/givc/key.pem");
        unlink(path);
        rmdir(directory);
}

Test(agent_config, the_name_may_have_the_prefix) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;

        load_variant(&config, "\"name\": \"app-vm\"\n", "\"name\": \"givc-app-vm\"\n");
        cr_assert_str_eq(config.name, "app-vm");
        cr_assert_str_eq(config.agent, "givc-app-vm.service");
}

Test(agent_config, what_may_be_run_and_with_which_variables) {
        static const char piece[] = "\"exec\": { \"enable\": false }";
        _cleanup_(config_clear) struct config usual = CONFIG_NULL, listed = CONFIG_NULL, none = CONFIG_NULL;

        load_variant(&usual, piece, "\"exec\": { \"enable\": true }");
        cr_assert_str_eq(usual.exec.commands[0], "ota-update");
        cr_assert_null(usual.exec.variables);
        load_variant(&listed, piece,
                        "\"exec\": { \"enable\": true, \"commands\": [ \"a\" ], "
                        "\"environment\": [ \"TZ\", \"LC_*\" ] }");
        cr_assert_str_eq(listed.exec.commands[0], "a");
        cr_assert_null(listed.exec.commands[1]);
        cr_assert_str_eq(listed.exec.variables[1], "LC_*");
        cr_assert_null(listed.exec.variables[2]);
        load_variant(&none, piece, "\"exec\": { \"enable\": true, \"environment\": [] }");
        cr_assert_not_null(none.exec.variables);
        cr_assert_null(none.exec.variables[0]);
}

Test(agent_config, the_host_has_no_parent) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;

        load_variant(&config,
                        "\"type\": 12,\n    \"subType\": 13,\n    \"parent\": \"microvm@app-vm.service\",\n "
                        "   \"name\": \"app-vm\"",
                        "\"type\": 0, \"subType\": 1, \"parent\": \"\", \"name\": \"ghaf-host\"");
        cr_assert_eq(config.type, COMPONENT_HOST_AGENT);
        cr_assert_str_eq(config.parent, "");
}

Test(agent_config, null_lists_are_empty) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;

        load_variant(&config, "[ \"microvm@net-vm.service\" ]", "null");
        cr_assert_null(config.system_vms[0]);
        config_clear(&config);
        load_variant(&config, "\"microvm@admin-vm.service\"", "\"\"");
        cr_assert_null(config.admin_vms[0]);
}

Test(agent_config, other_transports_need_no_port_or_another) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;

        load_variant(&config,
                        "\"addr\": \"192.168.100.2\",\n      \"port\": \"9001\",\n      \"protocol\": "
                        "\"tcp\"",
                        "\"addr\": \"/run/givc.sock\", \"protocol\": \"unix\"");
        cr_assert_str_eq(config.admin.port, "");
        cr_assert_eq(config.admin.socket.any.sa_family, AF_UNIX);
        config_clear(&config);
        load_variant(&config,
                        "\"addr\": \"192.168.100.2\",\n      \"port\": \"9001\",\n      \"protocol\": "
                        "\"tcp\"",
                        "\"addr\": \"2\", \"port\": \"70000\", \"protocol\": \"vsock\"");
        cr_assert_eq(config.admin.socket.vm.svm_port, 70000);
}

Test(agent_config, unknown_keys_are_warned_of) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;

        load_variant(&config, "\"services\": [",
                        "\"colour\": { \"x\": [ 1 ] }, \"we.i[r]d\": 1,\n \"services\": [");
        cr_assert(endswith(config.warnings[0], ":26: capabilities.colour: is not known, ignored"), "%s",
                        config.warnings[0]);
        /* A key that looks like a place cannot be found again: the line is that of what it is in. */
        cr_assert(endswith(config.warnings[1], ":25: capabilities.we.i[r]d: is not known, ignored"), "%s",
                        config.warnings[1]);
        cr_assert_null(config.warnings[2]);
}

Test(agent_config, no_more_warnings_than_are_of_use) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;
        char keys[4096] = "";
        size_t n = 0;

        for (unsigned i = 0; i < 100; i++)
                n += (size_t) snprintf(keys + n, sizeof(keys) - n, "\"key%u\": 0, ", i);
        snprintf(keys + n, sizeof(keys) - n, "\"name\": \"app-vm\"\n");
        load_variant(&config, "\"name\": \"app-vm\"\n", keys);
        n = 0;
        while (config.warnings[n])
                n++;
        cr_assert_eq(n, 32);
}

Test(agent_config, what_this_build_has_not_is_said) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;

        load_variant(&config, "\"eventProxy\": { \"enable\": false", "\"eventProxy\": { \"enable\": true");
        cr_assert_str_eq(config.not_offered, "eventProxy");
}

#define POLICY_OFF "{ \"enable\": false, \"storePath\": \"/etc/policies\", \"policies\": {} }"
#define POLICY_OF  "{ \"enable\": true, \"storePath\": \"/etc/policies\", \"policies\": %s }"

static void load_policies(struct config *config, const char *policies) {
        char text[1024];

        snprintf(text, sizeof(text), POLICY_OF, policies);
        load_variant(config, POLICY_OFF, text);
}

Test(agent_config, policies_have_a_name_and_a_destination) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL, none = CONFIG_NULL;

        load_policies(&config, "{ \"proxy-config\": \"\", \"firewall\": \"/etc/fw/rules\" }");
        cr_assert(config.policy.enable);
        cr_assert_str_eq(config.policy.store, "/etc/policies");
        cr_assert_eq(config.policy.n_policies, 2);
        cr_assert_str_eq(config.policy.policies[0].name, "proxy-config");
        cr_assert_str_eq(config.policy.policies[0].destination, "");
        cr_assert_str_eq(config.policy.policies[1].destination, "/etc/fw/rules");
        load_policies(&none, "null");
        cr_assert(none.policy.enable && none.policy.n_policies == 0);
}

Test(agent_config, policies_go_where_they_are_meant_to_and_nowhere_else) {
        static const char *const wrong[] = {
                "[]",
                "{ \"a/b\": \"\" }",
                "{ \"..\": \"\" }",
                "{ \"\": \"\" }",
                "{ \".hidden\": \"\" }",
                "{ \"policies.json\": \"\" }",
                "{ \"a\": 1 }",
                "{ \"a\": \"relative\" }",
                "{ \"a\": \"/etc/\" }",
                "{ \"a\": \"/etc/../shadow\" }",
                "{ \"a\": \"/etc/..\" }",
                "{ \"a\": \"/etc/x\", \"b\": \"/etc/x\" }",
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                _cleanup_(config_clear) struct config config = CONFIG_NULL;
                _cleanup_(freep) char *error = NULL, *text = NULL;
                char policies[512];

                snprintf(policies, sizeof(policies), POLICY_OF, wrong[i]);
                text = variant(POLICY_OFF, policies);
                cr_expect_eq(load(&config, text, strlen(text), &error), -EINVAL, "%s was taken", wrong[i]);
                cr_expect(error && strstr(error, "capabilities.policy.policies: "), "%s", error);
        }
}

Test(agent_config, services_are_off_until_they_are_enabled) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL, on = CONFIG_NULL;

        load_variant(&config, "\"interface\": \"\"", "\"interface\": null");
        cr_assert(!config.ctap && !config.hwid.enable && !config.notifier.enable);
        cr_assert_null(config.hwid.interface);

        load_variant(&on,
                        "\"hwid\": { \"enable\": false, \"interface\": \"\" },\n    \"notifier\": { "
                        "\"enable\": false",
                        "\"hwid\": { \"enable\": true, \"interface\": \"wlan0\" }, \"notifier\": { "
                        "\"enable\": true");
        cr_assert(on.hwid.enable && on.notifier.enable);
        cr_assert_str_eq(on.hwid.interface, "wlan0");
        cr_assert_str_eq(on.notifier.directory, "/run/notify");
        cr_assert_null(on.not_offered);
}

Test(agent_config, logs_of_units_are_shown_unless_switched_off) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL, off = CONFIG_NULL, whole = CONFIG_NULL;

        load_variant(&config, "\"interface\": \"\"", "\"interface\": null");
        cr_assert(config.logs.enable && !config.logs.whole_journal);
        load_variant(&off, "\"wifi\"", "\"logs\": { \"enable\": false }, \"wifi\"");
        cr_assert(!off.logs.enable && !off.logs.whole_journal);
        load_variant(&whole, "\"wifi\"", "\"logs\": { \"wholejournal\": true }, \"wifi\"");
        cr_assert(whole.logs.enable && whole.logs.whole_journal);
        cr_assert_null(whole.warnings[0]);
        check_error("\"wifi\"", "\"logs\": { \"enable\": 1 }, \"wifi\"",
                        ":36: capabilities.logs.enable: is a number, must be true or false");
}

Test(agent_config, wrong_values_are_named_with_file_line_key_and_what_is_allowed) {
        static const struct {
                const char *piece, *other, *expected;
        } cases[] = {
                /* identity */
                { "\"type\": 12", "\"x\": 12",
                                ":2: identity.type: is missing, must be 0 (host), 4 (admin VM), 8 (system "
                                "VM) or 12 (application VM)" },
                { "\"type\": 12", "\"type\": 3",
                                ":3: identity.type: is 3, must be 0 (host), 4 (admin VM), 8 (system VM) or "
                                "12 (application VM)" },
                { "\"type\": 12", "\"type\": 16",
                                ":3: identity.type: is 16, must be 0 (host), 4 (admin VM), 8 (system VM) or "
                                "12 (application VM)" },
                { "\"type\": 12", "\"type\": -4",
                                ":3: identity.type: is -4, must be 0 (host), 4 (admin VM), 8 (system VM) or "
                                "12 (application VM)" },
                { "\"type\": 12", "\"type\": \"12\"",
                                ":3: identity.type: is a text, must be 0 (host), 4 (admin VM), 8 (system "
                                "VM) or 12 (application VM)" },
                { "\"type\": 12", "\"type\": 12.0",
                                ":3: identity.type: is a number, must be 0 (host), 4 (admin VM), 8 (system "
                                "VM) or 12 (application VM)" },
                { "\"subType\": 13", "\"subType\": 9",
                                ":4: identity.subType: is 9, must be 13 (services) or 14 (applications) "
                                "where type is 12" },
                { "\"subType\": 13", "\"subType\": true",
                                ":4: identity.subType: is true, must be 13 (services) or 14 (applications) "
                                "where type is 12" },
                { "\"microvm@app-vm.service\",\n    \"name\"", "\"../evil\",\n    \"name\"",
                                ":5: identity.parent: is \"../evil\", must be the unit of this VM on the "
                                "host, such as "
                                "\"microvm@app-vm.service\"" },
                { "\"name\": \"app-vm\"\n", "\"name\": \"app vm\"\n",
                                ":6: identity.name: is \"app vm\", must be the machine's name, such as "
                                "\"app-vm\": letters, "
                                "digits, \".\", \"_\" and \"-\"" },
                { "\"name\": \"app-vm\"\n", "\"name\": \"\"\n",
                                ":6: identity.name: is \"\", must be the machine's name, such as "
                                "\"app-vm\": letters, digits, "
                                "\".\", \"_\" and \"-\"" },
                { "\"name\": \"app-vm\"\n", "\"name\": null\n",
                                ":6: identity.name: is missing, must be the machine's name, such as "
                                "\"app-vm\": letters, "
                                "digits, \".\", \"_\" and \"-\"" },
                { "\"identity\": {", "\"identity\": [], \"x\": {",
                                ":2: identity: is a list, must be an object, { … }" },
                { "\"identity\": {", "\"ident\": {",
                                ":1: identity.type: is missing, must be 0 (host), 4 (admin VM), 8 (system "
                                "VM) or 12 (application VM)" },
                /* network */
                { "\"network\": {", "\"netzwerk\": {",
                                ":1: network.agent.transport.addr: is missing, must be an IP address, a CID "
                                "or a path, as the "
                                "protocol has it" },
                { "\"192.168.100.4\"", "\"app-vm\"",
                                ":11: network.agent.transport.addr: is \"app-vm\": not an IP address (host "
                                "names are not looked up)" },
                { "\"9000\"", "9000",
                                ":12: network.agent.transport.port: is a number, must be a number from 1 to "
                                "65535 (vsock: "
                                "4294967294), in quotes" },
                { "\"9000\"", "\"0\"",
                                ":12: network.agent.transport.port: is \"0\", must be a number from 1 to "
                                "65535 (vsock: "
                                "4294967294), in quotes" },
                { "\"9000\"", "\"65536\"",
                                ":12: network.agent.transport.port: is \"65536\", must be a number from 1 "
                                "to 65535 (vsock: "
                                "4294967294), in quotes" },
                { "\"9000\"", "\"9000 \"",
                                ":12: network.agent.transport.port: is \"9000 \", must be a number from 1 "
                                "to 65535 (vsock: "
                                "4294967294), in quotes" },
                { "\"protocol\": \"tcp\"", "\"protocol\": \"udp\"",
                                ":13: network.agent.transport.protocol: is \"udp\", must be \"tcp\", "
                                "\"vsock\", \"unix\" or "
                                "\"abstract\"" },
                { "\"name\": \"admin-vm\",\n", "\n",
                                ":14: network.admin.transport.name: is missing, must be the name in the "
                                "certificate of who "
                                "listens there" },
                { "\"name\": \"admin-vm\",\n", "\"name\": \"admin\\nvm\",\n",
                                ":15: network.admin.transport.name: is \"admin\\x0avm\", must be the name "
                                "in the certificate of "
                                "who listens there" },
                { "\"enable\": true", "\"enable\": \"yes\"",
                                ":20: network.tls.enable: is a text, must be true or false" },
                { "\"certPath\": \"/etc/givc/cert.pem\",", "\"certPath\": 1,",
                                ":22: network.tls.certPath: is a number, must be the path of a PEM file, or "
                                "be "
                                "left out" },
                { "\"/etc/givc/key.pem\"", "\"\"",
                                ":23: network.tls.keyPath: is \"\", must be the path of a PEM file, or be "
                                "left "
                                "out" },
                /* capabilities */
                { "\"chrony.service\"", "\"chrony\"",
                                ":28: capabilities.services[1]: is \"chrony\", must be the full name of a "
                                "unit, such as "
                                "\"chrony.service\"" },
                { "\"chrony.service\"", "\"getty@.service\"",
                                ":28: capabilities.services[1]: is \"getty@.service\", must be the full "
                                "name of a "
                                "unit, such as \"chrony.service\"" },
                { "\"chrony.service\"", "{}",
                                ":28: capabilities.services[1]: is an object, must be the full name of a "
                                "unit, such as "
                                "\"chrony.service\"" },
                { "\"chrony.service\"", "null",
                                ":28: capabilities.services[1]: is null, must be the full name of a unit, "
                                "such as "
                                "\"chrony.service\"" },
                { "\"microvm@admin-vm.service\"", "\"admin-vm\"",
                                ":31: capabilities.vmServices.adminVm: is \"admin-vm\", must be the unit of "
                                "a VM, such as "
                                "\"microvm@net-vm.service\"" },
                { "[ \"microvm@net-vm.service\" ]", "\"microvm@net-vm.service\"",
                                ":32: capabilities.vmServices.systemVms: is a text, must be a list, [ … ]" },
                { "\"microvm@chrome-vm.service\"", "\"chrome.target\"",
                                ":33: capabilities.vmServices.appVms[1]: is \"chrome.target\", must be the "
                                "unit of a VM, such as "
                                "\"microvm@net-vm.service\"" },
                { "\"applications\": null", "\"applications\": 1",
                                ":34: capabilities.applications: is a number, must be a list, [ … ], or "
                                "null" },
                { "\"exec\": { \"enable\": false }", "\"exec\": { \"enable\": 0 }",
                                ":35: capabilities.exec.enable: is a number, must be true or false" },
                { "\"exec\": { \"enable\": false }", "\"exec\": { \"environment\": \"TZ\" }",
                                ":35: capabilities.exec.environment: is a text, must be a list, [ … ]" },
                { "\"exec\": { \"enable\": false }", "\"exec\": { \"environment\": [ \"TZ\", \"*\" ] }",
                                ":35: capabilities.exec.environment[1]: is \"*\", must be names of "
                                "environment variables, such as \"TZ\", or beginnings, such as \"LC_*\"" },
                { "\"interface\": \"\"", "\"interface\": \"wlan/0\"",
                                ":38: capabilities.hwid.interface: is \"wlan/0\", must be the name of a "
                                "network interface, "
                                "such as \"wlp0s5f0\", or \"\" for the first" },
                { "\"enable\": false, \"socket\": \"/run/notify\"", "\"enable\": true",
                                ":39: capabilities.notifier.socket: is missing, must be the absolute path "
                                "of a directory with "
                                "sockets, such as \"/run/notifier\"" },
                { "\"enable\": false, \"socket\": \"/run/notify\"",
                                "\"enable\": true, \"socket\": \"notify\"",
                                ":39: capabilities.notifier.socket: is \"notify\", must be the absolute "
                                "path of a directory "
                                "with sockets, such as \"/run/notifier\"" },
                { "\"hwid\": {", "\"hwid\": 7, \"x\": {",
                                ":38: capabilities.hwid: is a number, must be an object, { … }" },
                { "\"enable\": false, \"rulesFile\": \"", "\"enable\": true, \"rulesFile\": \".",
                                ":44: accessControl.rulesFile: is not absolute, must be the absolute path "
                                "of a file of "
                                "Cedar policies" },
                { "\"enable\": false, \"rulesFile\"", "\"enable\": true, \"rules\"",
                                ":44: accessControl.rulesFile: is missing, must be the absolute path of a "
                                "file of Cedar "
                                "policies" },
                /* what jansson finds */
                { "\"type\": 12,", "\"type\": 12, \"type\": 12,",
                                ":3:22: duplicate object key near '\"type\"'" },
                { "\"type\": 12,", "\"type\": 12", ":4:13: '}' expected near '\"subType\"'" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                check_error(cases[i].piece, cases[i].other, cases[i].expected);
}

static void make_list(char list[static 8192], unsigned n_units) {
        size_t n = 1;

        list[0] = '[';
        for (unsigned i = 0; i < n_units; i++)
                n += (size_t) snprintf(list + n, 8192 - n, "%s\"unit-%u.service\"", i > 0 ? ", " : "", i);
        snprintf(list + n, 8192 - n, "]");
}

Test(agent_config, lists_have_a_bound) {
        char list[8192];

        make_list(list, CONFIG_UNITS_MAX - 4);
        check_error("[ \"microvm@net-vm.service\" ]", list,
                        ":25: capabilities: lists 257 units, must list at most 256");
        make_list(list, CONFIG_UNITS_MAX + 1);
        check_error("[ \"microvm@net-vm.service\" ]", list,
                        ":32: capabilities.vmServices.systemVms: has 257 entries, must have at most 256");
}

Test(agent_config, long_nonsense_is_cut_in_the_message) {
        char unit[2000];

        memset(unit, 'x', sizeof(unit));
        unit[0] = unit[sizeof(unit) - 2] = '"';
        unit[sizeof(unit) - 1] = '\0';
        check_error("\"chrony.service\"", unit,
                        ":28: capabilities.services[1]: is "
                        "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\", "
                        "must be the full name of a unit, such as \"chrony.service\"");
}

Test(agent_config, not_an_object) {
        static const char *const texts[] = { "[]", "[ { } ]" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_(config_clear) struct config config = CONFIG_NULL;
                _cleanup_(freep) char *error = NULL;

                cr_expect_eq(load(&config, texts[i], strlen(texts[i]), &error), -EINVAL);
                cr_expect_str_eq(error, ":1: must be a JSON object, { … }");
        }
}

Test(agent_config, a_file_that_is_not_there) {
        _cleanup_(config_clear) struct config config = CONFIG_NULL;
        _cleanup_(freep) char *error = NULL;

        cr_assert_eq(config_load(&config, "/nonexistent/agent.json", &error), -ENOENT);
        cr_assert_str_eq(error, "/nonexistent/agent.json: No such file or directory");
}

Test(agent_config, every_truncation_is_an_error) {
        /* Whole but for the final newline is whole. */
        for (size_t n = 0; n < strlen(full) - 1; n++) {
                _cleanup_(config_clear) struct config config = CONFIG_NULL;
                _cleanup_(freep) char *error = NULL;

                cr_assert_eq(load(&config, full, n, &error), -EINVAL, "%zu bytes were enough", n);
                cr_assert_not_null(error);
                cr_assert_null(config.name);
        }
}

Test(agent_config, transports_are_compared_whole) {
        _cleanup_(config_clear) struct config a = CONFIG_NULL, b = CONFIG_NULL;

        load_variant(&a, "{\n", "{\n");
        load_variant(&b, "\"9001\"", "\"9002\"");
        cr_assert(config_transport_equal(&a.transport, &b.transport));
        cr_assert_not(config_transport_equal(&a.admin, &b.admin));
}
