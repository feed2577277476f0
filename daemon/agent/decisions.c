/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "decisions.h"
#include "call.h"
#include "decide.h"
#include "decision-watch.h"

static void decide(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct manager *manager = userdata;

        access_decide(call, message, manager->guard);
}

static void watch_decisions(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Access__WatchDecisionsRequest *request = (const Access__WatchDecisionsRequest *) message;
        struct manager *manager = userdata;

        if (!access_is_controlled(call, manager->guard))
                return;
        if (!isempty(request->vmname) && !streq(request->vmname, manager->config.name)) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "VmName is another's: this is the agent of %s",
                                manager->config.name);
                return;
        }
        decision_watchers_add(manager->decisions, call, message);
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
