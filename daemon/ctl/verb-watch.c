/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch: the registry's changes, one a line, for as long as somebody reads them. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "roster.h"
#include "session.h"

struct watch {
        struct session *session;
        const struct options *options;
        struct roster roster;
        bool began;    /* the first answer has come, once */
        uint64_t told; /* changes printed, against options->limit */
};

static void watch_clear(struct watch *watch) {
        session_clear_calls(watch->session);
        roster_clear(&watch->roster);
}

static void print(struct watch *watch, enum output_event event, const Admin__QueryListItem *item) {
        const struct options *options = watch->options;
        int r = 0;

        if (watch->session->output_error < 0)
                return;
        if (options->json)
                r = output_event_json(stdout, event, item, options->compatible);
        else if (options->compatible)
                output_event_deployed(stdout, event, item);
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

static void print_initial(struct watch *watch, const Admin__QueryListResponse *now) {
        const struct options *options = watch->options;

        if (!options->json && options->compatible) {
                output_list_deployed(stdout, now->list, now->n_list);
                session_flush(watch->session);
                return;
        }
        for (size_t i = 0; i < now->n_list; i++)
                print(watch, OUTPUT_PRESENT, now->list[i]);
}

static void begin(struct watch *watch, const Admin__QueryListResponse *now) {
        int r;

        if (!watch->began && watch->options->initial)
                print_initial(watch, now);
        r = roster_replace(&watch->roster, now->list, now->n_list, watch->began ? tell : NULL, watch);
        if (r < 0)
                session_end(watch->session, fail_errno(r, "cannot keep the list of entries"));
        watch->began = true;
}

static void change(struct watch *watch, enum output_event event, const Admin__QueryListItem *item) {
        int r;

        if (!item)
                return;
        r = roster_apply(&watch->roster, event, item, tell, watch);
        if (r < 0)
                session_end(watch->session, fail_errno(r, "cannot keep the list of entries"));
}

static void on_told(struct session *session, const ProtobufCMessage *message, void *userdata) {
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

int verb_watch(struct session *session, const struct options *options) {
        _cleanup_(watch_clear) struct watch watch = { .session = session, .options = options };
        int r;

        session->watches_output = true;
        r = session_watch(session, on_told, NULL, &watch, true);
        return r == EXIT_DONE ? session_run(session) : r;
}
