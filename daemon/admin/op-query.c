/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "answer.h"
#include "manager.h"
#include "query.h"

/* QueryList: the registry as it is. */
void op_query_list(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct manager *manager = userdata;
        Admin__QueryListResponse list;
        struct arena arena;

        arena_init(&arena, QUERY_BYTES_MAX);
        if (query_list(manager->registry, &arena, &list) < 0)
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
        else
                rpc_call_reply(call, &list.base);
        arena_clear(&arena);
}

/* Watch: the registry as it is, and then as it changes. */
void op_watch(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct manager *manager = userdata;

        watchers_add(manager->watchers, call);
}
