/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-poll.h"

/* As often as deployed admins ask. */
#define INTERVAL_USEC (5 * USEC_PER_SEC)
/* One answer: a stuck VM holds up nobody but itself, and is noticed. */
#define DEADLINE_USEC (5 * USEC_PER_SEC)
/* An agent that has just begun may not have reached its systemd yet. */
#define RETRY_USEC (1 * USEC_PER_SEC)

struct unit_poll {
        struct registry *registry;
        struct registry_agent *agent;
        struct rpc_channel *channel; /* NULL: no connection */
        struct rpc_client_call *call;
        char asked[REGISTRY_NAME_MAX + 1]; /* for whose state the call asks; "": it is known by now */
        sd_event_source *timer;
        bool always; /* all of them, again and again */
        void (*heard)(bool answered, void *userdata);
        void *userdata;
};

/* The next stale unit, which then counts as asked and goes to the end of its agent's list; or NULL. */
static struct registry_entry *take_stale(struct registry_agent *agent) {
        struct registry_entry *unit;

        if (agent->entry->stale) {
                agent->entry->stale = false;
                return agent->entry;
        }
        unit = LIST_FIRST(&agent->units, struct registry_entry, units);
        if (!unit || !unit->stale)
                return NULL;
        unit->stale = false;
        list_remove(&unit->units);
        list_append(&agent->units, &unit->units);
        return unit;
}

static void set_all_stale(struct registry_agent *agent, bool stale) {
        struct registry_entry *unit;

        agent->entry->stale = stale;
        LIST_FOREACH(unit, &agent->units, units)
                unit->stale = stale;
}

/* To be asked for next. */
static void set_stale(struct registry_entry *unit) {
        if (unit != unit->agent->entry) {
                list_remove(&unit->units);
                list_append(unit->agent->units.next, &unit->units);
        }
        unit->stale = true;
}

/* The unit that was asked for, whose state was not told, will be asked for again; all of them are, anyway, of
 * an agent that cannot push. */
static void retry_later(struct unit_poll *poll) {
        struct registry_entry *unit = registry_find_unit(poll->registry, poll->agent, poll->asked);

        if (!unit || poll->always)
                return;
        set_stale(unit);
        (void) sd_event_source_set_time_relative(poll->timer, RETRY_USEC);
        (void) sd_event_source_set_enabled(poll->timer, SD_EVENT_ONESHOT);
}

/* What became of a unit that its agent does not know any more. */
static void unit_is_unknown(struct unit_poll *poll, struct registry_entry *unit) {
        Systemd__UnitStatus gone = SYSTEMD__UNIT_STATUS__INIT;

        /* A deployed agent says so of an application that has ended; of what it merely does not show, too.
         */
        if (unit->type.service != COMPONENT_APP)
                return;
        gone.loadstate = (char *) "not-found";
        gone.activestate = (char *) "inactive";
        gone.substate = (char *) "dead";
        registry_set_state(poll->registry, unit, &gone);
}

static void answered(const struct rpc_status *status, const ProtobufCMessage *message, void *userdata) {
        const Systemd__UnitResponse *response = (const Systemd__UnitResponse *) message;
        struct unit_poll *poll = userdata;
        struct registry_entry *unit;

        poll->call = NULL;
        if (status->code == RPC_CANCELLED || status->code == RPC_UNAVAILABLE) {
                retry_later(poll); /* unless the connection is gone, which its owner hears as well */
                return;
        }
        if (status->code == RPC_DEADLINE_EXCEEDED) {
                retry_later(poll);
                poll->heard(false, poll->userdata);
                return; /* the rest of the round would not fare better */
        }
        poll->heard(true, poll->userdata);

        unit = registry_find_unit(poll->registry, poll->agent, poll->asked);
        if (unit && status->code == RPC_OK && response->unitstatus)
                registry_set_state(poll->registry, unit, response->unitstatus);
        else if (unit && status->code == RPC_NOT_FOUND)
                unit_is_unknown(poll, unit);
        unit_poll_kick(poll);
}

void unit_poll_kick(struct unit_poll *poll) {
        struct rpc_client_options options = {
                .deadline_usec = usec_add(now_usec(CLOCK_MONOTONIC), DEADLINE_USEC),
        };
        Systemd__UnitRequest request = SYSTEMD__UNIT_REQUEST__INIT;
        struct registry_entry *unit;

        if (!poll->channel || poll->call)
                return;
        unit = take_stale(poll->agent);
        if (!unit)
                return;

        memcpy(poll->asked, unit->name, strlen(unit->name) + 1);
        request.unitname = poll->asked;
        if (rpc_channel_unary(poll->channel, &systemd__unit_control_service__descriptor, "GetUnitStatus",
                            &request.base, &options, answered, poll, &poll->call) < 0)
                poll->call = NULL;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct unit_poll *poll = userdata;

        if (!poll->always) {
                unit_poll_kick(poll);
                return 0;
        }
        (void) sd_event_source_set_time_relative(source, INTERVAL_USEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        /* While a round is under way it goes on: an agent that is slow is not asked more, but less often. */
        if (!poll->call) {
                set_all_stale(poll->agent, true);
                unit_poll_kick(poll);
        }
        return 0;
}

int unit_poll_new(struct unit_poll **ret, sd_event *event, struct registry *registry,
                struct registry_agent *agent, void (*heard)(bool answered, void *userdata), void *userdata) {
        _cleanup_(unit_poll_freep) struct unit_poll *poll = NULL;
        int r;

        poll = malloc(sizeof(*poll));
        if (!poll)
                return -ENOMEM;
        *poll = (struct unit_poll){
                .registry = registry,
                .agent = agent,
                .heard = heard,
                .userdata = userdata,
        };
        r = sd_event_add_time(event, &poll->timer, CLOCK_MONOTONIC, 0, 0, on_timer, poll);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(poll->timer, SD_EVENT_OFF);
        *ret = TAKE_PTR(poll);
        return 0;
}

struct unit_poll *unit_poll_free(struct unit_poll *poll) {
        if (!poll)
                return NULL;
        sd_event_source_disable_unref(poll->timer);
        if (poll->call)
                rpc_client_cancel(poll->call);
        free(poll);
        return NULL;
}

void unit_poll_set_channel(struct unit_poll *poll, struct rpc_channel *channel) {
        if (poll->call)
                poll->call = rpc_client_cancel(poll->call);
        (void) sd_event_source_set_enabled(poll->timer, SD_EVENT_OFF);
        poll->always = false;
        poll->channel = channel;
}

void unit_poll_start(struct unit_poll *poll) {
        poll->always = true;
        (void) sd_event_source_set_time(poll->timer, 0);
        (void) sd_event_source_set_enabled(poll->timer, SD_EVENT_ONESHOT);
}

void unit_poll_forget(struct unit_poll *poll) {
        struct registry_entry *unit, *next;

        set_all_stale(poll->agent, false);
        LIST_FOREACH_SAFE(unit, next, &poll->agent->units, units)
                if (unit->type.service == COMPONENT_APP)
                        set_stale(unit);
        unit_poll_kick(poll);
}

void unit_poll_forget_unit(struct unit_poll *poll, struct registry_entry *unit) {
        if (unit->stale && unit != poll->agent->entry) {
                list_remove(&unit->units);
                list_append(&poll->agent->units, &unit->units);
        }
        unit->stale = false;
        if (streq(poll->asked, unit->name))
                poll->asked[0] = '\0';
}
