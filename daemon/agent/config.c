/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"
#include "config-policy.h"
#include "config-read.h"
#include "config-services.h"
#include "credential.h"
#include "text.h"

#include <limits.h>
#include <stdio.h>

#define ALLOWED_TYPE     "0 (host), 4 (admin VM), 8 (system VM) or 12 (application VM)"
#define ALLOWED_NAME     "the machine's name, such as \"app-vm\": letters, digits, \".\", \"_\" and \"-\""
#define ALLOWED_PARENT   "the unit of this VM on the host, such as \"microvm@app-vm.service\""
#define ALLOWED_PROTOCOL "\"tcp\", \"vsock\", \"unix\" or \"abstract\""
#define ALLOWED_ADDRESS  "an IP address, a CID or a path, as the protocol has it"
#define ALLOWED_PORT     "a number from 1 to 65535 (vsock: 4294967294), in quotes"
#define ALLOWED_PEER     "the name in the certificate of who listens there"
#define ALLOWED_PATH     "the path of a PEM file, or be left out"
#define ALLOWED_UNIT     "the full name of a unit, such as \"chrony.service\""
#define ALLOWED_VM_UNIT  "the unit of a VM, such as \"microvm@net-vm.service\""

static int fail_missing(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *allowed) {
        return config_reader_fail(reader, section, key, "is missing, must be %s", allowed);
}

static int fail_value(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *value, const char *allowed) {
        _cleanup_(freep) char *shown = text_escape(value, strlen(value), 64);

        return config_reader_fail(reader, section, key, "is \"%s\", must be %s", strempty(shown), allowed);
}

/* A text that must be there, and not be empty. */
static int read_required(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *allowed, char **ret) {
        int r;

        r = config_read_string(reader, section, key, allowed, ret);
        if (r < 0)
                return r;
        if (r == 0)
                return fail_missing(reader, section, key, allowed);
        if (isempty(*ret))
                return fail_value(reader, section, key, *ret, allowed);
        return 0;
}

/* A template is not a unit: nothing of it can be shown or moved. */
static bool is_unit_name(const char *s) {
        return text_is_unit_name(s) && !strstr(s, "@.");
}

static bool is_service_name(const char *s) {
        return is_unit_name(s) && endswith(s, ".service");
}

/* --- identity --- */

static int read_types(
                struct config_reader *reader, const struct config_section *section, struct config *config) {
        char allowed[64];
        int r;

        r = config_read_uint(reader, section, "type", ALLOWED_TYPE, &config->type);
        if (r < 0)
                return r;
        if (r == 0)
                return fail_missing(reader, section, "type", ALLOWED_TYPE);
        if (config->type % 4 != 0 || config->type > COMPONENT_APP_AGENT)
                return config_reader_fail(
                                reader, section, "type", "is %u, must be " ALLOWED_TYPE, config->type);

        /* Services and applications of a machine are the two numbers after its agent's. */
        config->sub_type = config->type + 1;
        snprintf(allowed, sizeof(allowed), "%u (services) or %u (applications) where type is %u",
                        config->type + 1, config->type + 2, config->type);
        r = config_read_uint(reader, section, "subType", allowed, &config->sub_type);
        if (r < 0)
                return r;
        if (config->sub_type != config->type + 1 && config->sub_type != config->type + 2)
                return config_reader_fail(
                                reader, section, "subType", "is %u, must be %s", config->sub_type, allowed);
        return 0;
}

/* Some write "givc-app-vm" for "app-vm": the registered name has the prefix once. */
static int read_name(
                struct config_reader *reader, const struct config_section *section, struct config *config) {
        _cleanup_(freep) char *given = NULL;
        const char *bare;
        int r;

        r = read_required(reader, section, "name", ALLOWED_NAME, &given);
        if (r < 0)
                return r;
        bare = startswith(given, "givc-") ?: given;
        config->name = strdup(bare);
        config->agent = text_printf("givc-%s.service", bare);
        if (!config->name || !config->agent)
                return -ENOMEM;
        if (!text_is_host_name(bare) || !text_is_unit_name(config->agent))
                return fail_value(reader, section, "name", given, ALLOWED_NAME);
        return 0;
}

static int read_parent(
                struct config_reader *reader, const struct config_section *section, struct config *config) {
        int r;

        r = config_read_string(reader, section, "parent", ALLOWED_PARENT, &config->parent);
        if (r < 0)
                return r;
        if (config->type == COMPONENT_HOST_AGENT) {
                if (!isempty(config->parent))
                        return fail_value(reader, section, "parent", config->parent,
                                        "\"\" where type is 0 (host)");
                if (!config->parent)
                        config->parent = strdup("");
        } else if (isempty(config->parent)) {
                free(config->parent);
                config->parent = text_printf("microvm@%s.service", config->name);
        }
        if (!config->parent)
                return -ENOMEM;
        if (!isempty(config->parent) && !is_service_name(config->parent))
                return fail_value(reader, section, "parent", config->parent, ALLOWED_PARENT);
        return 0;
}

static int read_identity(
                struct config_reader *reader, const struct config_section *top, struct config *config) {
        static const char *const known[] = { "type", "subType", "parent", "name", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, top, "identity", known, &section);
        if (r < 0)
                return r;
        r = read_types(reader, &section, config);
        if (r < 0)
                return r;
        r = read_name(reader, &section, config);
        if (r < 0)
                return r;
        return read_parent(reader, &section, config);
}

/* --- network --- */

static bool is_protocol(const char *s) {
        return streq(s, "tcp") || streq(s, "vsock") || streq(s, "unix") || streq(s, "abstract");
}

static int read_protocol(struct config_reader *reader, const struct config_section *section,
                struct config_transport *transport) {
        int r;

        r = config_read_string(reader, section, "protocol", ALLOWED_PROTOCOL, &transport->protocol);
        if (r < 0)
                return r;
        if (r == 0)
                transport->protocol = strdup("tcp");
        if (!transport->protocol)
                return -ENOMEM;
        if (!is_protocol(transport->protocol))
                return fail_value(reader, section, "protocol", transport->protocol, ALLOWED_PROTOCOL);
        return 0;
}

static int read_port(struct config_reader *reader, const struct config_section *section,
                struct config_transport *transport) {
        bool tcp = streq(transport->protocol, "tcp");
        uint64_t port;
        int r;

        r = config_read_string(reader, section, "port", ALLOWED_PORT, &transport->port);
        if (r < 0)
                return r;
        if (!tcp && !streq(transport->protocol, "vsock")) {
                if (r == 0)
                        transport->port = strdup("");
                return transport->port ? 0 : -ENOMEM;
        }
        if (r == 0)
                return fail_missing(reader, section, "port", ALLOWED_PORT);
        /* VMADDR_PORT_ANY, the greatest, is no port of anybody's. */
        if (text_to_uint(transport->port, tcp ? UINT16_MAX : UINT32_MAX - 1, &port) < 0 || port == 0)
                return fail_value(reader, section, "port", transport->port, ALLOWED_PORT);
        return 0;
}

static int read_transport(struct config_reader *reader, const struct config_section *network,
                const char *side, const char *default_name, struct config_transport *transport) {
        static const char *const known_around[] = { "transport", NULL };
        static const char *const known[] = { "name", "addr", "port", "protocol", NULL };
        struct config_section around, section;
        const char *error;
        int r;

        r = config_read_section(reader, network, side, known_around, &around);
        if (r < 0)
                return r;
        r = config_read_section(reader, &around, "transport", known, &section);
        if (r < 0)
                return r;
        r = config_read_string(reader, &section, "name", ALLOWED_PEER, &transport->name);
        if (r < 0)
                return r;
        if (isempty(transport->name)) {
                if (!default_name)
                        return fail_missing(reader, &section, "name", ALLOWED_PEER);
                free(transport->name);
                transport->name = strdup(default_name);
                if (!transport->name)
                        return -ENOMEM;
        }
        if (!text_is_host_name(transport->name))
                return fail_value(reader, &section, "name", transport->name, ALLOWED_PEER);
        r = read_protocol(reader, &section, transport);
        if (r < 0)
                return r;
        r = read_required(reader, &section, "addr", ALLOWED_ADDRESS, &transport->address);
        if (r < 0)
                return r;
        r = read_port(reader, &section, transport);
        if (r < 0)
                return r;
        r = rpc_address_from_transport(&transport->socket, transport->protocol, transport->address,
                        transport->port, &error);
        if (r < 0) {
                _cleanup_(freep) char *shown =
                                text_escape(transport->address, strlen(transport->address), 64);

                return config_reader_fail(reader, &section, "addr", "is \"%s\": %s", strempty(shown), error);
        }
        return 0;
}

static int read_tls_path(struct config_reader *reader, const struct config_section *tls, const char *key,
                const char *name, char **ret) {
        int r;

        r = config_read_string(reader, tls, key, ALLOWED_PATH, ret);
        if (r < 0)
                return r;
        if (r == 0)
                return credential_find(name, CONFIG_TLS_DIRECTORY, ret);
        return isempty(*ret) ? fail_value(reader, tls, key, *ret, ALLOWED_PATH) : 0;
}

static int read_tls(
                struct config_reader *reader, const struct config_section *network, struct config *config) {
        static const char *const known[] = { "enable", "caCertPath", "certPath", "keyPath", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, network, "tls", known, &section);
        if (r < 0)
                return r;
        /* Who does not say is protected. */
        config->tls.enable = true;
        r = config_read_bool(reader, &section, "enable", &config->tls.enable);
        if (r < 0 || !config->tls.enable)
                return r;
        r = read_tls_path(reader, &section, "caCertPath", "ca-cert.pem", &config->tls.ca_path);
        if (r >= 0)
                r = read_tls_path(reader, &section, "certPath", "cert.pem", &config->tls.cert_path);
        if (r >= 0)
                r = read_tls_path(reader, &section, "keyPath", "key.pem", &config->tls.key_path);
        return r;
}

static int read_network(
                struct config_reader *reader, const struct config_section *top, struct config *config) {
        static const char *const known[] = { "agent", "admin", "tls", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, top, "network", known, &section);
        if (r < 0)
                return r;
        r = read_transport(reader, &section, "agent", config->name, &config->transport);
        if (r < 0)
                return r;
        r = read_transport(reader, &section, "admin", NULL, &config->admin);
        if (r < 0)
                return r;
        return read_tls(reader, &section, config);
}

/* --- capabilities --- */

static int read_units(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *allowed, bool (*is_valid)(const char *s), char ***ret) {
        int r;

        r = config_read_strings(reader, section, key, allowed, is_valid, CONFIG_UNITS_MAX, ret);
        if (r != 0)
                return r < 0 ? r : 0;
        *ret = calloc(1, sizeof(char *));
        return *ret ? 0 : -ENOMEM;
}

static int read_vm_services(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        static const char *const known[] = { "adminVm", "systemVms", "appVms", NULL };
        _cleanup_(freep) char *admin_vm = NULL;
        struct config_section section;
        int r;

        r = config_read_section(reader, capabilities, "vmServices", known, &section);
        if (r < 0)
                return r;
        r = config_read_string(reader, &section, "adminVm", ALLOWED_VM_UNIT, &admin_vm);
        if (r < 0)
                return r;
        if (!isempty(admin_vm) && !is_service_name(admin_vm))
                return fail_value(reader, &section, "adminVm", admin_vm, ALLOWED_VM_UNIT);
        config->admin_vms = calloc(2, sizeof(char *));
        if (!config->admin_vms)
                return -ENOMEM;
        if (!isempty(admin_vm))
                config->admin_vms[0] = TAKE_PTR(admin_vm);
        r = read_units(reader, &section, "systemVms", ALLOWED_VM_UNIT, is_service_name, &config->system_vms);
        if (r < 0)
                return r;
        return read_units(reader, &section, "appVms", ALLOWED_VM_UNIT, is_service_name, &config->app_vms);
}

static size_t count_strings(char *const *strings) {
        size_t n = 0;

        while (strings[n])
                n++;
        return n;
}

/* Each of them is followed. */
static int check_units(struct config_reader *reader, const struct config_section *capabilities,
                const struct config *config) {
        size_t n = count_strings(config->services) + count_strings(config->admin_vms) +
                        count_strings(config->system_vms) + count_strings(config->app_vms);

        if (n > CONFIG_UNITS_MAX)
                return config_reader_fail(reader, capabilities, NULL,
                                "lists %zu units, must list at most %u", n, CONFIG_UNITS_MAX);
        return 0;
}

static int add_not_offered(struct config *config, const char *name) {
        char *longer;

        longer = config->not_offered ? text_printf("%s, %s", config->not_offered, name) : strdup(name);
        if (!longer)
                return -ENOMEM;
        free(config->not_offered);
        config->not_offered = longer;
        return 0;
}

/* What the deployed agents have beside units. It is read as far as to say who asked for it. */
static int read_other_capabilities(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        static const struct {
                const char *key;
                const char *known[3];
        } others[] = {
                { "socketProxy", { "enable", "sockets" } },
                { "eventProxy", { "enable", "events" } },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                struct config_section section;
                bool enable = false;

                r = config_read_section(reader, capabilities, others[i].key, others[i].known, &section);
                if (r < 0)
                        return r;
                r = config_read_bool(reader, &section, "enable", &enable);
                if (r < 0)
                        return r;
                r = enable ? add_not_offered(config, others[i].key) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_capabilities(
                struct config_reader *reader, const struct config_section *top, struct config *config) {
        static const char *const known[] = { "services", "vmServices", "applications", "exec", "wifi",
                "ctap", "hwid", "notifier", "logs", "socketProxy", "eventProxy", "policy", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, top, "capabilities", known, &section);
        if (r < 0)
                return r;
        r = read_units(reader, &section, "services", ALLOWED_UNIT, is_unit_name, &config->services);
        if (r < 0)
                return r;
        r = read_vm_services(reader, &section, config);
        if (r < 0)
                return r;
        r = check_units(reader, &section, config);
        if (r < 0)
                return r;
        r = config_read_services(reader, &section, config);
        if (r < 0)
                return r;
        r = applications_read(&config->applications, reader, &section);
        if (r < 0)
                return r;
        r = config_read_policy(reader, &section, config);
        if (r < 0)
                return r;
        return read_other_capabilities(reader, &section, config);
}

/* --- all of it --- */

#define ALLOWED_RULES "the absolute path of a file of Cedar policies"

static int read_access_control(
                struct config_reader *reader, const struct config_section *top, struct config *config) {
        static const char *const known[] = { "enable", "rulesFile", "entitiesFile", "auditPermits", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, top, "accessControl", known, &section);
        if (r < 0)
                return r;
        r = config_read_bool(reader, &section, "enable", &config->access.enable);
        if (r < 0 || !config->access.enable)
                return r;
        if (!config->tls.enable)
                return config_reader_fail(reader, &section, "enable",
                                "is true, must be false where network.tls.enable is: nobody could be told "
                                "from "
                                "anybody else");
        r = config_read_string(reader, &section, "rulesFile", ALLOWED_RULES, &config->access.rules_file);
        if (r == 0 || (r > 0 && config->access.rules_file[0] != '/'))
                return config_reader_fail(reader, &section, "rulesFile", "%s, must be " ALLOWED_RULES,
                                r == 0 ? "is missing" : "is not absolute");
        if (r < 0)
                return r;
        r = config_read_string(reader, &section, "entitiesFile",
                        "the absolute path of a file of Cedar entities", &config->access.entities_file);
        if (r > 0 && config->access.entities_file[0] != '/')
                return config_reader_fail(reader, &section, "entitiesFile",
                                "is not absolute, must be the path of a file of "
                                "Cedar entities");
        if (r < 0)
                return r;
        return config_read_bool(reader, &section, "auditPermits", &config->access.audit_permits);
}

static int read_all(struct config_reader *reader, struct config *config) {
        static const char *const known[] = { "identity", "network", "capabilities", "accessControl", NULL };
        struct config_section top;
        int r;

        r = config_read_section(reader, NULL, NULL, known, &top);
        if (r < 0)
                return r;
        r = read_identity(reader, &top, config);
        if (r < 0)
                return r;
        r = read_network(reader, &top, config);
        if (r < 0)
                return r;
        r = read_capabilities(reader, &top, config);
        if (r < 0)
                return r;
        r = read_access_control(reader, &top, config);
        if (r < 0)
                return r;
        config->warnings = calloc(reader->n_warnings + 1, sizeof(char *));
        if (!config->warnings)
                return -ENOMEM;
        for (size_t i = 0; i < reader->n_warnings; i++)
                config->warnings[i] = TAKE_PTR(reader->warnings[i]);
        return 0;
}

int config_load(struct config *config, const char *path, char **ret_error) {
        _cleanup_(config_reader_clear) struct config_reader reader = CONFIG_READER_NULL;
        int r;

        *config = CONFIG_NULL;
        r = config_reader_open(&reader, path);
        if (r == 0)
                r = read_all(&reader, config);
        if (r < 0)
                config_clear(config);
        *ret_error = TAKE_PTR(reader.error);
        return r;
}

static void transport_clear(struct config_transport *transport) {
        free(transport->name);
        free(transport->protocol);
        free(transport->address);
        free(transport->port);
}

void config_clear(struct config *config) {
        free(config->name);
        free(config->agent);
        free(config->parent);
        transport_clear(&config->transport);
        transport_clear(&config->admin);
        free(config->tls.ca_path);
        free(config->tls.cert_path);
        free(config->tls.key_path);
        free(config->hwid.interface);
        free(config->notifier.directory);
        free(config->access.rules_file);
        free(config->access.entities_file);
        config_strings_free(config->services);
        config_strings_free(config->admin_vms);
        config_strings_free(config->system_vms);
        config_strings_free(config->app_vms);
        applications_clear(&config->applications);
        config_strings_free(config->exec.commands);
        config_strings_free(config->exec.variables);
        config_policy_clear(config);
        free(config->not_offered);
        config_strings_free(config->warnings);
        *config = CONFIG_NULL;
}

void config_swap(struct config *a, struct config *b) {
        struct config c = *a;

        *a = *b;
        *b = c;
}

bool config_transport_equal(const struct config_transport *a, const struct config_transport *b) {
        return streq(a->name, b->name) && streq(a->protocol, b->protocol) && streq(a->address, b->address) &&
                        streq(a->port, b->port);
}
