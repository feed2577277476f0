/* SPDX-License-Identifier: GPL-2.0-or-later */

/* https://github.com/grpc/grpc/blob/master/doc/health-checking.md */

#include "arena.h"
#include "call.h"
#include "health.pb-c.h"
#include "list.h"
#include "reflection.h"

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

struct rpc_health {
        struct rpc_server *server;
        bool serving;
        struct list watchers;
};

/* One Watch, in the memory of its call: it goes when the call goes, and is bounded by what bounds calls. */
struct watcher {
        struct list link;
        struct rpc_call *call;
        bool known; /* the service is one of ours */
};

/* "" is the server as a whole. */
static bool knows_service(const struct rpc_health *health, const char *name) {
        const struct rpc_service *service;

        if (isempty(name))
                return true;
        for (size_t i = 0; (service = rpc_server_service(health->server, i)); i++)
                if (streq(service->descriptor->name, name))
                        return true;
        return false;
}

static serving_status status_now(const struct rpc_health *health) {
        return health->serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

static void check(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Grpc__Health__V1__HealthCheckRequest *request =
                        (const Grpc__Health__V1__HealthCheckRequest *) message;
        Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
        struct rpc_health *health = userdata;

        if (!knows_service(health, request->service)) {
                rpc_call_fail(call, RPC_NOT_FOUND, "This server has no service of that name");
                return;
        }
        response.status = status_now(health);
        rpc_call_reply(call, &response.base);
}

static void watcher_gone(_unused_ struct rpc_call *call, void *userdata) {
        struct watcher *watcher = userdata;

        list_remove(&watcher->link);
}

/* Tells the state; where that is the last one, or cannot be told, the call and with it the watcher end. */
static void watcher_tell(struct watcher *watcher, struct rpc_health *health) {
        Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
        int r;

        response.status = watcher->known ? status_now(health) : STATUS(SERVICE_UNKNOWN);
        r = rpc_call_send(watcher->call, &response.base);
        if (r >= 0 && health->serving)
                return;
        list_remove(&watcher->link);
        if (r < 0)
                rpc_call_fail(watcher->call, RPC_RESOURCE_EXHAUSTED, "Out of memory");
        else
                rpc_call_fail(watcher->call, RPC_UNAVAILABLE, "This server is going away");
}

static void watch(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct rpc_call_ops ops = { .gone = watcher_gone };
        const Grpc__Health__V1__HealthCheckRequest *request =
                        (const Grpc__Health__V1__HealthCheckRequest *) message;
        struct rpc_health *health = userdata;
        struct watcher *watcher;

        watcher = arena_alloc0(rpc_call_arena(call), sizeof(*watcher));
        if (!watcher) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "Out of memory");
                return;
        }
        watcher->call = call;
        watcher->known = knows_service(health, request->service);
        list_append(&health->watchers, &watcher->link);
        rpc_call_set_ops(call, &ops, watcher);
        watcher_tell(watcher, health);
}

static const struct rpc_method methods[] = {
        { .name = "Check", .handle = check },
        { .name = "Watch", .handle = watch, .streams_response = true },
};

static const struct rpc_service service = {
        .descriptor = &grpc__health__v1__health__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};

int rpc_health_new(struct rpc_health **ret, struct rpc_server *server) {
        _cleanup_(rpc_health_freep) struct rpc_health *health = NULL;
        int r;

        health = calloc(1, sizeof(*health));
        if (!health)
                return -ENOMEM;
        health->server = server;
        health->serving = true;
        list_init(&health->watchers);
        r = rpc_server_add_service(server, &service, health);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(health);
        return 0;
}

struct rpc_health *rpc_health_free(struct rpc_health *health) {
        free(health);
        return NULL;
}

void rpc_health_set(struct rpc_health *health, bool serving) {
        struct watcher *watcher;

        health->serving = serving;
        if (serving)
                /* Nobody is left who was told otherwise. */
                return;
        while ((watcher = LIST_FIRST(&health->watchers, struct watcher, link)))
                watcher_tell(watcher, health);
}
