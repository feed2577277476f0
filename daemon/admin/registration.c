/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "registration.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>

/* Of a transport's texts: what the longest path of a socket has. A number has leading zeros without end,
 * otherwise, and a Unix socket any text as its port. */
#define TRANSPORT_TEXT_MAX 128

struct check {
        const struct registry *registry;
        const struct registration_rules *rules;
        const struct registrant *registrant;
        const Admin__RegistryRequest *request;
        struct registration *result;
        char **reason;
};

static enum rpc_code refuse(const struct check *check, enum rpc_code code, const char *format, ...)
                _printf_(3, 4);

static enum rpc_code refuse(const struct check *check, enum rpc_code code, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        *check->reason = text_vprintf(format, ap);
        va_end(ap);
        return code;
}

/* Only who is on it, too, may have us connect to what is there. */
static bool is_on_our_machine(const struct rpc_address *address) {
        return address->any.sa_family == AF_UNIX ||
                        (address->any.sa_family == AF_VSOCK && address->vm.svm_cid == VMADDR_CID_LOCAL);
}

/* Whether the address under which an agent wants to be called is its own, as far as the certificate can say.
 */
static enum rpc_code check_address(
                const struct check *check, const struct rpc_address *address, const char *text) {
        const struct rpc_address *from = check->registrant->address;
        uint8_t ip[16];
        size_t n;

        if (!check->registrant->identity)
                return RPC_OK;

        n = rpc_address_ip(address, ip);
        if (n > 0) {
                if (tls_identity_has_ip(check->registrant->identity, ip, n))
                        return RPC_OK;
                return refuse(check, RPC_PERMISSION_DENIED,
                                "transport address %s is not in the certificate of %s", text,
                                check->registrant->identity->name);
        }

        if (is_on_our_machine(address) && !is_on_our_machine(from))
                return refuse(check, RPC_PERMISSION_DENIED,
                                "transport is a socket on the admin's machine, but %s is not on it",
                                check->registrant->identity->name);

        if (address->any.sa_family == AF_VSOCK && from->any.sa_family == AF_VSOCK &&
                        address->vm.svm_cid != from->vm.svm_cid)
                return refuse(check, RPC_PERMISSION_DENIED,
                                "transport address is vsock CID %u, but %s has CID %u", address->vm.svm_cid,
                                check->registrant->identity->name, from->vm.svm_cid);

        return RPC_OK;
}

static enum rpc_code check_transport(const struct check *check) {
        const Admin__TransportConfig *transport = check->request->transport;
        struct rpc_address address;
        const char *allowed;
        int r;

        if (!transport)
                return refuse(check, RPC_INVALID_ARGUMENT, "agent %s comes without transport",
                                check->request->name);
        if (!streq(transport->name, check->result->vm))
                return refuse(check, RPC_PERMISSION_DENIED,
                                "agent %s has the transport name of another: %s expected",
                                check->request->name, check->result->vm);
        if (strlen(transport->address) > TRANSPORT_TEXT_MAX || strlen(transport->port) > TRANSPORT_TEXT_MAX)
                return refuse(check, RPC_INVALID_ARGUMENT,
                                "transport of agent %s is longer than any address", check->request->name);
        r = rpc_address_from_transport(
                        &address, transport->protocol, transport->address, transport->port, &allowed);
        if (r < 0)
                return refuse(check, RPC_INVALID_ARGUMENT, "transport of agent %s is not an address: %s",
                                check->request->name, allowed);
        return check_address(check, &address, transport->address);
}

/* There is one host and one admin VM; whoever may start VMs for us must not be just anyone who asks first.
 */
static enum rpc_code check_unique_type(const struct check *check) {
        const struct registration *r = check->result;
        const struct registration_rules *rules = check->rules;
        const char *only = NULL;
        const struct registry_agent *held;

        if (r->type.vm != COMPONENT_HOST && r->type.vm != COMPONENT_ADMVM)
                return RPC_OK;

        only = r->type.vm == COMPONENT_HOST ? rules->host_name : rules->admin_name;
        if (only && !streq(only, r->vm))
                return refuse(check, RPC_PERMISSION_DENIED, "%s cannot be the %s: that is %s", r->vm,
                                component_vm_text(r->type.vm), only);

        held = registry_find_only(check->registry, r->type.vm);
        if (held && held != r->agent)
                return refuse(check, RPC_PERMISSION_DENIED, "%s cannot be the %s: %s has registered as that",
                                r->vm, component_vm_text(r->type.vm), held->vm);
        if (r->agent && r->agent->entry->type.vm != r->type.vm)
                return refuse(check, RPC_PERMISSION_DENIED,
                                "%s cannot become the %s: it has registered as %s", r->vm,
                                component_vm_text(r->type.vm), component_vm_text(r->agent->entry->type.vm));
        return RPC_OK;
}

/* What the host says of a VM, once it has: a VM cannot make itself what it is not. */
static enum rpc_code check_against_host(const struct check *check) {
        const struct registration *r = check->result;
        char unit[REGISTRY_NAME_MAX + 1];
        const struct registry_entry *vm;

        if ((size_t) snprintf(unit, sizeof(unit), "microvm@%s.service", r->vm) >= sizeof(unit))
                return RPC_OK;
        vm = registry_find(check->registry, unit);
        if (!vm || vm->type.service != COMPONENT_VM || vm->type.vm == r->type.vm)
                return RPC_OK;
        return refuse(check, RPC_PERMISSION_DENIED, "%s cannot be %s: the host has it as %s", r->vm,
                        component_vm_text(r->type.vm), component_vm_text(vm->type.vm));
}

static enum rpc_code check_agent(const struct check *check) {
        const struct tls_identity *identity = check->registrant->identity;
        const Admin__RegistryRequest *request = check->request;
        struct registration *result = check->result;
        char vm[REGISTRY_NAME_MAX + 1];
        enum rpc_code code;

        if (registry_vm_of_agent(request->name, result->vm) < 0)
                return refuse(check, RPC_INVALID_ARGUMENT,
                                "%s is not an agent's name: givc-<vm>.service expected", request->name);
        if (identity && !streq(identity->name, result->vm))
                return refuse(check, RPC_PERMISSION_DENIED,
                                "the certificate of %s does not entitle it to agent %s", identity->name,
                                request->name);
        if (!isempty(request->parent) &&
                        (registry_vm_of_unit(request->parent, vm) < 0 || !streq(vm, result->vm)))
                return refuse(check, RPC_INVALID_ARGUMENT,
                                "parent of agent %s must be microvm@%s.service, or empty", request->name,
                                result->vm);

        result->agent = registry_find_agent(check->registry, result->vm);
        code = check_unique_type(check);
        if (code == RPC_OK)
                code = check_against_host(check);
        if (code != RPC_OK)
                return code;
        return check_transport(check);
}

static enum rpc_code check_unit(const struct check *check) {
        const struct tls_identity *identity = check->registrant->identity;
        const Admin__RegistryRequest *request = check->request;
        struct registration *result = check->result;
        enum component_vm vm;

        if (registry_vm_of_agent(request->parent, result->vm) < 0)
                return refuse(check, RPC_INVALID_ARGUMENT,
                                "parent of unit %s must be its agent: givc-<vm>.service", request->name);
        if (identity && !streq(identity->name, result->vm))
                return refuse(check, RPC_PERMISSION_DENIED,
                                "the certificate of %s does not entitle it to units of agent %s",
                                identity->name, request->parent);
        result->agent = registry_find_agent(check->registry, result->vm);
        if (!result->agent)
                return refuse(check, RPC_NOT_FOUND, "agent %s has not registered: it comes before its units",
                                request->parent);
        if (streq(request->name, result->agent->entry->name))
                return refuse(check, RPC_INVALID_ARGUMENT, "agent %s cannot be a unit of its own",
                                request->name);

        vm = result->agent->entry->type.vm;
        /* As whatever it comes: its name is the host's. */
        if (vm != COMPONENT_HOST &&
                        (result->type.service == COMPONENT_VM || startswith(request->name, "microvm@")))
                return refuse(check, RPC_PERMISSION_DENIED, "%s cannot register VM %s: only the host can",
                                result->vm, request->name);
        if (result->type.service == COMPONENT_VM)
                return RPC_OK;
        if (result->type.vm != vm)
                return refuse(check, RPC_PERMISSION_DENIED,
                                "%s is a %s and cannot register %s as a unit of a %s", result->vm,
                                component_vm_text(vm), request->name, component_vm_text(result->type.vm));
        return RPC_OK;
}

struct registry_agent *registration_contradicted(
                const struct registry *registry, const struct registration *registration, const char *name) {
        char vm[REGISTRY_NAME_MAX + 1];
        struct registry_agent *agent;

        if (registration->type.service != COMPONENT_VM || registry_vm_of_unit(name, vm) < 0)
                return NULL;
        agent = registry_find_agent(registry, vm);
        if (!agent || agent == registration->agent || agent->entry->type.vm == registration->type.vm)
                return NULL;
        return agent;
}

enum rpc_code registration_check(const struct registry *registry, const struct registration_rules *rules,
                const struct registrant *registrant, const Admin__RegistryRequest *request,
                struct registration *ret, char **ret_reason) {
        struct check check = {
                .registry = registry,
                .rules = rules,
                .registrant = registrant,
                .request = request,
                .result = ret,
                .reason = ret_reason,
        };

        *ret = (struct registration){};
        *ret_reason = NULL;
        if (!text_is_unit_name(request->name)) {
                _cleanup_(freep) char *name = text_escape(request->name, strlen(request->name), 64);

                return refuse(&check, RPC_INVALID_ARGUMENT, "\"%s\" is not a unit's name", strempty(name));
        }
        if (component_type_from_wire(request->type, &ret->type) < 0)
                return refuse(&check, RPC_INVALID_ARGUMENT, "%s has type %u, which is none: 0 to 14 are",
                                request->name, request->type);

        return ret->type.service == COMPONENT_MGR ? check_agent(&check) : check_unit(&check);
}
