/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "decisions.h"

#include "answer.h"
#include "decide.h"
#include "decision-follow.h"
#include "text.h"

static void decide(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct manager *manager = userdata;

        access_decide(call, message, manager->guard);
}

/* Whether there is such a VM, or all are meant; else the call has ended. */
static bool is_known(const struct manager *manager, struct rpc_call *call, const char *vm) {
        if (isempty(vm) || streq(vm, decision_watchers_vm(manager->decisions)) ||
                        registry_find_agent(manager->registry, vm))
                return true;
        if (text_is_host_name(vm))
                answer_fail(call, RPC_NOT_FOUND,
                                "VM %s has no agent here: givc-%s.service is not registered", vm, vm);
        else
                answer_fail(call, RPC_INVALID_ARGUMENT, "VmName is not the name of a VM");
        return false;
}

static void watch_decisions(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Access__WatchDecisionsRequest *request = (const Access__WatchDecisionsRequest *) message;
        struct manager *manager = userdata;

        if (is_known(manager, call, request->vmname))
                decision_follow_add(
                                manager->follow, decision_watchers_add(manager->decisions, call, message));
}

static const struct rpc_method methods[] = {
        { .name = "Decide", .handle = decide },
        { .name = "WatchDecisions",
                        .handle = watch_decisions,
                        .streams_response = true,
                        .charges = QUOTA_WATCHERS },
};

const struct rpc_service access_service = {
        .descriptor = &access__access_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
