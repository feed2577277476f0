/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "delivery.h"

#include "agent-link.h"
#include "log.h"
#include "message-ids.h"
#include "policy-send.h"

/* What an agent may take for one: it may have to start a service, which may have to make a locale. */
#define ANSWER_USEC (60 * USEC_PER_SEC)
/* A machine that boots has its D-Bus a moment later. */
#define RETRY_MIN_USEC (1 * USEC_PER_SEC)
#define RETRY_MAX_USEC (60 * USEC_PER_SEC)
/* Policies that are on their way to one agent at a time: each is an open file, and what is sent ahead. */
#define SENDING_MAX 4

struct deliveries {
        sd_event *event;
        struct registry *registry;
        struct settings *settings;
        const struct policies *policies;
        struct list deliveries;
};

/* One setting or policy on its way to one agent: at most one for each pair of them. */
struct delivery {
        struct list deliveries;
        struct deliveries *owner;
        const struct policy *policy; /* NULL: it is a setting */
        enum setting setting;
        struct rpc_client_call *pending; /* of a setting; NULL: it waits to try again */
        struct policy_send *sending;     /* of a policy; likewise */
        bool queued;                     /* it waits until others have been sent */
        sd_event_source *timer;
        uint64_t retry_usec;
        char vm[];
};

/* Of those policies that wait until others have been sent to that VM, one tries; it may have to wait on. */
static void try_next(struct deliveries *deliveries, const char *vm) {
        struct delivery *delivery;

        LIST_FOREACH(delivery, &deliveries->deliveries, deliveries)
                if (delivery->queued && streq(delivery->vm, vm)) {
                        delivery->queued = false;
                        (void) sd_event_source_set_time(delivery->timer, 0);
                        (void) sd_event_source_set_enabled(delivery->timer, SD_EVENT_ONESHOT);
                        return;
                }
}

static void delivery_free(struct delivery *delivery) {
        list_remove(&delivery->deliveries);
        if (delivery->pending)
                rpc_client_cancel(delivery->pending);
        policy_send_free(delivery->sending);
        sd_event_source_disable_unref(delivery->timer);
        try_next(delivery->owner, delivery->vm);
        free(delivery);
}

/* Whether one line more about it may go into the journal: an agent can be lost and come back, and refuse all
 * of them, as often as it likes. */
static bool may_tell(const struct delivery *delivery) {
        struct registry_agent *agent = registry_find_agent(delivery->owner->registry, delivery->vm);

        return agent && ratelimit_pass(&agent->limits.deliveries, NULL);
}

static void tell_failure(const struct delivery *delivery, const struct rpc_status *status) {
        const struct policy *policy = delivery->policy;
        const struct log_fields fields = {
                .message_id = policy ? GIVC_MESSAGE_POLICY_NOT_TAKEN : GIVC_MESSAGE_SETTING_REFUSED,
                .vm = delivery->vm,
                .status = rpc_code_name(status->code),
        };

        if (!may_tell(delivery))
                return;
        log_event(LOG_WARNING, &fields, "The %s%s could not be set in %s: %s", policy ? "policy " : "",
                        policy ? policy->name : settings_name(delivery->setting), delivery->vm,
                        isempty(status->message) ? fields.status : status->message);
}

/* What passes by itself; whoever has lost us, or left, gets it when it is there again. */
static bool is_worth_retrying(const struct delivery *delivery, const struct rpc_status *status) {
        const struct registry_agent *agent = registry_find_agent(delivery->owner->registry, delivery->vm);

        return agent && agent->online &&
                        (status->code == RPC_UNAVAILABLE || status->code == RPC_DEADLINE_EXCEEDED ||
                                        status->code == RPC_RESOURCE_EXHAUSTED);
}

static void retry_later(struct delivery *delivery) {
        (void) sd_event_source_set_time_relative(delivery->timer, delivery->retry_usec);
        (void) sd_event_source_set_enabled(delivery->timer, SD_EVENT_ONESHOT);
        delivery->retry_usec = MIN(delivery->retry_usec * 2, RETRY_MAX_USEC);
        try_next(delivery->owner, delivery->vm);
}

static void delivery_ended(struct delivery *delivery, const struct rpc_status *status) {
        if (is_worth_retrying(delivery, status)) {
                /* At the first time, it is how a machine boots. */
                if (delivery->retry_usec == 2 * RETRY_MIN_USEC)
                        tell_failure(delivery, status);
                retry_later(delivery);
                return;
        }
        if (status->code != RPC_OK && status->code != RPC_UNAVAILABLE && status->code != RPC_CANCELLED &&
                        status->code != RPC_UNIMPLEMENTED)
                tell_failure(delivery, status);
        if (status->code == RPC_OK && delivery->policy && may_tell(delivery))
                log_info("%s has the policy %s.", delivery->vm, delivery->policy->name);
        delivery_free(delivery);
}

static void setting_delivered(
                const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        struct delivery *delivery = userdata;

        delivery->pending = NULL;
        delivery_ended(delivery, status);
}

static void policy_delivered(const struct rpc_status *status, void *userdata) {
        struct delivery *delivery = userdata;

        delivery->sending = policy_send_free(delivery->sending);
        delivery_ended(delivery, status);
}

static bool may_send(const struct delivery *delivery) {
        const struct delivery *other;
        size_t n = 0;

        LIST_FOREACH(other, &delivery->owner->deliveries, deliveries)
                n += other->sending && streq(other->vm, delivery->vm);
        return n < SENDING_MAX;
}

/* A policy without a file is not sent: there may be one later, and then we are told. */
static void deliver_policy(struct delivery *delivery, struct rpc_channel *channel) {
        struct deliveries *owner = delivery->owner;
        int r;

        delivery->queued = !may_send(delivery);
        if (delivery->queued)
                return;
        r = policy_send_new(&delivery->sending, owner->policies, delivery->policy, channel,
                        now_usec(CLOCK_MONOTONIC) + ANSWER_USEC, policy_delivered, delivery);
        if (r == -ENOMEM || r == -ECANCELED) {
                retry_later(delivery);
                return;
        }
        if (r < 0) {
                if (may_tell(delivery))
                        (void) log_warning_errno(r, "The policy %s cannot be read below %s",
                                        delivery->policy->name, owner->policies->directory);
                delivery_free(delivery);
        }
}

static void deliver(struct delivery *delivery) {
        struct deliveries *owner = delivery->owner;
        struct registry_agent *agent = registry_find_agent(owner->registry, delivery->vm);

        if (!agent || !agent->link || !agent->online) {
                delivery_free(delivery);
                return;
        }
        if (delivery->policy) {
                deliver_policy(delivery, agent_link_channel(agent->link));
                return;
        }
        if (settings_send(owner->settings, delivery->setting, agent_link_channel(agent->link),
                            now_usec(CLOCK_MONOTONIC) + ANSWER_USEC, setting_delivered, delivery,
                            &delivery->pending) < 0)
                retry_later(delivery);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        deliver(userdata);
        return 0;
}

/* policy NULL: the setting. */
static struct delivery *find(struct deliveries *deliveries, const char *vm, const struct policy *policy,
                enum setting setting) {
        struct delivery *delivery;

        LIST_FOREACH(delivery, &deliveries->deliveries, deliveries)
                if (delivery->policy == policy && delivery->setting == setting && streq(delivery->vm, vm))
                        return delivery;
        return NULL;
}

static void begin(struct deliveries *deliveries, const char *vm, const struct policy *policy,
                enum setting setting) {
        const char *name = policy ? policy->name : settings_name(setting);
        size_t n = strlen(vm) + 1;
        struct delivery *delivery;

        delivery = calloc(1, sizeof(*delivery) + n);
        if (!delivery) {
                log_error("Out of memory: %s is not told the %s.", vm, name);
                return;
        }
        memcpy(delivery->vm, vm, n);
        delivery->owner = deliveries;
        delivery->policy = policy;
        delivery->setting = setting;
        delivery->retry_usec = RETRY_MIN_USEC;
        list_append(&deliveries->deliveries, &delivery->deliveries);
        if (sd_event_add_time(deliveries->event, &delivery->timer, CLOCK_MONOTONIC, 0, 0, on_timer,
                            delivery) < 0) {
                log_error("Out of memory: %s is not told the %s.", vm, name);
                delivery_free(delivery);
                return;
        }
        (void) sd_event_source_set_enabled(delivery->timer, SD_EVENT_OFF);
        deliver(delivery);
}

void deliveries_begin(struct deliveries *deliveries, const char *vm, enum setting setting) {
        struct delivery *delivery = find(deliveries, vm, NULL, setting);

        if (delivery)
                delivery_free(delivery);
        if (settings_has(deliveries->settings, setting))
                begin(deliveries, vm, NULL, setting);
}

void deliveries_begin_policy(struct deliveries *deliveries, const char *vm, const struct policy *policy) {
        struct delivery *delivery = find(deliveries, vm, policy, 0);

        if (delivery)
                delivery_free(delivery);
        if (policy_is_for(policy, vm))
                begin(deliveries, vm, policy, 0);
}

void deliveries_begin_policies(struct deliveries *deliveries, const char *vm) {
        const struct policies *policies = deliveries->policies;

        for (size_t i = 0; policies && i < policies->n_policies; i++)
                deliveries_begin_policy(deliveries, vm, &policies->policies[i]);
}

void deliveries_begin_all(struct deliveries *deliveries, const char *vm) {
        deliveries_begin_policies(deliveries, vm);
        for (int setting = 0; setting < _SETTING_MAX; setting++)
                deliveries_begin(deliveries, vm, (enum setting) setting);
}

int deliveries_new(struct deliveries **ret, sd_event *event, struct registry *registry,
                struct settings *settings, const struct policies *policies) {
        struct deliveries *deliveries;

        deliveries = calloc(1, sizeof(*deliveries));
        if (!deliveries)
                return -ENOMEM;
        deliveries->event = event;
        deliveries->registry = registry;
        deliveries->settings = settings;
        deliveries->policies = policies;
        list_init(&deliveries->deliveries);
        *ret = deliveries;
        return 0;
}

struct deliveries *deliveries_free(struct deliveries *deliveries) {
        struct delivery *delivery, *next;

        if (!deliveries)
                return NULL;
        LIST_FOREACH_SAFE(delivery, next, &deliveries->deliveries, deliveries)
                delivery_free(delivery);
        free(deliveries);
        return NULL;
}
