/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm-start.h"

#include "agent-link.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

/* While somebody else's start is under way: asked again, should the registry not hear of its end. */
#define ASK_AGAIN_USEC (1 * USEC_PER_SEC)

/* One VM on its way up. It has no deadline of its own: it goes with the last who waits. */
struct vm_start {
        struct list starts; /* in the manager's */
        struct manager *manager;
        char *vm;
        char *unit;
        struct list waiters;
        struct rpc_client_call *pending;
        struct registry_observer observer;
        sd_event_source *timer; /* the next time to ask */
        bool by_others;         /* it was on its way up before we asked for that */
};

static void vm_start_free(struct vm_start *start) {
        list_remove(&start->starts);
        registry_ignore(&start->observer);
        sd_event_source_disable_unref(start->timer);
        if (start->pending)
                rpc_client_cancel(start->pending);
        free(start->vm);
        free(start->unit);
        free(start);
}

static void end(struct vm_start *start, enum rpc_code code, const char *format, ...) _printf_(3, 4);

static void end(struct vm_start *start, enum rpc_code code, const char *format, ...) {
        _cleanup_(freep) char *reason = NULL;
        va_list ap;

        va_start(ap, format);
        reason = text_vprintf(format, ap);
        va_end(ap);
        /* Who begins to wait from now on begins a start of its own. */
        list_remove(&start->starts);
        while (!list_is_empty(&start->waiters)) {
                struct vm_start_waiter *waiter =
                                LIST_FIRST(&start->waiters, struct vm_start_waiter, waiters);

                list_remove(&waiter->waiters);
                waiter->start = NULL;
                waiter->done(waiter, code, reason ?: "out of memory");
        }
        vm_start_free(start);
}

static void ask_at(struct vm_start *start, uint64_t usec) {
        (void) sd_event_source_set_time(start->timer, usec);
        (void) sd_event_source_set_enabled(start->timer, SD_EVENT_ONESHOT);
}

/* ---- asking the host ---- */

static void ask(struct vm_start *start, const char *method, rpc_unary_done_t answered) {
        struct registry_agent *host = registry_find_only(start->manager->registry, COMPONENT_HOST);
        const struct rpc_client_options options = {};
        Systemd__UnitRequest request = SYSTEMD__UNIT_REQUEST__INIT;
        int r;

        if (!host) {
                end(start, RPC_FAILED_PRECONDITION, "no agent of the host has registered");
                return;
        }
        if (!host->link || rpc_channel_get_state(agent_link_channel(host->link)) == RPC_CHANNEL_FAILED) {
                end(start, RPC_UNAVAILABLE, "agent %s is not connected", host->entry->name);
                return;
        }
        request.unitname = start->unit;
        r = rpc_channel_unary(agent_link_channel(host->link), &systemd__unit_control_service__descriptor,
                        method, &request.base, &options, answered, start, &start->pending);
        if (r < 0)
                end(start, RPC_RESOURCE_EXHAUSTED, "cannot call agent %s: %s", host->entry->name,
                                strerror(-r));
}

/* The unit's state out of an answer; NULL: it has none, and the start has ended. */
static const Systemd__UnitStatus *take_answer(
                struct vm_start *start, const struct rpc_status *status, const ProtobufCMessage *message) {
        const Systemd__UnitResponse *response = (const Systemd__UnitResponse *) message;

        start->pending = NULL;
        if (status->code == RPC_NOT_FOUND) {
                end(start, RPC_NOT_FOUND, "the host has no %s", start->unit);
                return NULL;
        }
        if (status->code != RPC_OK) {
                end(start, status->code == RPC_CANCELLED ? RPC_UNAVAILABLE : status->code, "%s",
                                isempty(status->message) ? rpc_code_name(status->code) : status->message);
                return NULL;
        }
        if (!response->unitstatus)
                end(start, RPC_INTERNAL, "the host's agent answered without a state");
        return response->unitstatus;
}

/* ---- the steps, the last one first ---- */

static void on_started(const struct rpc_status *status, const ProtobufCMessage *message, void *userdata) {
        struct vm_start *start = userdata;
        const Systemd__UnitStatus *unit = take_answer(start, status, message);

        if (!unit)
                return;
        if (component_state_is_up(component_state_from_wire(unit)))
                end(start, RPC_OK, "%s", "");
        else
                end(start, RPC_FAILED_PRECONDITION, "%s was started, but is %s/%s now", start->unit,
                                component_word(unit->activestate), component_word(unit->substate));
}

static void on_seen(const struct rpc_status *status, const ProtobufCMessage *message, void *userdata) {
        struct vm_start *start = userdata;
        const Systemd__UnitStatus *unit = take_answer(start, status, message);
        struct component_state state;

        if (!unit)
                return;
        state = component_state_from_wire(unit);
        if (streq(unit->loadstate, "not-found"))
                end(start, RPC_NOT_FOUND, "the host has no %s", start->unit);
        else if (streq(component_state_text(state), "Paused"))
                end(start, RPC_FAILED_PRECONDITION, "%s is paused: resume it first", start->unit);
        else if (component_state_is_up(state))
                end(start, RPC_OK, "%s", "");
        else if (component_state_is_starting(state)) {
                start->by_others = true;
                ask_at(start, usec_add(now_usec(CLOCK_MONOTONIC), ASK_AGAIN_USEC));
        } else if (start->by_others)
                end(start, RPC_FAILED_PRECONDITION, "%s was being started, but is %s/%s now", start->unit,
                                component_word(unit->activestate), component_word(unit->substate));
        else
                ask(start, "StartUnit", on_started);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct vm_start *start = userdata;

        if (!start->pending)
                ask(start, "GetUnitStatus", on_seen);
        return 0;
}

/* Whatever is heard of the unit while we wait for another's start is taken as the time to ask again. */
static void registry_changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        struct vm_start *start = userdata;

        if (!start->pending && streq(entry->name, start->unit))
                ask_at(start, 0);
}

static struct vm_start *vm_start_new(struct manager *manager, const char *vm) {
        struct vm_start *start;

        start = calloc(1, sizeof(*start));
        if (!start)
                return NULL;
        list_append(&manager->vm_starts, &start->starts);
        list_init(&start->waiters);
        start->manager = manager;
        start->observer = (struct registry_observer){ .changed = registry_changed, .userdata = start };
        registry_observe(manager->registry, &start->observer);
        start->vm = strdup(vm);
        start->unit = text_printf("microvm@%s.service", vm);
        if (!start->vm || !start->unit ||
                        sd_event_add_time(reactor_event(manager->reactor), &start->timer, CLOCK_MONOTONIC, 0,
                                        0, on_timer, start) < 0) {
                vm_start_free(start);
                return NULL;
        }
        return start;
}

static struct vm_start *find(struct manager *manager, const char *vm) {
        struct vm_start *start;

        LIST_FOREACH(start, &manager->vm_starts, starts)
                if (streq(start->vm, vm))
                        return start;
        return NULL;
}

int vm_start_join(struct manager *manager, const char *vm, struct vm_start_waiter *waiter) {
        struct vm_start *start = find(manager, vm) ?: vm_start_new(manager, vm);

        if (!start)
                return -ENOMEM;
        waiter->start = start;
        list_append(&start->waiters, &waiter->waiters);
        return 0;
}

void vm_start_leave(struct vm_start_waiter *waiter) {
        struct vm_start *start = TAKE_PTR(waiter->start);

        if (!start)
                return;
        list_remove(&waiter->waiters);
        if (list_is_empty(&start->waiters))
                vm_start_free(start);
}
