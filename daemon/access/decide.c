/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "decide.h"

#include "explain.h"
#include "question.h"
#include "rules.h"

/* What one decision, and its explanation, may take: the policies that a request meets may be many, and each
 * is named. */
#define DECIDE_BYTES ((size_t) 4 * 1024 * 1024)
/* So many rules are looked through for what is near, which takes a millisecond; of more, the likely ones. */
#define NEAR_RULES_MAX 1024

static bool is_uid(const struct cedar_uid *uid, const char *type, struct cedar_text id) {
        return cedar_text_equal(uid->type, cedar_text_of(type)) && cedar_text_equal(uid->id, id);
}

/* Whether it is a method of the service that is asked about. */
static bool has_method(const struct rpc_service *service, const struct cedar_request *request) {
        for (size_t i = 0; i < service->n_methods; i++)
                if (is_uid(request->action, ACCESS_ACTION, cedar_text_of(service->methods[i].name)))
                        return true;
        return false;
}

/* The one service of ours whose method that is, without its package; n is 0: there are none, or several. */
static struct cedar_text find_service(const struct rpc_server *server, const struct cedar_request *request) {
        struct cedar_text found = {};
        const struct rpc_service *service;

        for (size_t i = 0; (service = rpc_server_service(server, i)); i++) {
                struct cedar_text module, name;

                if (!access_split_service(service->descriptor->name, &module, &name) ||
                                !is_uid(request->resource, ACCESS_RESOURCE, module) ||
                                !has_method(service, request))
                        continue;
                if (found.n > 0)
                        return (struct cedar_text){};
                found = name;
        }
        return found;
}

static void refuse(struct rpc_call *call, int error, const char *reason) {
        if (error == -EINVAL)
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "%s", reason ?: strerror(EINVAL));
        else
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "%s",
                                reason ?: "deciding takes too much memory");
}

bool access_is_controlled(struct rpc_call *call, const struct access_guard *guard) {
        if (access_guard_rules(guard))
                return true;
        rpc_call_fail(call, RPC_FAILED_PRECONDITION, ACCESS_IS_OFF);
        return false;
}

void access_decide(
                struct rpc_call *call, const ProtobufCMessage *message, const struct access_guard *guard) {
        const struct access_rules *rules = access_guard_rules(guard);
        _cleanup_(arena_clear) struct arena arena = {};
        _cleanup_(freep) char *error = NULL;
        Access__DecideResponse *response;
        struct cedar_request request;
        struct cedar_text service;
        int r;

        if (!access_is_controlled(call, guard))
                return;
        arena_init(&arena, DECIDE_BYTES);
        r = access_read_question(&arena, (const Access__DecideRequest *) message, &request, &error);
        if (r == 0) {
                service = find_service(rpc_call_server(call), &request);
                r = service.n == 0 ? 0 : access_question_set_service(&arena, service, &request);
        }
        if (r == 0)
                r = access_explain(&arena, access_rules_policies(rules), access_rules_entities(rules),
                                &request,
                                access_rules_count(rules) > NEAR_RULES_MAX ? ACCESS_NEAR_LIKELY
                                                                           : ACCESS_NEAR_ALL,
                                &response);
        if (r < 0)
                refuse(call, r, error);
        else
                rpc_call_reply(call, &response->base);
}
