/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "agent-link.h"
#include "answer.h"
#include "arena.h"
#include "delivery.h"
#include "forward.h"
#include "log.h"
#include "manager.h"
#include "settings.h"

#include <stdio.h>

/* So much of the caller's time is left for telling it which agents have not answered. */
#define ANSWER_LEFT_USEC (250 * USEC_PER_MSEC)
/* A reason in the answer, what is said of one agent, and the answer: it names as many as it holds. */
#define REASON_MAX      200
#define FAILURE_ONE_MAX (REASON_MAX + REGISTRY_NAME_MAX + 32)
#define FAILURE_MAX     2048

/* One agent that is told. */
struct target {
        struct spread *spread;
        const char *vm;
        struct rpc_client_call *pending;
        enum rpc_code code; /* how it ended */
        char *reason;
};

/* A setting that goes to all agents at once; in the call's arena. */
struct spread {
        struct manager *manager;
        struct rpc_call *call;
        enum setting setting;
        uint64_t serial; /* of what was stored */
        size_t n_targets, n_pending, n_failed;
        struct target targets[];
};

/* ---- the end ---- */

static bool fail_alike(const struct target *a, const struct target *b) {
        return a->code != RPC_OK && b->code != RPC_OK && streq(strempty(a->reason), strempty(b->reason));
}

/* " givc-app-vm.service, givc-net-vm.service: …;", of all that fail as the i-th does, who is the first. */
static size_t describe_alike(const struct spread *spread, size_t i, char *text, size_t size) {
        const struct target *target = &spread->targets[i];
        size_t n = 0;

        for (size_t k = 0; k < i; k++)
                if (fail_alike(&spread->targets[k], target))
                        return 0;
        for (size_t k = i; k < spread->n_targets && n + FAILURE_ONE_MAX < size; k++)
                if (fail_alike(&spread->targets[k], target))
                        n += (size_t) snprintf(text + n, size - n, "%s givc-%s.service", n > 0 ? "," : "",
                                        spread->targets[k].vm);
        return n + (size_t) snprintf(text + n, size - n, ": %s;", strempty(target->reason));
}

/*
 * "the locale is stored, but not set in 2 of 5 machines: givc-app-vm.service, givc-net-vm.service: …", or
 * "the locale stays as it was, none of 5 machines has that one: …"
 */
static void describe_failures(const struct spread *spread, bool undone, char text[static FAILURE_MAX]) {
        const char *name = settings_name(spread->setting);
        size_t n;

        if (undone)
                n = (size_t) snprintf(text, FAILURE_MAX,
                                "the %s stays as it was, none of %zu machines has that one:", name,
                                spread->n_targets);
        else
                n = (size_t) snprintf(text, FAILURE_MAX,
                                "the %s is stored, but not set in %zu of %zu machines:", name,
                                spread->n_failed, spread->n_targets);
        for (size_t i = 0; i < spread->n_targets && n + FAILURE_ONE_MAX < FAILURE_MAX; i++)
                if (spread->targets[i].code != RPC_OK)
                        n += describe_alike(spread, i, text + n, FAILURE_MAX - n);
        text[n - 1] = '\0';
}

static enum rpc_code first_failure(const struct spread *spread) {
        for (size_t i = 0; i < spread->n_targets; i++)
                if (spread->targets[i].code != RPC_OK)
                        return spread->targets[i].code;
        return RPC_OK;
}

static bool is_target(const struct spread *spread, const char *vm) {
        for (size_t i = 0; i < spread->n_targets; i++)
                if (streq(spread->targets[i].vm, vm))
                        return true;
        return false;
}

/* Who has come meanwhile was told what is not so any more. */
static void tell_others(const struct spread *spread) {
        struct manager *manager = spread->manager;
        struct registry_agent *agent;

        LIST_FOREACH(agent, registry_agents(manager->registry), agents)
                if (!is_target(spread, agent->vm))
                        deliveries_begin(manager->deliveries, agent->vm, spread->setting);
}

/*
 * A name that is well formed, but that no machine knows, is a typing error: it is not to be what those are
 * told who come later. Which names there are the machines know; there may be none on ours.
 */
static bool undo_if_unknown(const struct spread *spread) {
        int r;

        for (size_t i = 0; i < spread->n_targets; i++)
                if (spread->targets[i].code != RPC_INVALID_ARGUMENT)
                        return false;
        r = settings_undo(spread->manager->settings, spread->setting, spread->serial);
        if (r < 0 && r != -ESTALE)
                (void) log_warning_errno(r, "Cannot put the former %s back", settings_name(spread->setting));
        if (r >= 0)
                tell_others(spread);
        return r >= 0;
}

static void finish(struct spread *spread) {
        const struct log_fields fields = {
                .method = rpc_call_path(spread->call) + 1,
                .peer = rpc_call_peer(spread->call)->name,
                .status = rpc_code_name(first_failure(spread)),
        };
        Admin__Empty empty = ADMIN__EMPTY__INIT;
        char failures[FAILURE_MAX];
        bool undone;

        undone = spread->n_failed > 0 && undo_if_unknown(spread);
        if (!undone)
                settings_settle(spread->manager->settings, spread->setting, spread->serial);
        if (spread->n_failed == 0) {
                rpc_call_log(spread->call, LOG_INFO, &fields, "%s: the %s is set in %zu machines.",
                                fields.peer, settings_name(spread->setting), spread->n_targets);
                rpc_call_reply(spread->call, &empty.base);
                return;
        }
        describe_failures(spread, undone, failures);
        rpc_call_log(spread->call, LOG_WARNING, &fields, "%s: %s", fields.peer, failures);
        answer_fail(spread->call, first_failure(spread), "%s", failures);
}

/* As much of a reason as is told; characters stay whole. */
static size_t reason_length(const char *reason) {
        size_t n = strnlen(reason, REASON_MAX);

        while (n > 0 && ((uint8_t) reason[n] & 0xC0) == 0x80)
                n--;
        return n;
}

/* Those that could not be reached are told later: the caller has heard that it is stored. */
static void target_failed(struct target *target, const struct rpc_status *status) {
        const char *reason = isempty(status->message) ? rpc_code_name(status->code) : status->message;
        struct spread *spread = target->spread;

        target->code = status->code;
        target->reason = arena_memdup_text(rpc_call_arena(spread->call), reason, reason_length(reason));
        spread->n_failed++;
        if (status->code == RPC_UNAVAILABLE || status->code == RPC_DEADLINE_EXCEEDED)
                deliveries_begin(spread->manager->deliveries, target->vm, spread->setting);
}

static void target_told(const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        struct target *target = userdata;
        struct spread *spread = target->spread;

        target->pending = NULL;
        /* Cancelled: it has left, or comes back this moment, and then it is told. */
        if (status->code != RPC_OK && status->code != RPC_CANCELLED)
                target_failed(target, status);
        spread->n_pending--;
        if (spread->n_pending == 0)
                finish(spread);
}

/* The caller does not wait any more. What it has set stays set, so the agents are told all the same. */
static void call_gone(_unused_ struct rpc_call *call, void *userdata) {
        struct spread *spread = userdata;

        settings_settle(spread->manager->settings, spread->setting, spread->serial);
        for (size_t i = 0; i < spread->n_targets; i++) {
                struct target *target = &spread->targets[i];

                if (!target->pending)
                        continue;
                target->pending = rpc_client_cancel(target->pending);
                deliveries_begin(spread->manager->deliveries, target->vm, spread->setting);
        }
}

/* ---- telling all ---- */

static bool is_reachable(const struct registry_agent *agent) {
        return agent->link && agent->online;
}

static struct spread *spread_new(struct manager *manager, struct rpc_call *call, enum setting setting) {
        struct arena *arena = rpc_call_arena(call);
        struct registry_agent *agent;
        struct spread *spread;
        size_t n = 0;

        LIST_FOREACH(agent, registry_agents(manager->registry), agents)
                n += is_reachable(agent);
        spread = arena_alloc0(arena, sizeof(*spread) + n * sizeof(spread->targets[0]));
        if (!spread)
                return NULL;
        LIST_FOREACH(agent, registry_agents(manager->registry), agents) {
                struct target *target = &spread->targets[spread->n_targets];

                if (!is_reachable(agent))
                        continue;
                target->vm = arena_strdup(arena, agent->vm);
                if (!target->vm)
                        return NULL;
                target->spread = spread;
                spread->n_targets++;
        }
        spread->manager = manager;
        spread->call = call;
        spread->setting = setting;
        spread->serial = settings_serial(manager->settings, setting);
        return spread;
}

static void tell_target(struct target *target, uint64_t deadline_usec) {
        struct spread *spread = target->spread;
        struct registry_agent *agent = registry_find_agent(spread->manager->registry, target->vm);
        const struct rpc_status out_of_memory = {
                .code = RPC_RESOURCE_EXHAUSTED,
                .message = "it cannot be called now",
        };

        if (settings_send(spread->manager->settings, spread->setting, agent_link_channel(agent->link),
                            deadline_usec, target_told, target, &target->pending) < 0)
                target_failed(target, &out_of_memory);
        else
                spread->n_pending++;
}

/* All at once, and so that who does not answer can still be named. */
static void tell_all(struct manager *manager, struct rpc_call *call, enum setting setting) {
        static const struct rpc_call_ops ops = { .gone = call_gone };
        uint64_t now = now_usec(CLOCK_MONOTONIC), deadline = forward_deadline(call);
        struct spread *spread;

        spread = spread_new(manager, call, setting);
        if (!spread) {
                settings_settle(manager->settings, setting, settings_serial(manager->settings, setting));
                answer_fail(call, RPC_RESOURCE_EXHAUSTED,
                                "out of memory: the %s is stored, but nobody was told",
                                settings_name(setting));
                return;
        }
        if (deadline > now)
                deadline -= MIN(ANSWER_LEFT_USEC, (deadline - now) / 2);
        for (size_t i = 0; i < spread->n_targets; i++)
                tell_target(&spread->targets[i], deadline);
        if (spread->n_pending == 0)
                finish(spread);
        else
                rpc_call_set_ops(call, &ops, spread);
}

/* ---- the calls ---- */

static void stored(struct manager *manager, struct rpc_call *call, enum setting setting, int error) {
        if (error < 0)
                answer_fail(call, RPC_INTERNAL, "cannot store the %s in %s: %s", settings_name(setting),
                                settings_directory(manager->settings), strerror(-error));
        else
                tell_all(manager, call, setting);
}

/* Whether the caller may change one more; else the call has ended. */
static bool may_change(struct manager *manager, struct rpc_call *call) {
        if (peer_limit_pass(&manager->changes, rpc_call_peer(call)->name))
                return true;
        answer_fail(call, RPC_RESOURCE_EXHAUSTED, "at most %u settings a minute: wait", CHANGES_PER_MINUTE);
        return false;
}

/* SetLocale: kept for those who come later; then all agents that are there are told. */
void op_set_locale(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__LocaleRequest *request = (const Admin__LocaleRequest *) message;
        const char *wrong = settings_check_locale(request);
        struct manager *manager = userdata;

        if (wrong)
                answer_fail(call, RPC_INVALID_ARGUMENT, "%s", wrong);
        else if (may_change(manager, call))
                stored(manager, call, SETTING_LOCALE, settings_set_locale(manager->settings, request));
}

/* SetTimezone: likewise. */
void op_set_timezone(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__TimezoneRequest *request = (const Admin__TimezoneRequest *) message;
        const char *wrong = settings_check_timezone(request);
        struct manager *manager = userdata;

        if (wrong)
                answer_fail(call, RPC_INVALID_ARGUMENT, "%s", wrong);
        else if (may_change(manager, call))
                stored(manager, call, SETTING_TIMEZONE, settings_set_timezone(manager->settings, request));
}
