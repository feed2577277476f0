/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-manage.h"
#include "application-instances.h"
#include "arena.h"
#include "unit-call.h"
#include "unit-message.h"

#include <signal.h>

/* By the wire's numbers. */
static const struct unit_call_verb verbs[] = {
        [SYSTEMD__UNIT_VERB__STATUS] = { .name = "show", .spec = { .verb = UNIT_STATUS } },
        [SYSTEMD__UNIT_VERB__START] = { .name = "start", .spec = { .verb = UNIT_START } },
        [SYSTEMD__UNIT_VERB__STOP] = { .name = "stop", .spec = { .verb = UNIT_STOP } },
        [SYSTEMD__UNIT_VERB__RESTART] = { .name = "restart", .spec = { .verb = UNIT_RESTART } },
        [SYSTEMD__UNIT_VERB__TRY_RESTART] = { .name = "try-restart", .spec = { .verb = UNIT_TRY_RESTART } },
        [SYSTEMD__UNIT_VERB__RELOAD] = { .name = "reload", .spec = { .verb = UNIT_RELOAD } },
        [SYSTEMD__UNIT_VERB__RESET_FAILED] = { .name = "reset-failed",
                        .spec = { .verb = UNIT_RESET_FAILED } },
        [SYSTEMD__UNIT_VERB__KILL] = { .name = "kill", .spec = { .verb = UNIT_KILL } },
        [SYSTEMD__UNIT_VERB__FREEZE] = { .name = "freeze",
                        .spec = { .verb = UNIT_FREEZE },
                        .suspends = true },
        [SYSTEMD__UNIT_VERB__THAW] = { .name = "thaw", .spec = { .verb = UNIT_THAW } },
};

/* The wire's word for it; -EINVAL: there is no such. */
static int read_whom(const char *text, enum unit_whom *ret) {
        static const char *const texts[] = {
                [UNIT_WHOM_ALL] = "all",
                [UNIT_WHOM_MAIN] = "main",
                [UNIT_WHOM_CONTROL] = "control",
        };

        *ret = UNIT_WHOM_ALL;
        if (isempty(text))
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (streq(text, texts[i])) {
                        *ret = (enum unit_whom) i;
                        return 0;
                }
        return -EINVAL;
}

/* What the request asks for; false: nothing that there is, and the call has ended. */
static bool read_verb(struct rpc_call *call, const Systemd__ManageUnitRequest *request,
                struct unit_call_verb *ret) {
        enum unit_whom whom;

        if ((unsigned) request->verb >= ELEMENTSOF(verbs)) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "there is no verb %i: the last is %zu",
                                (int) request->verb, ELEMENTSOF(verbs) - 1);
                return false;
        }
        if (request->signal < 0 || request->signal > SIGRTMAX) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "there is no signal %i: they are 1 to %i",
                                request->signal, SIGRTMAX);
                return false;
        }
        if (read_whom(request->whom, &whom) < 0) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "Whom must be \"main\", \"control\" or \"all\"");
                return false;
        }
        *ret = verbs[request->verb];
        ret->spec.no_block = request->noblock;
        if (ret->spec.verb == UNIT_KILL) {
                ret->spec.signal = request->signal ?: SIGTERM;
                ret->spec.whom = whom;
                ret->suspends = request->signal == SIGSTOP;
        }
        return true;
}

static void reply(struct rpc_call *call, const struct whitelist_unit *unit, const struct unit_state *state) {
        Systemd__UnitDetail detail;
        Systemd__UnitStatus status;

        unit_message_fill_detail(&detail, &status, unit, state);
        rpc_call_reply(call, &detail.base);
}

static void manage_unit(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Systemd__ManageUnitRequest *request = (const Systemd__ManageUnitRequest *) message;
        struct unit_call_verb verb;

        if (read_verb(call, request, &verb))
                unit_call_begin(userdata, call, request->unitname, &verb, reply);
}

/* All of them, in memory that lasts as long as the call. */
struct listing {
        Systemd__ListUnitsResponse response;
        struct listed {
                Systemd__UnitDetail detail;
                Systemd__UnitStatus status;
        } * listed; /* the next that is free */
};

/* What systemd has been asked for and has not told yet, which takes milliseconds, is left out. */
static void list_unit(struct listing *listing, struct manager *manager, const struct whitelist_unit *unit) {
        const struct unit_state *state = units_get(manager->units, unit->target);

        if (!state && !unit->own)
                return;
        unit_message_fill_detail(&listing->listed->detail, &listing->listed->status, unit, state);
        listing->response.units[listing->response.n_units++] = &listing->listed++->detail;
}

static void list_units(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        struct listing listing = { .response = SYSTEMD__LIST_UNITS_RESPONSE__INIT };
        struct arena *arena = rpc_call_arena(call);
        struct manager *manager = userdata;
        size_t most = manager->whitelist.n_units + APPLICATION_INSTANCES_MAX;
        struct application_instance *instance;

        if (!bus_connection(manager->bus)) {
                rpc_call_fail(call, RPC_UNAVAILABLE, "systemd cannot be reached");
                return;
        }
        listing.listed = arena_alloc(arena, most * sizeof(*listing.listed));
        listing.response.units = arena_alloc(arena, most * sizeof(*listing.response.units));
        if (!listing.listed || !listing.response.units) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        for (size_t i = 0; i < manager->whitelist.n_units; i++)
                list_unit(&listing, manager, &manager->whitelist.units[i]);
        LIST_FOREACH(instance, &manager->instances, instances)
                if (instance->shown && instance->up)
                        list_unit(&listing, manager, &instance->unit);
        rpc_call_reply(call, &listing.response.base);
}

static const struct rpc_method methods[] = {
        { .name = "ManageUnit", .handle = manage_unit, .charges = QUOTA_OPERATIONS },
        { .name = "ListUnits", .handle = list_units },
};

const struct rpc_service unit_manage_service = {
        .descriptor = &systemd__unit_manage_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
