/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "delivery.h"

#include "agent-link.h"
#include "log.h"
#include "message-ids.h"

/* What an agent may take for one: it may have to start a service, which may have to make a locale. */
#define ANSWER_USEC (60 * USEC_PER_SEC)
/* A machine that boots has its D-Bus a moment later. */
#define RETRY_MIN_USEC (1 * USEC_PER_SEC)
#define RETRY_MAX_USEC (60 * USEC_PER_SEC)

struct deliveries {
        sd_event *event;
        struct registry *registry;
        struct settings *settings;
        struct list deliveries;
};

/* One setting on its way to one agent: at most one for each pair of them. */
struct delivery {
        struct list deliveries;
        struct deliveries *owner;
        enum setting setting;
        struct rpc_client_call *pending; /* NULL: it waits to try again */
        sd_event_source *timer;
        uint64_t retry_usec;
        char vm[];
};

static void delivery_free(struct delivery *delivery) {
        list_remove(&delivery->deliveries);
        if (delivery->pending)
                rpc_client_cancel(delivery->pending);
        sd_event_source_disable_unref(delivery->timer);
        free(delivery);
}

static void tell_failure(const struct delivery *delivery, const struct rpc_status *status) {
        const struct log_fields fields = {
                .message_id = GIVC_MESSAGE_SETTING_REFUSED,
                .vm = delivery->vm,
                .status = rpc_code_name(status->code),
        };

        log_event(LOG_WARNING, &fields, "The %s could not be set in %s: %s",
                        settings_name(delivery->setting), delivery->vm,
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
}

static void delivered(const struct rpc_status *status, const ProtobufCMessage *response, void *userdata) {
        struct delivery *delivery = userdata;

        delivery->pending = NULL;
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
        delivery_free(delivery);
}

static void deliver(struct delivery *delivery) {
        struct deliveries *owner = delivery->owner;
        struct registry_agent *agent = registry_find_agent(owner->registry, delivery->vm);

        if (!agent || !agent->link || !agent->online) {
                delivery_free(delivery);
                return;
        }
        if (settings_send(owner->settings, delivery->setting, agent_link_channel(agent->link),
                            now_usec(CLOCK_MONOTONIC) + ANSWER_USEC, delivered, delivery,
                            &delivery->pending) < 0)
                retry_later(delivery);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        deliver(userdata);
        return 0;
}

static struct delivery *find(struct deliveries *deliveries, const char *vm, enum setting setting) {
        struct delivery *delivery;

        LIST_FOREACH(delivery, &deliveries->deliveries, deliveries)
                if (delivery->setting == setting && streq(delivery->vm, vm))
                        return delivery;
        return NULL;
}

void deliveries_begin(struct deliveries *deliveries, const char *vm, enum setting setting) {
        struct delivery *delivery = find(deliveries, vm, setting);
        size_t n = strlen(vm) + 1;

        if (delivery)
                delivery_free(delivery);
        if (!settings_has(deliveries->settings, setting))
                return;

        delivery = calloc(1, sizeof(*delivery) + n);
        if (!delivery) {
                log_error("Out of memory: %s is not told the %s.", vm, settings_name(setting));
                return;
        }
        memcpy(delivery->vm, vm, n);
        delivery->owner = deliveries;
        delivery->setting = setting;
        delivery->retry_usec = RETRY_MIN_USEC;
        list_append(&deliveries->deliveries, &delivery->deliveries);
        if (sd_event_add_time(deliveries->event, &delivery->timer, CLOCK_MONOTONIC, 0, 0, on_timer,
                            delivery) < 0) {
                log_error("Out of memory: %s is not told the %s.", vm, settings_name(setting));
                delivery_free(delivery);
                return;
        }
        (void) sd_event_source_set_enabled(delivery->timer, SD_EVENT_OFF);
        deliver(delivery);
}

void deliveries_begin_all(struct deliveries *deliveries, const char *vm) {
        for (int setting = 0; setting < _SETTING_MAX; setting++)
                deliveries_begin(deliveries, vm, (enum setting) setting);
}

int deliveries_new(struct deliveries **ret, sd_event *event, struct registry *registry,
                struct settings *settings) {
        struct deliveries *deliveries;

        deliveries = calloc(1, sizeof(*deliveries));
        if (!deliveries)
                return -ENOMEM;
        deliveries->event = event;
        deliveries->registry = registry;
        deliveries->settings = settings;
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
