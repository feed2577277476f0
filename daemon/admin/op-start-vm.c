/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "answer.h"
#include "arena.h"
#include "forward.h"
#include "log.h"
#include "text.h"
#include "vm-start.h"

/* One StartVM, in its call's arena. */
struct start {
        struct rpc_call *call;
        const char *vm;
        uint64_t begin_usec;
        struct vm_start_waiter waiter;
        sd_event_source *timer; /* the deadline of a caller who has none */
};

static void stop(struct start *start) {
        vm_start_leave(&start->waiter);
        start->timer = sd_event_source_disable_unref(start->timer);
}

static void log_end(const struct start *start, enum rpc_code code, const char *what) {
        const struct rpc_peer *peer = rpc_call_peer(start->call);
        const struct log_fields fields = {
                .method = rpc_call_path(start->call) + 1,
                .peer = peer->name,
                .vm = start->vm,
                .status = rpc_code_name(code),
                .duration_usec = now_usec(CLOCK_MONOTONIC) - start->begin_usec,
        };

        rpc_call_log(start->call, LOG_INFO, &fields, "StartVM of %s for %s: %s", start->vm, peer->name,
                        what);
}

static void fail(struct start *start, enum rpc_code code, const char *reason) {
        stop(start);
        log_end(start, code, reason);
        answer_fail(start->call, code, "cannot start VM %s: %s", start->vm, reason);
}

/* The answer is the name that the VM's agent has, or will have. */
static void reply(struct start *start) {
        Admin__StartResponse response = ADMIN__START_RESPONSE__INIT;
        _cleanup_(freep) char *agent = text_printf("givc-%s.service", start->vm);

        stop(start);
        log_end(start, RPC_OK, "done");
        response.registryid = (char *) strempty(agent);
        rpc_call_reply(start->call, &response.base);
}

static void vm_start_done(struct vm_start_waiter *waiter, enum rpc_code code, const char *reason) {
        struct start *start = container_of(waiter, struct start, waiter);

        if (code == RPC_OK)
                reply(start);
        else
                fail(start, code, reason);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        fail(userdata, RPC_DEADLINE_EXCEEDED, "it has not come up in time");
        return 0;
}

static void call_gone(struct rpc_call *call, void *userdata) {
        struct start *start = userdata;

        stop(start);
        log_end(start, RPC_CANCELLED, "the caller has gone");
}

/* StartVM: the host's agent starts the VM's unit, unless it is up; answered when it is active. */
void op_start_vm(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct rpc_call_ops ops = { .gone = call_gone };
        const Admin__StartVMRequest *request = (const Admin__StartVMRequest *) message;
        struct manager *manager = userdata;
        struct start *start;

        if (!text_is_host_name(request->vmname)) {
                answer_fail(call, RPC_INVALID_ARGUMENT, "VmName is not the name of a VM");
                return;
        }
        start = arena_alloc0(rpc_call_arena(call), sizeof(*start));
        if (!start) {
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        start->call = call;
        start->vm = request->vmname;
        start->begin_usec = now_usec(CLOCK_MONOTONIC);
        start->waiter.done = vm_start_done;
        rpc_call_set_ops(call, &ops, start);
        if (sd_event_add_time(reactor_event(manager->reactor), &start->timer, CLOCK_MONOTONIC,
                            forward_deadline(call), 10 * USEC_PER_MSEC, on_timer, start) < 0 ||
                        vm_start_join(manager, start->vm, &start->waiter) < 0)
                fail(start, RPC_RESOURCE_EXHAUSTED, "out of memory");
}
