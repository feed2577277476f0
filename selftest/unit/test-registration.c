/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may register what: a VM that is not what it says it is gets nowhere. */
#include "registration.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>

static struct registry *registry;
static struct registration_rules rules;
static struct registry_agent *contradicted; /* by the last wish that was granted */

static void set_up(void) {
        cr_assert_eq(registry_new(&registry), 0);
        rules = (struct registration_rules){ .admin_name = "admin-vm" };
}

static void tear_down(void) {
        registry = registry_free(registry);
}

struct peer {
        struct tls_identity identity;
        struct tls_ip ip;
        struct rpc_address address;
};

/* The holder of a certificate with this name and address, which speaks from there. */
static struct peer *peer(const char *name, const char *ip) {
        static struct peer p;
        const char *error;
        char text[64];

        p = (struct peer){ .identity = { .name = (char *) name, .ips = &p.ip, .n_ips = 1 },
                .ip = { .length = 4 } };
        cr_assert_eq(inet_pton(AF_INET, ip, p.ip.bytes), 1);
        snprintf(text, sizeof(text), "%s:1234", ip);
        cr_assert_eq(rpc_address_parse(&p.address, text, &error), 0);
        return &p;
}

struct wish {
        const char *name, *parent;
        uint32_t type;
        const char *transport; /* address; NULL: none */
        const char *transport_name;
        const char *protocol, *port; /* NULL: tcp, 9000 */
};

/* The code with which the wish is judged; one that is granted is carried out. */
static enum rpc_code ask(const struct peer *from, const struct wish *wish) {
        struct registrant registrant = { .identity = from ? &from->identity : NULL,
                .address = from ? &from->address : NULL };
        Admin__RegistryRequest request = ADMIN__REGISTRY_REQUEST__INIT;
        Admin__TransportConfig transport = ADMIN__TRANSPORT_CONFIG__INIT;
        struct registration registration;
        _cleanup_(freep) char *reason = NULL;
        enum rpc_code code;

        request.name = (char *) wish->name;
        request.parent = (char *) strempty(wish->parent);
        request.type = wish->type;
        if (wish->transport) {
                transport.protocol = (char *) (wish->protocol ?: "tcp");
                transport.address = (char *) wish->transport;
                transport.port = (char *) (wish->port ?: "9000");
                transport.name = (char *) strempty(wish->transport_name);
                request.transport = &transport;
        }

        contradicted = NULL;
        code = registration_check(registry, &rules, &registrant, &request, &registration, &reason);
        cr_assert_eq(code == RPC_OK, !reason, "%s: code %d, reason %s", wish->name, code, strempty(reason));
        if (code != RPC_OK)
                return code;

        if (registration.type.service == COMPONENT_MGR) {
                struct registry_agent_values values = { .vm = registration.vm,
                        .type = registration.type,
                        .transport = { transport.protocol, transport.address, transport.port } };
                struct registry_agent *agent;

                cr_assert_eq(registry_put_agent(registry, &values, &agent), 0);
        } else {
                cr_assert_eq(registry_put_unit(registry, registration.agent, wish->name, registration.type,
                                             NULL, NULL),
                                0);
                contradicted = registration_contradicted(registry, &registration, wish->name);
        }
        return code;
}

#define ASK(from, ...) ask(from, &(struct wish){ __VA_ARGS__ })

static void host_registers(void) {
        cr_assert_eq(ASK(peer("ghaf-host", "192.168.100.1"), .name = "givc-ghaf-host.service", .type = 0,
                                     .transport = "192.168.100.1", .transport_name = "ghaf-host"),
                        RPC_OK);
}

static void app_registers(void) {
        cr_assert_eq(ASK(peer("app-vm", "192.168.100.5"), .name = "givc-app-vm.service",
                                     .parent = "microvm@app-vm.service", .type = 12,
                                     .transport = "192.168.100.5", .transport_name = "app-vm"),
                        RPC_OK);
}

TestSuite(registration, .init = set_up, .fini = tear_down);

Test(registration, an_agent_belongs_to_the_holder_of_its_name) {
        app_registers();
        app_registers();
        cr_assert_eq(ASK(peer("bad-vm", "192.168.100.66"), .name = "givc-net-vm.service",
                                     .parent = "microvm@net-vm.service", .type = 8,
                                     .transport = "192.168.100.66", .transport_name = "net-vm"),
                        RPC_PERMISSION_DENIED);
        /* Nor can the name be reached by way of the parent or the transport. */
        cr_assert_eq(ASK(peer("bad-vm", "192.168.100.66"), .name = "givc-bad-vm.service",
                                     .parent = "microvm@net-vm.service", .type = 12,
                                     .transport = "192.168.100.66", .transport_name = "bad-vm"),
                        RPC_INVALID_ARGUMENT);
        cr_assert_eq(ASK(peer("bad-vm", "192.168.100.66"), .name = "givc-bad-vm.service", .type = 12,
                                     .transport = "192.168.100.66", .transport_name = "net-vm"),
                        RPC_PERMISSION_DENIED);
}

Test(registration, an_agent_is_called_at_its_own_address) {
        const struct peer *bad = peer("bad-vm", "192.168.100.66");

        cr_assert_eq(ASK(bad, .name = "givc-bad-vm.service", .type = 12, .transport = "192.168.100.5",
                                     .transport_name = "bad-vm"),
                        RPC_PERMISSION_DENIED);
        cr_assert_eq(ASK(bad, .name = "givc-bad-vm.service", .type = 12,
                                     .transport = "/run/dbus/system_bus_socket", .transport_name = "bad-vm",
                                     .protocol = "unix"),
                        RPC_PERMISSION_DENIED);
        cr_assert_eq(ASK(bad, .name = "givc-bad-vm.service", .type = 12, .transport = "local",
                                     .transport_name = "bad-vm", .protocol = "vsock"),
                        RPC_PERMISSION_DENIED);
        cr_assert_eq(ASK(bad, .name = "givc-bad-vm.service", .type = 12, .transport = "bad-vm.example",
                                     .transport_name = "bad-vm"),
                        RPC_INVALID_ARGUMENT);
        cr_assert_eq(ASK(bad, .name = "givc-bad-vm.service", .type = 12, .transport = "192.168.100.66",
                                     .transport_name = "bad-vm", .port = "90000"),
                        RPC_INVALID_ARGUMENT);
        cr_assert_eq(ASK(bad, .name = "givc-bad-vm.service", .type = 12), RPC_INVALID_ARGUMENT);
        cr_assert_eq(registry_count(registry), 0);
}

/* Else it would be kept, and be larger than what the store takes, which then loses those behind it at a
 * restart. */
Test(registration, a_transport_is_no_longer_than_an_address) {
        const struct peer *app = peer("app-vm", "192.168.100.5");
        char long_port[5000];

        memset(long_port, '0', sizeof(long_port) - 1);
        long_port[sizeof(long_port) - 1] = '\0';
        cr_assert_eq(ASK(NULL, .name = "givc-app-vm.service", .type = 12, .transport = "/run/app",
                                     .transport_name = "app-vm", .protocol = "unix", .port = long_port),
                        RPC_INVALID_ARGUMENT);
        cr_assert_eq(ASK(NULL, .name = "givc-app-vm.service", .type = 12, .transport = long_port,
                                     .transport_name = "app-vm", .protocol = "vsock"),
                        RPC_INVALID_ARGUMENT);
        memcpy(long_port + sizeof(long_port) - 5, "9000", 4);
        cr_assert_eq(ASK(app, .name = "givc-app-vm.service", .type = 12, .transport = "192.168.100.5",
                                     .transport_name = "app-vm", .port = long_port),
                        RPC_INVALID_ARGUMENT);
}

Test(registration, over_vsock_an_agent_is_called_at_its_own_cid) {
        struct peer *p = peer("app-vm", "192.168.100.5");
        const char *error;

        cr_assert_eq(rpc_address_parse(&p->address, "vsock:5:1234", &error), 0);
        cr_assert_eq(ASK(p, .name = "givc-app-vm.service", .type = 12, .transport = "7",
                                     .transport_name = "app-vm", .protocol = "vsock"),
                        RPC_PERMISSION_DENIED);
        cr_assert_eq(ASK(p, .name = "givc-app-vm.service", .type = 12, .transport = "5",
                                     .transport_name = "app-vm", .protocol = "vsock"),
                        RPC_OK);
}

Test(registration, a_unit_is_registered_under_its_own_agent) {
        const struct peer *app;

        host_registers();
        cr_assert_eq(ASK(peer("app-vm", "192.168.100.5"), .name = "a.service",
                                     .parent = "givc-app-vm.service", .type = 13),
                        RPC_NOT_FOUND);
        app_registers();
        app = peer("app-vm", "192.168.100.5");
        cr_assert_eq(ASK(app, .name = "a.service", .parent = "givc-app-vm.service", .type = 13), RPC_OK);
        cr_assert_eq(ASK(app, .name = "a@0.service", .parent = "givc-app-vm.service", .type = 14), RPC_OK);
        cr_assert_eq(ASK(app, .name = "b.service", .parent = "givc-ghaf-host.service", .type = 1),
                        RPC_PERMISSION_DENIED);
        cr_assert_eq(ASK(app, .name = "b.service", .parent = "", .type = 13), RPC_INVALID_ARGUMENT);
        cr_assert_eq(ASK(app, .name = "givc-app-vm.service", .parent = "givc-app-vm.service", .type = 13),
                        RPC_INVALID_ARGUMENT);
        cr_assert_eq(ASK(app, .name = "b.service", .parent = "givc-app-vm.service", .type = 9),
                        RPC_PERMISSION_DENIED);
        cr_assert_eq(ASK(app, .name = "b.service", .parent = "givc-app-vm.service", .type = 1),
                        RPC_PERMISSION_DENIED);
}

Test(registration, vms_are_the_hosts) {
        app_registers();
        cr_assert_eq(ASK(peer("app-vm", "192.168.100.5"), .name = "microvm@net-vm.service",
                                     .parent = "givc-app-vm.service", .type = 11),
                        RPC_PERMISSION_DENIED);
        host_registers();
        for (uint32_t type = 3; type <= 11; type += 4)
                cr_assert_eq(ASK(peer("ghaf-host", "192.168.100.1"), .name = "microvm@net-vm.service",
                                             .parent = "givc-ghaf-host.service", .type = type),
                                RPC_OK);
}

/* Whatever it is said to be: a service that is called so would stand in the way of the VM. */
Test(registration, vms_names_are_the_hosts) {
        app_registers();
        cr_assert_eq(ASK(peer("app-vm", "192.168.100.5"), .name = "microvm@new-vm.service",
                                     .parent = "givc-app-vm.service", .type = 13),
                        RPC_PERMISSION_DENIED);
        cr_assert_eq(ASK(peer("app-vm", "192.168.100.5"), .name = "microvm@0.service",
                                     .parent = "givc-app-vm.service", .type = 14),
                        RPC_PERMISSION_DENIED);
        host_registers();
        cr_assert_eq(ASK(peer("ghaf-host", "192.168.100.1"), .name = "microvm@tap.service",
                                     .parent = "givc-ghaf-host.service", .type = 1),
                        RPC_OK);
}

Test(registration, what_kind_of_vm_it_is_the_host_says) {
        const struct wish as_system_vm = { .name = "givc-app-vm.service",
                .parent = "microvm@app-vm.service",
                .type = 8,
                .transport = "192.168.100.5",
                .transport_name = "app-vm" };
        const struct wish vm = {
                .name = "microvm@app-vm.service", .parent = "givc-ghaf-host.service", .type = 11
        };

        host_registers();
        cr_assert_eq(ask(peer("app-vm", "192.168.100.5"), &as_system_vm), RPC_OK);
        cr_assert_eq(ask(peer("ghaf-host", "192.168.100.1"), &vm), RPC_OK);
        cr_assert_not_null(contradicted);
        cr_assert_str_eq(contradicted->vm, "app-vm");
        registry_remove(registry, contradicted->entry);

        cr_assert_eq(ask(peer("app-vm", "192.168.100.5"), &as_system_vm), RPC_PERMISSION_DENIED);
        app_registers();
        cr_assert_eq(ask(peer("ghaf-host", "192.168.100.1"), &vm), RPC_OK);
        cr_assert_null(contradicted);
}

Test(registration, there_is_one_host) {
        const struct wish second = { .name = "givc-bad-vm.service",
                .type = 0,
                .transport = "192.168.100.66",
                .transport_name = "bad-vm" };

        rules.host_name = "ghaf-host";
        cr_assert_eq(ask(peer("bad-vm", "192.168.100.66"), &second), RPC_PERMISSION_DENIED);
        rules.host_name = NULL;
        host_registers();
        cr_assert_eq(ask(peer("bad-vm", "192.168.100.66"), &second), RPC_PERMISSION_DENIED);
        host_registers();
}

Test(registration, nobody_becomes_the_host_later) {
        app_registers();
        cr_assert_eq(ASK(peer("app-vm", "192.168.100.5"), .name = "givc-app-vm.service", .type = 0,
                                     .transport = "192.168.100.5", .transport_name = "app-vm"),
                        RPC_PERMISSION_DENIED);
}

Test(registration, the_admin_vm_is_ours) {
        cr_assert_eq(ASK(peer("bad-vm", "192.168.100.66"), .name = "givc-bad-vm.service", .type = 4,
                                     .transport = "192.168.100.66", .transport_name = "bad-vm"),
                        RPC_PERMISSION_DENIED);
        cr_assert_eq(ASK(peer("admin-vm", "192.168.100.2"), .name = "givc-admin-vm.service", .type = 4,
                                     .transport = "192.168.100.2", .transport_name = "admin-vm"),
                        RPC_OK);
}

Test(registration, nonsense_is_refused) {
        static const char *const names[] = { "", ".service", "a", "a b.service", "../x.service",
                "a\n.service", "givc-.service", "givc-a/b.service", "givc-\xff.service" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                cr_assert_eq(ASK(peer("app-vm", "192.168.100.5"), .name = names[i], .type = 12,
                                             .transport = "192.168.100.5", .transport_name = "app-vm"),
                                RPC_INVALID_ARGUMENT, "%s", names[i]);
        cr_assert_eq(ASK(peer("app-vm", "192.168.100.5"), .name = "givc-app-vm.service", .type = 15,
                                     .transport = "192.168.100.5", .transport_name = "app-vm"),
                        RPC_INVALID_ARGUMENT);
}

Test(registration, without_tls_claims_are_taken_as_they_come) {
        rules.admin_name = NULL;
        cr_assert_eq(ASK(NULL, .name = "givc-app-vm.service", .type = 12, .transport = "10.0.0.1",
                                     .transport_name = "app-vm"),
                        RPC_OK);
        cr_assert_eq(ASK(NULL, .name = "a.service", .parent = "givc-app-vm.service", .type = 13), RPC_OK);
        cr_assert_eq(ASK(NULL, .name = "b.service", .parent = "givc-other-vm.service", .type = 13),
                        RPC_NOT_FOUND);
}
