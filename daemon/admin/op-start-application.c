/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "agent-link.h"
#include "answer.h"
#include "application.h"
#include "arena.h"
#include "forward.h"
#include "log.h"
#include "text.h"
#include "vm-start.h"

#include <stdarg.h>
#include <stdio.h>

/* A caller who sets a deadline gets our reason before it, as past it nobody listens any more. */
#define ANSWER_USEC (100 * USEC_PER_MSEC)
/* Instances that run without our knowing, one after the other. */
#define INSTANCE_TRIES_MAX 64

/*
 * One StartApplication, in its call's arena. Whoever goes away or runs out of time leaves nothing behind but
 * what the host and the agent were asked for already, which the registry hears of from them.
 */
struct start {
        struct manager *manager;
        struct rpc_call *call;
        const Admin__ApplicationRequest *request; /* of the call, too */
        const char *vm;
        uint64_t begin_usec, deadline_usec;
        unsigned tries;

        struct vm_start_waiter vm_start;         /* while the VM is brought up */
        struct registry_observer observer;       /* while its agent is waited for */
        struct registry_reservation reservation; /* from then on */
        struct rpc_client_call *pending;         /* while the agent starts it */
        struct quota_charge charge;              /* of what it is sent */
        sd_event_source *timer;                  /* the deadline, and the time to look again */
};

/* The steps, in the order in which they happen. Each ends the call, or leads to the next. */
static void find_agent(struct start *start);
static void bring_up_vm(struct start *start);
static void await_agent(struct start *start);
static void start_instance(struct start *start, int first);
static void register_instance(struct start *start, const Systemd__UnitStatus *status);
static void reply(struct start *start, const char *instance);

/* ---- ends ---- */

static void stop(struct start *start) {
        vm_start_leave(&start->vm_start);
        registry_ignore(&start->observer);
        registry_release(&start->reservation);
        if (start->pending)
                start->pending = rpc_client_cancel(start->pending);
        quota_release(&start->charge);
        start->timer = sd_event_source_disable_unref(start->timer);
}

static void log_end(const struct start *start, enum rpc_code code, const char *what) {
        const struct rpc_peer *peer = rpc_call_peer(start->call);
        const struct log_fields fields = {
                .method = rpc_call_path(start->call) + 1,
                .peer = peer->name,
                .vm = start->vm,
                .unit = start->reservation.name,
                .status = rpc_code_name(code),
                .duration_usec = now_usec(CLOCK_MONOTONIC) - start->begin_usec,
        };

        rpc_call_log(start->call, LOG_INFO, &fields, "Start of %s in %s for %s: %s", start->request->appname,
                        start->vm, peer->name, what);
}

static void fail(struct start *start, enum rpc_code code, const char *format, ...) _printf_(3, 4);

static void fail(struct start *start, enum rpc_code code, const char *format, ...) {
        _cleanup_(freep) char *message = NULL;
        va_list ap;

        va_start(ap, format);
        message = text_vprintf(format, ap);
        va_end(ap);
        stop(start);
        log_end(start, code, message ?: "out of memory");
        answer_fail(start->call, code, "%s", message ?: "out of memory");
}

static void call_gone(struct rpc_call *call, void *userdata) {
        struct start *start = userdata;

        stop(start);
        log_end(start, RPC_CANCELLED, "the caller has gone");
}

/* ---- is the VM's agent there? ---- */

static struct registry_agent *usable_agent(const struct start *start) {
        struct registry_agent *agent = registry_find_agent(start->manager->registry, start->vm);

        return agent && agent->online && agent->link ? agent : NULL;
}

static void find_agent(struct start *start) {
        if (usable_agent(start))
                start_instance(start, 0);
        else
                bring_up_vm(start);
}

/* ---- no: is the VM up? ---- */

static void vm_start_done(struct vm_start_waiter *waiter, enum rpc_code code, const char *reason) {
        struct start *start = container_of(waiter, struct start, vm_start);

        if (code != RPC_OK)
                fail(start, code, "cannot start VM %s, where the application is: %s", start->vm, reason);
        else
                await_agent(start);
}

static void bring_up_vm(struct start *start) {
        start->vm_start.done = vm_start_done;
        if (vm_start_join(start->manager, start->vm, &start->vm_start) < 0)
                fail(start, RPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- it is: its agent comes ---- */

static void look_again(struct start *start) {
        (void) sd_event_source_set_time(start->timer, 0);
}

/* The registry is not to be changed in here: what follows is left to the loop. */
static void registry_changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        struct start *start = userdata;
        char vm[REGISTRY_NAME_MAX + 1];

        if (usable_agent(start))
                look_again(start);
        else if (entry->type.service == COMPONENT_VM && registry_vm_of_unit(entry->name, vm) >= 0 &&
                        streq(vm, start->vm) && component_state_is_down(entry->state))
                fail(start, RPC_FAILED_PRECONDITION, "VM %s has gone down before its agent registered",
                                start->vm);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct start *start = userdata;
        bool waits_for_agent = !list_is_empty(&start->observer.observers);

        if (waits_for_agent && usable_agent(start)) {
                registry_ignore(&start->observer);
                (void) sd_event_source_set_time(start->timer, start->deadline_usec);
                (void) sd_event_source_set_enabled(start->timer, SD_EVENT_ONESHOT);
                start_instance(start, 0);
        } else if (waits_for_agent)
                fail(start, RPC_DEADLINE_EXCEEDED,
                                "VM %s is up, but its agent givc-%s.service has not registered in time",
                                start->vm, start->vm);
        else if (start->pending)
                fail(start, RPC_DEADLINE_EXCEEDED, "agent givc-%s.service has not started %s in time",
                                start->vm, start->reservation.name);
        else
                fail(start, RPC_DEADLINE_EXCEEDED, "VM %s has not come up in time", start->vm);
        return 0;
}

static void await_agent(struct start *start) {
        start->observer.changed = registry_changed;
        start->observer.userdata = start;
        registry_observe(start->manager->registry, &start->observer);
        if (usable_agent(start))
                look_again(start);
}

/* ---- it is there: it starts an instance of a name that nobody has ---- */

/* One that runs without our knowing is in the way: the next, then. */
static bool try_next(struct start *start, const struct rpc_status *status) {
        int number;

        if (status->code != RPC_ALREADY_EXISTS || ++start->tries >= INSTANCE_TRIES_MAX)
                return false;
        number = application_instance_number(start->reservation.name);
        registry_release(&start->reservation);
        start_instance(start, number + 1);
        return true;
}

static void agent_answered(
                const struct rpc_status *status, const ProtobufCMessage *message, void *userdata) {
        const Systemd__UnitResponse *response = (const Systemd__UnitResponse *) message;
        struct start *start = userdata;

        start->pending = NULL;
        if (status->code == RPC_OK && response->unitstatus)
                register_instance(start, response->unitstatus);
        else if (status->code == RPC_OK)
                fail(start, RPC_INTERNAL, "agent givc-%s.service answered without a state", start->vm);
        else if (!try_next(start, status)) {
                stop(start);
                log_end(start, status->code, strempty(status->message));
                forward_fail(start->call, start->vm, "StartApplication", status);
        }
}

static void start_instance(struct start *start, int first) {
        struct rpc_client_options options = { .deadline_usec = start->deadline_usec };
        struct registry_agent *agent = usable_agent(start);
        Systemd__AppUnitRequest request = SYSTEMD__APP_UNIT_REQUEST__INIT;
        int r;

        if (!agent) {
                fail(start, RPC_UNAVAILABLE, "agent givc-%s.service is lost", start->vm);
                return;
        }
        r = registry_reserve(start->manager->registry, start->vm, start->request->appname, first,
                        &start->reservation);
        if (r >= 0) {
                request.unitname = start->reservation.name;
                request.n_args = start->request->n_args;
                request.args = start->request->args;
                r = forward_charge(start->call, &request.base, &start->charge);
        }
        if (r >= 0)
                r = rpc_channel_unary(agent_link_channel(agent->link),
                                &systemd__unit_control_service__descriptor, "StartApplication",
                                &request.base, &options, agent_answered, start, &start->pending);
        if (r < 0)
                fail(start, RPC_RESOURCE_EXHAUSTED, "cannot start an instance of %s: %s",
                                start->request->appname, strerror(-r));
}

/* ---- it runs, or has run ---- */

/* Another than that of which we asked: it has handed over. An agent's word is not taken for more than that.
 */
static bool is_instance(const struct start *start, const char *name) {
        const char *at = startswith(name, start->request->appname);

        return at && *at == '@' && text_is_unit_name(name);
}

static void register_instance(struct start *start, const Systemd__UnitStatus *status) {
        struct registry_agent *agent = registry_find_agent(start->manager->registry, start->vm);
        const char *name = isempty(status->name) ? start->reservation.name : status->name;
        struct component_type type = { .service = COMPONENT_APP };
        bool held;
        int r;

        if (!is_instance(start, name)) {
                fail(start, RPC_INTERNAL, "agent givc-%s.service answered with a unit that is none of %s",
                                start->vm, start->request->appname);
                return;
        }
        if (!agent || component_state_is_down(component_state_from_wire(status))) {
                reply(start, name);
                return;
        }
        type.vm = agent->entry->type.vm;
        held = registry_find_unit(start->manager->registry, agent, name);
        r = held ? 0 : registry_put_unit(start->manager->registry, agent, name, type, status, NULL);
        if (r < 0) {
                fail(start, r == -EEXIST ? RPC_ALREADY_EXISTS : RPC_RESOURCE_EXHAUSTED,
                                "%s runs in %s, but cannot be registered: %s", name, start->vm,
                                strerror(-r));
                return;
        }
        /* It may have ended meanwhile, when nobody here knew it. */
        if (!held && agent->link)
                agent_link_unit_added(agent->link);
        reply(start, name);
}

static void reply(struct start *start, const char *instance) {
        Admin__StartResponse response = ADMIN__START_RESPONSE__INIT;

        response.registryid = (char *) instance;
        log_end(start, RPC_OK, instance);
        stop(start);
        rpc_call_reply(start->call, &response.base);
}

/* ---- what is asked for ---- */

/* By whoever does not say it, in the VM that is named after the application. */
static const char *vm_of(const Admin__ApplicationRequest *request, struct arena *arena) {
        const char *suffix = "-vm";
        size_t n = strlen(request->appname);
        char *vm;

        if (application_vm(request))
                return application_vm(request);
        vm = arena_alloc(arena, n + strlen(suffix) + 1);
        if (vm)
                stpcpy(stpcpy(vm, request->appname), suffix);
        return vm;
}

static uint64_t deadline_of(const struct rpc_call *call) {
        uint64_t deadline = forward_deadline(call), now = now_usec(CLOCK_MONOTONIC);

        if (rpc_call_deadline(call) == USEC_INFINITY || deadline <= now)
                return deadline;
        return deadline - MIN(ANSWER_USEC, (deadline - now) / 4);
}

void op_start_application(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct rpc_call_ops ops = { .gone = call_gone };
        const Admin__ApplicationRequest *request = (const Admin__ApplicationRequest *) message;
        struct manager *manager = userdata;
        struct start *start;

        if (!application_name_is_valid(request->appname)) {
                answer_fail(call, RPC_INVALID_ARGUMENT,
                                "AppName is not the name of an application: letters, digits, \"_\" and "
                                "\"-\"");
                return;
        }
        start = arena_alloc0(rpc_call_arena(call), sizeof(*start));
        if (start) {
                start->manager = manager;
                start->call = call;
                start->request = request;
                start->vm = vm_of(request, rpc_call_arena(call));
                start->begin_usec = now_usec(CLOCK_MONOTONIC);
                start->deadline_usec = deadline_of(call);
                list_init(&start->observer.observers);
                list_init(&start->reservation.reservations);
        }
        if (!start || !start->vm ||
                        sd_event_add_time(reactor_event(manager->reactor), &start->timer, CLOCK_MONOTONIC,
                                        start->deadline_usec, 10 * USEC_PER_MSEC, on_timer, start) < 0) {
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        rpc_call_set_ops(call, &ops, start);
        if (text_is_host_name(start->vm))
                find_agent(start);
        else
                fail(start, RPC_INVALID_ARGUMENT, "VmName is not the name of a VM");
}
