/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch: the registry's changes, one a line, for as long as somebody reads them. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "roster.h"
#include "session.h"

/*
 * The channel waits by itself between attempts to connect. This is for a server that accepts a connection
 * and ends the call again and again.
 */
#define RETRY_MIN_USEC (250 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)

struct watch {
        struct session *session;
        const struct options *options;
        struct rpc_client_call *call; /* NULL between two */
        sd_event_source *retry;
        uint64_t retry_usec; /* how long the next wait is */
        struct roster roster;
        bool began;    /* the first answer has come, once */
        bool lost;     /* and somebody was told so */
        uint64_t told; /* changes printed, against options->limit */
};

static void watch_clear(struct watch *watch) {
        if (watch->call)
                rpc_client_cancel(watch->call);
        sd_event_source_disable_unref(watch->retry);
        roster_clear(&watch->roster);
}

static void print(struct watch *watch, enum output_event event, const Admin__QueryListItem *item) {
        const struct options *options = watch->options;
        int r;

        if (watch->session->output_gone)
                return;
        if (options->json)
                r = output_event_json(stdout, event, item, options->compatible);
        else
                r = output_event(stdout, event, item, now_usec(CLOCK_REALTIME));
        if (r < 0)
                session_end(watch->session, fail_errno(r, "cannot print"));
        else
                session_flush(watch->session);
}

static bool is_finished(const struct watch *watch) {
        return watch->options->limit > 0 && watch->told >= watch->options->limit;
}

static void tell(enum output_event event, const Admin__QueryListItem *item, void *userdata) {
        struct watch *watch = userdata;

        if (is_finished(watch))
                return;
        watch->told++;
        print(watch, event, item);
        if (is_finished(watch))
                session_end(watch->session, EXIT_DONE);
}

static void begin(struct watch *watch, const Admin__QueryListResponse *now) {
        int r;

        if (!watch->began && watch->options->initial)
                for (size_t i = 0; i < now->n_list; i++)
                        print(watch, OUTPUT_PRESENT, now->list[i]);
        if (watch->lost)
                complain("connected to %s again", watch->session->peer);
        r = roster_replace(&watch->roster, now->list, now->n_list, watch->began ? tell : NULL, watch);
        if (r < 0)
                session_end(watch->session, fail_errno(r, "cannot keep the list of entries"));
        watch->began = true;
        watch->lost = false;
        watch->retry_usec = RETRY_MIN_USEC;
}

static void change(struct watch *watch, enum output_event event, const Admin__QueryListItem *item) {
        int r;

        if (!item)
                return;
        r = roster_apply(&watch->roster, event, item, tell, watch);
        if (r < 0)
                session_end(watch->session, fail_errno(r, "cannot keep the list of entries"));
}

static void on_message(struct rpc_client_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__WatchItem *item = (const Admin__WatchItem *) message;
        struct watch *watch = userdata;

        switch (item->status_case) {
        case ADMIN__WATCH_ITEM__STATUS_INITIAL:
                begin(watch, item->initial);
                return;
        case ADMIN__WATCH_ITEM__STATUS_ADDED:
                change(watch, OUTPUT_ADDED, item->added);
                return;
        case ADMIN__WATCH_ITEM__STATUS_UPDATED:
                change(watch, OUTPUT_CHANGED, item->updated);
                return;
        case ADMIN__WATCH_ITEM__STATUS_REMOVED:
                change(watch, OUTPUT_REMOVED, item->removed);
                return;
        default:
                return; /* of a later contract */
        }
}

static int watch_call(struct watch *watch);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        struct watch *watch = userdata;
        int code = watch_call(watch);

        if (code != EXIT_DONE)
                session_end(watch->session, code);
        return 0;
}

/* What passes: the admin was restarted, the connection broke, we were too slow. Not: it does not permit
 * this. */
static bool may_retry(const struct watch *watch, enum rpc_code code) {
        if (!watch->began || watch->options->compatible)
                return false;
        return code == RPC_OK || code == RPC_UNAVAILABLE || code == RPC_RESOURCE_EXHAUSTED ||
                        code == RPC_CANCELLED || code == RPC_ABORTED || code == RPC_INTERNAL ||
                        code == RPC_UNKNOWN;
}

static void on_finished(struct rpc_client_call *call, const struct rpc_status *status, void *userdata) {
        static const struct rpc_status ended = { .code = RPC_UNAVAILABLE,
                .message = "the server has ended the watch" };
        const struct rpc_status *reason = status->code == RPC_OK ? &ended : status;
        struct watch *watch = userdata;
        int r;

        watch->call = NULL;
        if (!may_retry(watch, status->code)) {
                session_fail(watch->session, "cannot watch", reason);
                return;
        }
        if (!watch->lost)
                complain("lost %s: %s; trying again", watch->session->peer, reason->message);
        watch->lost = true;

        watch->retry = sd_event_source_disable_unref(watch->retry);
        r = sd_event_add_time_relative(watch->session->event, &watch->retry, CLOCK_MONOTONIC,
                        watch->retry_usec, 0, on_retry, watch);
        if (r < 0)
                session_end(watch->session, fail_errno(r, "cannot wait"));
        watch->retry_usec = MIN(watch->retry_usec * 2, RETRY_MAX_USEC);
}

static int watch_call(struct watch *watch) {
        static const struct rpc_client_ops ops = { .message = on_message, .finished = on_finished };
        const struct rpc_client_options options = { .wait_for_ready = watch->began };
        const Admin__Empty message = ADMIN__EMPTY__INIT;
        int r;

        r = rpc_channel_call(watch->session->channel, &admin__admin_service__descriptor, "Watch", &options,
                        &ops, watch, &watch->call);
        if (r < 0)
                return fail_errno(r, "cannot watch");
        r = rpc_client_send(watch->call, &message.base);
        rpc_client_half_close(watch->call);
        return r < 0 ? fail_errno(r, "cannot watch") : EXIT_DONE;
}

int verb_watch(struct session *session, const struct options *options) {
        _cleanup_(watch_clear) struct watch watch = {
                .session = session,
                .options = options,
                .retry_usec = RETRY_MIN_USEC,
        };
        int r;

        session->watches_output = true;
        r = session_open(session, options->compatible);
        if (r != EXIT_DONE)
                return r;
        r = watch_call(&watch);
        return r == EXIT_DONE ? session_run(session) : r;
}
