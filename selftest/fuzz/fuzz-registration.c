/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registrations, as hostile agents send them, judged and carried out. Each is a RegistryRequest behind its
 * length and a byte that says who comes with it.
 */
#include "fuzz.h"

#include "message.h"
#include "registration.h"

#define ARENA_BYTES (256 * 1024)
#define HOST        "ghaf-host"
#define ADMIN       "admin-vm"

/* Who comes: a certificate's name and address, and from where. */
static const struct {
        const char *name;
        uint8_t last; /* of 10.0.0.0/24, in the certificate */
        const char *from;
} peers[] = {
        { HOST, 1, "10.0.0.1:1" },
        { ADMIN, 2, "unix:/run/a" },
        { "net-vm", 3, "10.0.0.3:1" },
        { "gui-vm", 4, "vsock:4:1" },
        { "app-vm", 5, "vsock:5:1" },
};

/* ---- what must never be ---- */

struct count {
        size_t hosts, admins;
};

static void check_entry(const struct registry_entry *entry, void *userdata) {
        const struct registry_agent *agent = entry->agent;
        struct count *count = userdata;
        char vm[REGISTRY_NAME_MAX + 1];

        if (entry == agent->entry) {
                must(registry_vm_of_agent(entry->name, vm) == 0 && streq(vm, agent->vm),
                                "an agent has its VM's name");
                count->hosts += entry->type.vm == COMPONENT_HOST;
                count->admins += entry->type.vm == COMPONENT_ADMVM;
                must(entry->type.vm != COMPONENT_HOST || streq(agent->vm, HOST), "nobody else is the host");
                must(entry->type.vm != COMPONENT_ADMVM || streq(agent->vm, ADMIN), "nor the admin");
                return;
        }
        must(registry_vm_of_unit(entry->name, vm) < 0 || streq(agent->vm, HOST),
                        "a VM's unit is the host's");
        must(entry->type.service == COMPONENT_VM || entry->type.vm == agent->entry->type.vm,
                        "a unit is of its VM's type");
}

static void check_registry(const struct registry *registry) {
        struct count count = {};

        registry_foreach(registry, check_entry, &count);
        must(count.hosts <= 1 && count.admins <= 1, "there is one of each");
}

/* ---- one registration ---- */

static void carry_out(struct registry *registry, const struct registration *registration,
                const Admin__RegistryRequest *request) {
        struct registry_agent *agent;

        if (registration->type.service == COMPONENT_MGR) {
                const struct registry_agent_values values = {
                        .vm = registration->vm,
                        .type = registration->type,
                        .transport = { request->transport->protocol, request->transport->address,
                                        request->transport->port },
                        .state = request->state,
                };

                (void) registry_put_agent(registry, &values, &agent);
                return;
        }
        if (registry_put_unit(registry, registration->agent, request->name, registration->type,
                            request->state, NULL) < 0)
                return;
        agent = registration_contradicted(registry, registration, request->name);
        if (agent)
                registry_remove(registry, agent->entry);
}

static void ask(struct registry *registry, uint8_t who, const Admin__RegistryRequest *request) {
        static const struct registration_rules rules = { .admin_name = ADMIN, .host_name = HOST };
        struct tls_ip ip = { .bytes = { 10, 0, 0, peers[who].last }, .length = 4 };
        const struct tls_identity identity = { .name = (char *) peers[who].name, .ips = &ip, .n_ips = 1 };
        struct registrant registrant = { .identity = &identity };
        _cleanup_(freep) char *reason = NULL;
        struct registration registration;
        struct rpc_address from, at;
        const char *error;
        enum rpc_code code;
        uint8_t bytes[16];

        must(rpc_address_parse(&from, peers[who].from, &error) == 0, "it is an address");
        registrant.address = &from;
        code = registration_check(registry, &rules, &registrant, request, &registration, &reason);
        must((code == RPC_OK) == !reason, "what is refused has a reason");
        if (code != RPC_OK)
                return;
        must(streq(registration.vm, peers[who].name), "each registers what is its own");
        if (registration.type.service == COMPONENT_MGR) {
                const Admin__TransportConfig *transport = request->transport;

                must(rpc_address_from_transport(&at, transport->protocol, transport->address,
                                     transport->port, &error) == 0,
                                "it can be reached");
                must(rpc_address_ip(&at, bytes) == 0 || memcmp(bytes, ip.bytes, 4) == 0,
                                "at its own address");
        } else
                must(registration.agent && streq(registration.agent->vm, peers[who].name),
                                "a unit is its agent's");
        carry_out(registry, &registration, request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(registry_freep) struct registry *registry = NULL;

        must(registry_new(&registry) == 0, "there is memory");
        while (size > 1) {
                uint8_t who = take_byte(&data, &size) % ELEMENTSOF(peers);
                size_t n = MIN((size_t) take_byte(&data, &size), size);
                _cleanup_(arena_clear) struct arena arena = {};
                ProtobufCMessage *message;

                arena_init(&arena, ARENA_BYTES);
                if (message_decode(&admin__registry_request__descriptor, data, n, &arena, &message) == 0) {
                        ask(registry, who, (const Admin__RegistryRequest *) message);
                        check_registry(registry);
                }
                data += n;
                size -= n;
        }
        return 0;
}
