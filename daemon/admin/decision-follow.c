/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "decision-follow.h"

#include "agent-link.h"
#include "forward.h"
#include "log.h"
#include "ratelimit.h"

/* Between attempts, while the connection stands: an agent that ends the stream again and again. */
#define RETRY_MIN_USEC (1 * USEC_PER_SEC)
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)
/* Decisions of one agent that are passed on in a second; it then waits, by flow control, for the next. As
 * many as ten peers can cause that do not stop. */
#define DECISIONS_PER_SEC 50
/* One is some hundred bytes, and a path of a file. */
#define ITEM_BYTES_MAX ((size_t) 16 * 1024)

/* Permits have a stream of their own, so that they can come and go without a gap in the other. */
enum { DENIALS, PERMITS, STREAMS };

struct decision_follow {
        struct registry *registry;
        struct decision_watchers *watchers;
        struct list followers;
        sd_event *event;
        sd_event_source *update; /* at the next turn of the loop: others may be wanted */
};

struct follower {
        struct list followers;
        struct decision_follow *follow;
        struct registry_agent *agent;
        struct rpc_client_call *streams[STREAMS]; /* NULL: not open */
        bool refused[STREAMS];  /* it will not: asked again with the next watcher, or connection */
        bool permits;           /* somebody wants them */
        sd_event_source *timer; /* to read on, or to try again */
        uint64_t retry_usec;
        struct ratelimit decisions;
        bool told, followed; /* how it stands, if watchers were told so */
        char *reason;        /* NULL: none */
};

/* ---- how it stands ---- */

static void fill_source(struct follower *follower, Access__DecisionSource *source) {
        access__decision_source__init(source);
        source->vmname = follower->agent->vm;
        source->daemon = (char *) "givc-agent";
        source->followed = follower->followed;
        source->reason = (char *) strempty(follower->reason);
}

/* What it tells may end watchers, but no follower: that is done at the next turn. */
static void set_state(struct follower *follower, bool followed, const char *reason) {
        Access__DecisionSource source;

        if (follower->told && follower->followed == followed &&
                        streq(strempty(follower->reason), strempty(reason)))
                return;
        follower->told = true;
        follower->followed = followed;
        free(follower->reason);
        follower->reason = isempty(reason) ? NULL : strdup(reason);
        fill_source(follower, &source);
        decision_watchers_tell_source(follower->follow->watchers, &source);
}

static void call_later(struct follower *follower, uint64_t usec) {
        (void) sd_event_source_set_time_relative(follower->timer, usec);
        (void) sd_event_source_set_enabled(follower->timer, SD_EVENT_ONESHOT);
}

static void close_streams(struct follower *follower) {
        for (size_t i = 0; i < STREAMS; i++)
                if (follower->streams[i])
                        follower->streams[i] = rpc_client_cancel(follower->streams[i]);
}

/* ---- from the agent ---- */

static size_t which(const struct follower *follower, const struct rpc_client_call *stream) {
        return follower->streams[PERMITS] == stream ? PERMITS : DENIALS;
}

/* Under the name that we know the agent by, whatever it says. */
static void pass_on(struct follower *follower, const Access__WatchDecisionsItem *item) {
        Access__WatchDecisionsItem passed_on = *item;
        Access__Decision decision;
        Access__Refusal refusal;
        Access__Untold untold;

        if (item->item_case == ACCESS__WATCH_DECISIONS_ITEM__ITEM_DECISION) {
                decision = *item->decision;
                passed_on.decision = &decision;
        } else if (item->item_case == ACCESS__WATCH_DECISIONS_ITEM__ITEM_REFUSAL) {
                refusal = *item->refusal;
                passed_on.refusal = &refusal;
        } else {
                untold = *item->untold;
                passed_on.untold = &untold;
        }
        decision_watchers_tell(follower->follow->watchers, follower->agent->vm, "givc-agent", &passed_on);
}

/* What is passed on of that stream: the agent tells denials in both. */
static bool is_passed_on(const Access__WatchDecisionsItem *item, size_t stream) {
        switch (item->item_case) {
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_DECISION:
                return !item->decision->allowed == (stream == DENIALS);
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_REFUSAL:
                return stream == DENIALS;
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_UNTOLD:
                return (item->untold->kind != ACCESS__UNTOLD__TOLD__PERMITS) == (stream == DENIALS);
        default:
                return false;
        }
}

static void stream_message(struct rpc_client_call *stream, const ProtobufCMessage *message, void *userdata) {
        const Access__WatchDecisionsItem *item = (const Access__WatchDecisionsItem *) message;
        struct follower *follower = userdata;
        size_t i = which(follower, stream);

        if (!ratelimit_pass(&follower->decisions, NULL)) {
                rpc_client_set_reading(stream, false);
                call_later(follower, USEC_PER_SEC);
        }
        if (protobuf_c_message_get_packed_size(message) > ITEM_BYTES_MAX) {
                close_streams(follower);
                follower->refused[DENIALS] = follower->refused[PERMITS] = true;
                set_state(follower, false, "what it tells of a decision is larger than any is");
                return;
        }
        if (item->item_case == ACCESS__WATCH_DECISIONS_ITEM__ITEM_SOURCE && i == DENIALS) {
                follower->retry_usec = RETRY_MIN_USEC;
                set_state(follower, item->source->followed,
                                item->source->followed ? NULL : item->source->reason);
        }
        if (is_passed_on(item, i))
                pass_on(follower, item);
}

/* What does not change by asking again. */
static bool is_final(enum rpc_code code) {
        return code == RPC_UNIMPLEMENTED || code == RPC_FAILED_PRECONDITION ||
                        code == RPC_PERMISSION_DENIED || code == RPC_UNAUTHENTICATED ||
                        code == RPC_INVALID_ARGUMENT;
}

static void stream_finished(
                struct rpc_client_call *stream, const struct rpc_status *status, void *userdata) {
        const char *reason = isempty(status->message) ? rpc_code_name(status->code) : status->message;
        struct follower *follower = userdata;
        size_t i = which(follower, stream);

        follower->streams[i] = NULL;
        follower->refused[i] = is_final(status->code);
        if (!follower->refused[i] && agent_link_is_ready(follower->agent->link)) {
                call_later(follower, follower->retry_usec);
                follower->retry_usec = MIN(follower->retry_usec * 2, RETRY_MAX_USEC);
        }
        if (status->code == RPC_OK)
                reason = "it has ended the stream";
        if (status->code == RPC_UNIMPLEMENTED)
                reason = "it is older than this, and does not tell";
        if (i == DENIALS)
                set_state(follower, false, reason);
        else if (follower->followed)
                set_state(follower, true, "of what is permitted it does not tell");
}

static const struct rpc_client_ops stream_ops = {
        .message = stream_message,
        .finished = stream_finished,
};

/* ---- to the agent ---- */

static void open_stream(struct follower *follower, size_t i) {
        Access__WatchDecisionsRequest request = ACCESS__WATCH_DECISIONS_REQUEST__INIT;
        const struct rpc_client_options options = {};
        int r;

        request.permits = i == PERMITS;
        request.refusals = i == DENIALS;
        r = rpc_channel_call(agent_link_channel(follower->agent->link), &access__access_service__descriptor,
                        "WatchDecisions", &options, &stream_ops, follower, &follower->streams[i]);
        if (r < 0) {
                follower->streams[i] = NULL;
                call_later(follower, RETRY_MAX_USEC);
                return;
        }
        (void) rpc_client_send(follower->streams[i], &request.base);
        rpc_client_half_close(follower->streams[i]);
}

/* Opens what is wanted and can be had, and closes what is not. */
static void open_streams(struct follower *follower) {
        const bool wanted[STREAMS] = { [DENIALS] = true, [PERMITS] = follower->permits };
        struct agent_link *link = follower->agent->link;

        for (size_t i = 0; i < STREAMS; i++) {
                if (follower->streams[i] && !wanted[i])
                        follower->streams[i] = rpc_client_cancel(follower->streams[i]);
                if (!follower->streams[i] && wanted[i] && !follower->refused[i] && link &&
                                agent_link_is_ready(link))
                        open_stream(follower, i);
        }
        if (!follower->told && !follower->streams[DENIALS])
                set_state(follower, false, "its agent is not connected");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct follower *follower = userdata;

        for (size_t i = 0; i < STREAMS; i++)
                if (follower->streams[i])
                        rpc_client_set_reading(follower->streams[i], true); /* may be the end of it */
        open_streams(follower);
        return 0;
}

/* ---- followers ---- */

static struct follower *follower_free(struct follower *follower) {
        if (!follower)
                return NULL;
        list_remove(&follower->followers);
        sd_event_source_disable_unref(follower->timer);
        close_streams(follower);
        free(follower->reason);
        free(follower);
        return NULL;
}

static int follower_new(
                struct follower **ret, struct decision_follow *follow, struct registry_agent *agent) {
        struct follower *follower = malloc(sizeof(*follower));
        int r;

        if (!follower)
                return -ENOMEM;
        *follower = (struct follower){
                .follow = follow,
                .agent = agent,
                .retry_usec = RETRY_MIN_USEC,
                .decisions = { .interval_usec = USEC_PER_SEC, .burst = DECISIONS_PER_SEC },
        };
        list_append(&follow->followers, &follower->followers);
        r = sd_event_add_time(follow->event, &follower->timer, CLOCK_MONOTONIC, 0, 0, on_timer, follower);
        if (r < 0) {
                follower_free(follower);
                return r;
        }
        (void) sd_event_source_set_enabled(follower->timer, SD_EVENT_OFF);
        *ret = follower;
        return 0;
}

static struct follower *find_follower(struct decision_follow *follow, const struct registry_agent *agent) {
        struct follower *follower;

        LIST_FOREACH(follower, &follow->followers, followers)
                if (follower->agent == agent)
                        return follower;
        return NULL;
}

/* ---- what is wanted ---- */

static void follow_as_wanted(struct decision_follow *follow, struct registry_agent *agent) {
        struct follower *follower = find_follower(follow, agent);
        bool permits, wanted = decision_watchers_want(follow->watchers, agent->vm, &permits);

        if (!wanted) {
                follower_free(follower);
                return;
        }
        if (!follower) {
                int r = follower_new(&follower, follow, agent);

                if (r < 0) {
                        (void) log_warning_errno(
                                        r, "Cannot follow what agent %s decides", agent->entry->name);
                        return;
                }
        }
        follower->permits = permits;
        open_streams(follower);
}

static int on_update(sd_event_source *source, void *userdata) {
        struct decision_follow *follow = userdata;
        struct registry_agent *agent;

        LIST_FOREACH(agent, registry_agents(follow->registry), agents)
                follow_as_wanted(follow, agent);
        return 0;
}

/* ---- watchers ---- */

static bool is_known(struct rpc_call *call, const char *vm, void *userdata) {
        const struct decision_follow *follow = userdata;

        return forward_find_registered(follow->registry, call, vm) != NULL;
}

static void update_later(void *userdata) {
        struct decision_follow *follow = userdata;

        (void) sd_event_source_set_enabled(follow->update, SD_EVENT_ONESHOT);
}

/* It hears how it stands with each agent, and later what changes. */
static void watcher_added(struct rpc_watcher *watcher, void *userdata) {
        struct decision_follow *follow = userdata;
        struct follower *follower;

        update_later(follow);
        LIST_FOREACH(follower, &follow->followers, followers) {
                Access__DecisionSource source;

                /* Its rules may be others now. */
                follower->refused[DENIALS] = follower->refused[PERMITS] = false;
                fill_source(follower, &source);
                if (follower->told && !decision_watcher_tell_source(watcher, &source))
                        return;
        }
}

static const struct decision_fleet_ops fleet_ops = {
        .knows = is_known,
        .added = watcher_added,
        .left = update_later,
};

/* ---- agents ---- */

void decision_follow_ready(struct decision_follow *follow, struct registry_agent *agent) {
        struct follower *follower = find_follower(follow, agent);

        if (follower) {
                follower->refused[DENIALS] = follower->refused[PERMITS] = false;
                follower->retry_usec = RETRY_MIN_USEC;
        }
        update_later(follow);
}

void decision_follow_left(struct decision_follow *follow, const struct registry_agent *agent) {
        struct follower *follower = find_follower(follow, agent);

        if (!follower)
                return;
        close_streams(follower);
        set_state(follower, false, "its agent has left the registry");
        follower_free(follower);
}

/* ---- life ---- */

int decision_follow_new(struct decision_follow **ret, sd_event *event, struct registry *registry,
                struct decision_watchers *watchers) {
        struct decision_follow *follow = malloc(sizeof(*follow));
        int r;

        if (!follow)
                return -ENOMEM;
        *follow = (struct decision_follow){ .registry = registry, .watchers = watchers, .event = event };
        list_init(&follow->followers);
        r = sd_event_add_defer(event, &follow->update, on_update, follow);
        if (r < 0) {
                free(follow);
                return r;
        }
        (void) sd_event_source_set_enabled(follow->update, SD_EVENT_OFF);
        decision_watchers_set_fleet(watchers, &fleet_ops, follow);
        *ret = follow;
        return 0;
}

struct decision_follow *decision_follow_free(struct decision_follow *follow) {
        struct follower *follower;

        if (!follow)
                return NULL;
        decision_watchers_set_fleet(follow->watchers, NULL, NULL);
        while ((follower = LIST_FIRST(&follow->followers, struct follower, followers)))
                follower_free(follower);
        sd_event_source_disable_unref(follow->update);
        free(follow);
        return NULL;
}
