/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "progress.h"

#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "timespan.h"

/* What is done at once needs no progress. */
#define FIRST_USEC  (500 * USEC_PER_MSEC)
#define PERIOD_USEC USEC_PER_SEC

struct progress {
        struct session *session;
        const char *const *vms;
        size_t n_vms;
        struct rpc_client_call *watch; /* NULL: it has ended; the time alone is shown then */
        uint64_t began_usec;
        char *last; /* what the registry told of one of the VMs */
};

static void print(const struct progress *progress) {
        char since[TIMESPAN_TEXT];

        timespan_format(now_usec(CLOCK_MONOTONIC) - progress->began_usec, since);
        fputs("\r\033[KWaiting for ", stderr);
        output_text(stderr, progress->vms[0]);
        if (progress->n_vms > 1)
                fprintf(stderr, " and %zu more", progress->n_vms - 1);
        fprintf(stderr, " (%s)", since);
        if (progress->last) {
                fputs(": ", stderr);
                output_text(stderr, progress->last);
        }
        fflush(stderr);
}

static bool is_of(const struct progress *progress, const Admin__QueryListItem *item) {
        if (!item->vm_name_presence_case)
                return false;
        for (size_t i = 0; i < progress->n_vms; i++)
                if (streq(progress->vms[i], item->vmname))
                        return true;
        return false;
}

static void note(struct progress *progress, const Admin__QueryListItem *item, bool removed) {
        const char *state = removed ? "gone" : item->vmstatus;

        if (!is_of(progress, item))
                return;
        if (!removed && item->online_presence_case && item->online && streq(item->servicetype, "Mgr"))
                state = "online";
        free(progress->last);
        progress->last = text_printf("%s is %s", item->name, state);
}

static void on_message(struct rpc_client_call *call, const ProtobufCMessage *message, void *userdata) {
        const Admin__WatchItem *item = (const Admin__WatchItem *) message;

        if (item->status_case == ADMIN__WATCH_ITEM__STATUS_ADDED && item->added)
                note(userdata, item->added, false);
        else if (item->status_case == ADMIN__WATCH_ITEM__STATUS_UPDATED && item->updated)
                note(userdata, item->updated, false);
        else if (item->status_case == ADMIN__WATCH_ITEM__STATUS_REMOVED && item->removed)
                note(userdata, item->removed, true);
}

/* Not to be permitted to watch is no reason to fail. */
static void on_finished(struct rpc_client_call *call, const struct rpc_status *status, void *userdata) {
        struct progress *progress = userdata;

        progress->watch = NULL;
}

static void watch(struct progress *progress) {
        static const struct rpc_client_ops ops = { .message = on_message, .finished = on_finished };
        const struct rpc_client_options options = {};
        const Admin__Empty message = ADMIN__EMPTY__INIT;

        if (rpc_channel_call(progress->session->channel, &admin__admin_service__descriptor, "Watch",
                            &options, &ops, progress, &progress->watch) < 0)
                return;
        if (rpc_client_send(progress->watch, &message.base) < 0)
                progress->watch = rpc_client_cancel(progress->watch);
        else
                rpc_client_half_close(progress->watch);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        print(userdata);
        if (sd_event_source_set_time_relative(source, PERIOD_USEC) >= 0)
                sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

int progress_run(struct session *session, const char *const *vms, size_t n_vms) {
        struct progress progress = {
                .session = session,
                .vms = vms,
                .n_vms = n_vms,
                .began_usec = now_usec(CLOCK_MONOTONIC),
        };
        sd_event_source *timer = NULL;
        int code;

        if (session->options->compatible || session->options->no_block || !isatty(STDERR_FILENO))
                return session_run(session);
        if (sd_event_add_time_relative(
                            session->event, &timer, CLOCK_MONOTONIC, FIRST_USEC, 0, on_time, &progress) < 0)
                return session_run(session);
        session->shows_progress = true;
        watch(&progress);
        code = session_run(session);
        sd_event_source_disable_unref(timer);
        if (progress.watch)
                rpc_client_cancel(progress.watch);
        free(progress.last);
        session->shows_progress = false;
        fputs("\r\033[K", stderr);
        return code;
}
