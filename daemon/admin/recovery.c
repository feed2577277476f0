/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recovery.h"

#include "agent-link.h"
#include "log.h"
#include "message-ids.h"
#include "run-result.h"
#include "vm-start.h"

/* Between a crash and the start that follows; twice as long each time. */
#define DELAY_USEC (500 * USEC_PER_MSEC)
/* Between an agent's being lost and our asking for its VM: what stops or restarts does so meanwhile. */
#define LOST_USEC (2 * USEC_PER_SEC)
/* While the host is out of reach. */
#define HOST_USEC (5 * USEC_PER_SEC)
/* A VM that was up for so long crashes for the first time. */
#define STABLE_USEC (300 * USEC_PER_SEC)

struct recovery {
        struct manager *manager;
        struct registry_observer observer;
        struct list vms;
        uint64_t n_starts; /* since our start, of all VMs */
};

/* A VM that is recovered; there is one for each whose unit is in the registry. */
struct recovered_vm {
        struct list vms;
        struct recovery *recovery;
        bool up;          /* its unit was, and has neither failed nor been stopped since */
        uint64_t up_usec; /* CLOCK_MONOTONIC: since when */
        unsigned starts;  /* in a row */
        bool given_up;

        /* the step under way, if any */
        sd_event_source *timer;          /* waiting */
        struct rpc_client_call *pending; /* asking the host */
        struct vm_start_waiter waiter;   /* starting it */

        char *unit;
        char name[];
};

uint64_t recovery_count(const struct recovery *recovery) {
        return recovery ? recovery->n_starts : 0;
}

static void schedule(struct recovered_vm *vm, uint64_t usec) {
        (void) sd_event_source_set_time_relative(vm->timer, usec);
        (void) sd_event_source_set_enabled(vm->timer, SD_EVENT_ONESHOT);
}

/* Nothing is under way any more. */
static void rest(struct recovered_vm *vm) {
        (void) sd_event_source_set_enabled(vm->timer, SD_EVENT_OFF);
        if (vm->pending)
                vm->pending = rpc_client_cancel(vm->pending);
        vm_start_leave(&vm->waiter);
}

/* Somebody wants it to be down. */
static void stopped(struct recovered_vm *vm) {
        rest(vm);
        vm->up = false;
        vm->starts = 0;
        vm->given_up = false;
}

static void crashed(struct recovered_vm *vm) {
        if (vm->up && now_usec(CLOCK_MONOTONIC) - vm->up_usec >= STABLE_USEC)
                vm->starts = 0;
        vm->up = false;
        schedule(vm, vm->starts < RECOVERY_STARTS_MAX ? DELAY_USEC << vm->starts : 0);
}

/* ---- the steps, the last one first ---- */

static struct log_fields fields_of(const struct recovered_vm *vm, const char *message_id) {
        return (struct log_fields){ .message_id = message_id, .vm = vm->name, .unit = vm->unit };
}

static void give_up(struct recovered_vm *vm) {
        const struct log_fields fields = fields_of(vm, GIVC_MESSAGE_VM_GIVEN_UP);

        vm->given_up = true;
        log_event(LOG_ERR, &fields, "VM %s has crashed again after %u starts in a row, and stays down.",
                        vm->name, vm->starts);
}

static void heard(struct recovered_vm *vm, struct component_state state);

static void on_started(struct vm_start_waiter *waiter, enum rpc_code code, const char *reason) {
        struct recovered_vm *vm = container_of(waiter, struct recovered_vm, waiter);
        const struct log_fields fields = fields_of(vm, code == RPC_OK ? GIVC_MESSAGE_VM_RECOVERED : NULL);
        struct registry_entry *entry;

        if (code == RPC_OK) {
                log_event(LOG_NOTICE, &fields, "VM %s is up again.", vm->name);
                vm->up = true;
                vm->up_usec = now_usec(CLOCK_MONOTONIC);
                /* It may have crashed already, while nobody thought it up. */
                entry = registry_find(vm->recovery->manager->registry, vm->unit);
                if (entry)
                        heard(vm, entry->state);
                return;
        }
        log_event(LOG_WARNING, &fields, "VM %s could not be started again: %s", vm->name, reason);
        if (code == RPC_UNAVAILABLE) {
                vm->starts--;
                schedule(vm, HOST_USEC);
        } else
                crashed(vm);
}

static void start(struct recovered_vm *vm, const Systemd__UnitStatus *unit) {
        const struct run_result result = {
                .result = unit->result,
                .exit_code = unit->exitcode,
                .exit_status = unit->exitstatus,
        };
        struct log_fields fields = fields_of(vm, GIVC_MESSAGE_VM_CRASHED);
        _cleanup_(freep) char *text = NULL;

        fields.result = unit->result;
        if (run_result_is_failure(&result))
                text = run_result_text(&result);
        vm->starts++;
        vm->recovery->n_starts++;
        log_event(LOG_WARNING, &fields, "VM %s has crashed%s%s; starting it again (%u of %u).", vm->name,
                        text ? ": " : "", strempty(text), vm->starts, RECOVERY_STARTS_MAX);
        vm->waiter.done = on_started;
        if (vm_start_join(vm->recovery->manager, vm->name, &vm->waiter) < 0)
                schedule(vm, HOST_USEC);
}

/* What was up and ends by a timeout was being stopped, and took too long. */
static bool was_wanted(const struct recovered_vm *vm, const Systemd__UnitStatus *unit) {
        return streq(unit->activestate, "inactive") || (vm->starts == 0 && streq(unit->result, "timeout"));
}

static void on_seen(const struct rpc_status *status, const ProtobufCMessage *message, void *userdata) {
        const Systemd__UnitResponse *response = (const Systemd__UnitResponse *) message;
        struct recovered_vm *vm = userdata;
        const Systemd__UnitStatus *unit;

        vm->pending = NULL;
        if (status->code == RPC_NOT_FOUND || status->code == RPC_PERMISSION_DENIED) {
                stopped(vm); /* the host does not let us have it */
                return;
        }
        unit = status->code == RPC_OK ? response->unitstatus : NULL;
        if (!unit)
                schedule(vm, HOST_USEC);
        else if (was_wanted(vm, unit))
                stopped(vm);
        else if (!streq(unit->activestate, "failed"))
                return; /* up, or on its way to or from there, which we shall hear of */
        else if (vm->starts >= RECOVERY_STARTS_MAX)
                give_up(vm);
        else
                start(vm, unit);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct recovered_vm *vm = userdata;
        struct registry_agent *host = registry_find_only(vm->recovery->manager->registry, COMPONENT_HOST);
        const struct rpc_client_options options = {
                .deadline_usec = usec_add(now_usec(CLOCK_MONOTONIC), HOST_USEC),
        };
        Systemd__UnitRequest request = SYSTEMD__UNIT_REQUEST__INIT;

        if (vm->waiter.start)
                return 0;
        /* It may have been asked before the crash, and answer that the VM is on its way down. */
        if (vm->pending) {
                schedule(vm, DELAY_USEC);
                return 0;
        }
        request.unitname = vm->unit;
        if (!host || !host->link ||
                        rpc_channel_unary(agent_link_channel(host->link),
                                        &systemd__unit_control_service__descriptor, "GetUnitStatus",
                                        &request.base, &options, on_seen, vm, &vm->pending) < 0)
                schedule(vm, HOST_USEC);
        return 0;
}

/* ---- what is heard ---- */

static void heard(struct recovered_vm *vm, struct component_state state) {
        if (component_state_is_up(state)) {
                if (vm->up)
                        return;
                vm->up = true;
                vm->up_usec = now_usec(CLOCK_MONOTONIC);
                /* Not by us, so somebody has looked. */
                if (vm->given_up)
                        vm->starts = 0;
                vm->given_up = false;
        } else if (!component_state_is_down(state))
                return;
        else if (!component_state_is_failed(state))
                stopped(vm);
        else if (vm->up)
                crashed(vm);
}

static struct recovered_vm *find_vm(struct recovery *recovery, const char *name) {
        struct recovered_vm *vm;

        LIST_FOREACH(vm, &recovery->vms, vms)
                if (streq(vm->name, name))
                        return vm;
        return NULL;
}

static void free_vm(struct recovered_vm *vm) {
        if (vm->timer)
                rest(vm);
        list_remove(&vm->vms);
        sd_event_source_disable_unref(vm->timer);
        free(vm->unit);
        free(vm);
}

static struct recovered_vm *new_vm(struct recovery *recovery, const char *name, const char *unit) {
        sd_event *event = reactor_event(recovery->manager->reactor);
        size_t n = strlen(name) + 1;
        struct recovered_vm *vm;

        vm = calloc(1, sizeof(*vm) + n);
        if (!vm)
                return NULL;
        memcpy(vm->name, name, n);
        vm->recovery = recovery;
        list_append(&recovery->vms, &vm->vms);
        vm->unit = strdup(unit);
        if (!vm->unit || sd_event_add_time(event, &vm->timer, CLOCK_MONOTONIC, 0, 0, on_timer, vm) < 0) {
                free_vm(vm);
                return NULL;
        }
        rest(vm);
        return vm;
}

/* We run in the admin VM ourselves, and the host has none above it. */
static bool is_recovered(const struct registry_entry *entry) {
        return entry->type.vm == COMPONENT_SYSVM || entry->type.vm == COMPONENT_APPVM;
}

static void vm_changed(
                struct recovery *recovery, enum registry_event event, const struct registry_entry *entry) {
        char name[REGISTRY_NAME_MAX + 1];
        struct recovered_vm *vm;

        if (registry_vm_of_unit(entry->name, name) < 0)
                return;
        vm = find_vm(recovery, name);
        if (event == REGISTRY_REMOVED) {
                if (vm)
                        free_vm(vm);
                return;
        }
        if (!vm)
                vm = new_vm(recovery, name, entry->name);
        if (vm)
                heard(vm, entry->state);
        else
                log_error_errno(-ENOMEM, "Cannot watch over VM %s", name);
}

/* Its VM may be down without our having heard of that. */
static void agent_changed(struct recovery *recovery, const struct registry_agent *agent) {
        struct recovered_vm *vm = find_vm(recovery, agent->vm);

        if (!agent->online && vm && vm->up)
                schedule(vm, LOST_USEC);
}

static void registry_changed(enum registry_event event, const struct registry_entry *entry, void *userdata) {
        if (!is_recovered(entry))
                return;
        if (entry->type.service == COMPONENT_VM)
                vm_changed(userdata, event, entry);
        else if (entry->type.service == COMPONENT_MGR && event == REGISTRY_UPDATED)
                agent_changed(userdata, entry->agent);
}

/* ---- life ---- */

static void begin(const struct registry_entry *entry, void *userdata) {
        registry_changed(REGISTRY_ADDED, entry, userdata);
}

int recovery_new(struct recovery **ret, struct manager *manager) {
        struct recovery *recovery;

        recovery = calloc(1, sizeof(*recovery));
        if (!recovery)
                return -ENOMEM;
        list_init(&recovery->vms);
        recovery->manager = manager;
        recovery->observer = (struct registry_observer){ .changed = registry_changed, .userdata = recovery };
        registry_foreach(manager->registry, begin, recovery);
        registry_observe(manager->registry, &recovery->observer);
        *ret = recovery;
        return 0;
}

struct recovery *recovery_free(struct recovery *recovery) {
        if (!recovery)
                return NULL;
        registry_ignore(&recovery->observer);
        while (!list_is_empty(&recovery->vms))
                free_vm(LIST_FIRST(&recovery->vms, struct recovered_vm, vms));
        free(recovery);
        return NULL;
}

void recovery_forget(struct recovery *recovery, const char *unit) {
        char name[REGISTRY_NAME_MAX + 1];
        struct recovered_vm *vm;

        if (!recovery || registry_vm_of_unit(unit, name) < 0)
                return;
        vm = find_vm(recovery, name);
        if (!vm)
                return;
        rest(vm);
        vm->starts = 0;
}
