/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent-link.h"

#include "defer.h"
#include "log.h"
#include "message-ids.h"
#include "ratelimit.h"
#include "unit-poll.h"

/* While an agent lets us connect but not watch: asked again, each time later. */
#define RETRY_MIN_USEC (1 * USEC_PER_SEC)
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)
/*
 * Changes that one agent may tell in a second; it then waits, by flow control, for the next. Enough for the
 * present state of all its units at once, and a VM that makes noise does not drown those who watch the
 * fleet.
 */
#define CHANGES_PER_SEC (2 * REGISTRY_UNITS_MAX)
/* Units that are told at once that their agent has come or gone, each to the bus and to everybody who
 * watches. */
#define UNITS_AT_ONCE 32
/* Lines in the journal about one agent that comes and goes. */
#define LINES_PER_MINUTE 6

struct agent_link {
        sd_event *event;
        struct registry *registry;
        struct registry_agent *agent;
        struct tls_context *tls;
        struct rpc_channel *channel;
        struct unit_poll *poll;
        struct rpc_client_call *watch;
        sd_event_source *timer; /* to watch again, or to read on */
        sd_event_source *units; /* to tell those that the agent has come or gone */
        uint64_t retry_usec;
        struct ratelimit changes, lines;
        void (*told_ready)(struct registry_agent *agent, void *userdata); /* NULL: nobody asked for it */
        void *userdata;
        bool ready;     /* the channel stands */
        bool connected; /* it has stood before: from then on, its loss is news */
};

static void tell(struct agent_link *link, int priority, const char *message_id, const char *what,
                const char *why) {
        struct log_fields fields = {
                .message_id = message_id,
                .vm = link->agent->vm,
                .unit = link->agent->entry->name,
        };

        if (!ratelimit_pass(&link->lines, NULL))
                return;
        log_event(priority, &fields, "Agent %s %s%s%s", link->agent->entry->name, what,
                        isempty(why) ? "." : ": ", strempty(why));
}

static int on_units(sd_event_source *source, void *userdata) {
        struct agent_link *link = userdata;

        if (registry_tell_online(link->registry, link->agent, UNITS_AT_ONCE))
                defer_again(&link->units, on_units);
        return 0;
}

static void set_online(struct agent_link *link, bool online, const char *why) {
        if (link->agent->online == online)
                return;
        if (!online)
                tell(link, LOG_WARNING, GIVC_MESSAGE_AGENT_LOST, "is lost", why);
        else if (link->connected)
                tell(link, LOG_INFO, GIVC_MESSAGE_AGENT_BACK, "is back", NULL);
        link->connected = link->connected || online;
        registry_set_online(link->registry, link->agent, online);
        defer_again(&link->units, on_units);
}

/* ---- watching ---- */

static void call_later(struct agent_link *link, uint64_t usec) {
        (void) sd_event_source_set_time_relative(link->timer, usec);
        (void) sd_event_source_set_enabled(link->timer, SD_EVENT_ONESHOT);
}

static void watch_message(struct rpc_client_call *call, const ProtobufCMessage *message, void *userdata) {
        const Systemd__UnitStatus *status = (const Systemd__UnitStatus *) message;
        struct agent_link *link = userdata;
        struct registry_entry *unit;

        link->retry_usec = RETRY_MIN_USEC;
        set_online(link, true, NULL);
        unit = registry_find_unit(link->registry, link->agent, status->name);
        if (unit) {
                unit_poll_forget_unit(link->poll, unit);
                registry_set_state(link->registry, unit, status);
        }

        if (!ratelimit_pass(&link->changes, NULL)) {
                rpc_client_set_reading(call, false);
                call_later(link, USEC_PER_SEC);
        }
}

static void watch_later(struct agent_link *link) {
        call_later(link, link->retry_usec);
        link->retry_usec = MIN(link->retry_usec * 2, RETRY_MAX_USEC);
}

static void watch_finished(struct rpc_client_call *call, const struct rpc_status *status, void *userdata) {
        struct agent_link *link = userdata;

        link->watch = NULL;
        if (!link->ready)
                return;
        if (status->code == RPC_UNIMPLEMENTED) {
                unit_poll_start(link->poll);
                return;
        }
        set_online(link, false, isempty(status->message) ? rpc_code_name(status->code) : status->message);
        watch_later(link);
}

static const struct rpc_client_ops watch_ops = {
        .message = watch_message,
        .finished = watch_finished,
};

static void watch(struct agent_link *link) {
        Systemd__WatchUnitsRequest request = SYSTEMD__WATCH_UNITS_REQUEST__INIT;
        struct rpc_client_options options = {};

        if (rpc_channel_call(link->channel, &systemd__unit_watch_service__descriptor, "WatchUnits", &options,
                            &watch_ops, link, &link->watch) < 0) {
                link->watch = NULL;
                watch_later(link);
                return;
        }
        /* The stream begins with the present state of all. */
        unit_poll_forget(link->poll);
        (void) rpc_client_send(link->watch, &request.base);
        rpc_client_half_close(link->watch);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct agent_link *link = userdata;

        if (link->watch)
                rpc_client_set_reading(link->watch, true);
        else if (link->ready)
                watch(link);
        return 0;
}

/* An agent that can only be asked: its silence tells. */
static void poll_heard(bool answered, void *userdata) {
        set_online(userdata, answered, "no answer in time");
}

/* ---- the connection ---- */

static void stop_following(struct agent_link *link) {
        link->ready = false;
        (void) sd_event_source_set_enabled(link->timer, SD_EVENT_OFF);
        unit_poll_set_channel(link->poll, NULL);
        if (link->watch)
                link->watch = rpc_client_cancel(link->watch);
}

static void state_changed(struct rpc_channel *channel, enum rpc_channel_state state, void *userdata) {
        struct agent_link *link = userdata;

        if (state == RPC_CHANNEL_READY) {
                link->ready = true;
                link->retry_usec = RETRY_MIN_USEC;
                set_online(link, true, NULL);
                unit_poll_set_channel(link->poll, channel);
                watch(link);
                if (link->told_ready)
                        link->told_ready(link->agent, link->userdata);
                return;
        }

        /* Connecting anew is not a loss as long as it may succeed; having been connected to it is. */
        if (!link->ready && state != RPC_CHANNEL_FAILED)
                return;
        stop_following(link);
        set_online(link, false, rpc_channel_reason(channel));
}

static int open_channel(struct agent_link *link, struct rpc_channel **ret) {
        const struct registry_transport *transport = &link->agent->transport;
        struct rpc_channel_config config = {
                .tls = link->tls,
                .server_name = link->agent->vm,
                .state_changed = state_changed,
                .userdata = link,
        };
        const char *allowed;
        int r;

        r = rpc_address_from_transport(
                        &config.address, transport->protocol, transport->address, transport->port, &allowed);
        if (r < 0)
                return r;
        return rpc_channel_new(ret, link->event, &config);
}

int agent_link_new(struct agent_link **ret, sd_event *event, struct registry *registry,
                struct registry_agent *agent, struct tls_context *tls) {
        _cleanup_(agent_link_freep) struct agent_link *link = NULL;
        int r;

        link = malloc(sizeof(*link));
        if (!link)
                return -ENOMEM;
        *link = (struct agent_link){
                .event = event,
                .registry = registry,
                .agent = agent,
                .tls = tls ? tls_context_ref(tls) : NULL,
                .retry_usec = RETRY_MIN_USEC,
                .changes = { .interval_usec = USEC_PER_SEC, .burst = CHANGES_PER_SEC },
                .lines = { .interval_usec = 60 * USEC_PER_SEC, .burst = LINES_PER_MINUTE },
        };

        r = sd_event_add_time(event, &link->timer, CLOCK_MONOTONIC, 0, 0, on_timer, link);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(link->timer, SD_EVENT_OFF);
        r = sd_event_add_defer(event, &link->units, on_units, link);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(link->units, SD_EVENT_OFF);
        r = unit_poll_new(&link->poll, event, registry, agent, poll_heard, link);
        if (r < 0)
                return r;
        r = open_channel(link, &link->channel);
        if (r < 0)
                return r;

        rpc_channel_connect(link->channel);
        *ret = TAKE_PTR(link);
        return 0;
}

struct agent_link *agent_link_free(struct agent_link *link) {
        if (!link)
                return NULL;
        sd_event_source_disable_unref(link->timer);
        sd_event_source_disable_unref(link->units);
        unit_poll_free(link->poll);
        if (link->watch)
                rpc_client_cancel(link->watch);
        rpc_channel_free(link->channel);
        if (link->tls)
                tls_context_unref(link->tls);
        free(link);
        return NULL;
}

int agent_link_renew(struct agent_link *link) {
        struct rpc_channel *channel;
        int r;

        r = open_channel(link, &channel);
        if (r < 0)
                return r;
        stop_following(link);
        rpc_channel_free(link->channel);
        link->channel = channel;
        rpc_channel_connect(channel);
        return 0;
}

void agent_link_watch_anew(struct agent_link *link) {
        if (!link->watch)
                return;
        link->watch = rpc_client_cancel(link->watch);
        watch(link);
}

void agent_link_set_ready(struct agent_link *link,
                void (*ready)(struct registry_agent *agent, void *userdata), void *userdata) {
        link->told_ready = ready;
        link->userdata = userdata;
}

void agent_link_set_tls(struct agent_link *link, struct tls_context *tls) {
        if (link->tls)
                tls_context_unref(link->tls);
        link->tls = tls ? tls_context_ref(tls) : NULL;
        rpc_channel_set_tls(link->channel, tls);
}

void agent_link_unit_added(struct agent_link *link) {
        if (link->ready)
                unit_poll_kick(link->poll);
}

bool agent_link_is_pushed(const struct agent_link *link) {
        return link->watch;
}

bool agent_link_is_ready(const struct agent_link *link) {
        return link->ready;
}

struct rpc_channel *agent_link_channel(struct agent_link *link) {
        return link->channel;
}
