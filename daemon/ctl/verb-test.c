/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test ensure: whether something is registered, as the deployed command's scripts ask; it is not asked for
 * again and again, but heard of. */
#include "admin.pb-c.h"
#include "component-type.h"
#include "failure.h"
#include "options.h"
#include "session.h"

struct ensure {
        struct session *session;
        const char *name, *vm;
        const char *vm_type, *kind; /* NULL: any */
};

/* As it is, it will stay: that it is another thing is no reason to wait. */
static void judge(struct ensure *ensure, const Admin__QueryListItem *item) {
        if (!streq(item->name, ensure->name))
                return;
        if ((ensure->vm_type && !streq(ensure->vm_type, item->vmtype)) ||
                        (ensure->kind && !streq(ensure->kind, item->servicetype))) {
                complain("test failed '%s' registered but of wrong type: %s, %s", ensure->name, item->vmtype,
                                item->servicetype);
                session_end(ensure->session, EXIT_FAILED);
        } else if (ensure->vm && !(item->vm_name_presence_case && streq(ensure->vm, item->vmname))) {
                complain("test failed '%s' registered but on wrong VM: %s", ensure->name,
                                item->vm_name_presence_case ? item->vmname : "none");
                session_end(ensure->session, EXIT_FAILED);
        } else
                session_end(ensure->session, EXIT_DONE);
}

static void on_told(struct session *session _unused_, const ProtobufCMessage *message, void *userdata) {
        const Admin__WatchItem *item = (const Admin__WatchItem *) message;
        struct ensure *ensure = userdata;

        if (item->status_case == ADMIN__WATCH_ITEM__STATUS_ADDED)
                judge(ensure, item->added);
        else if (item->status_case == ADMIN__WATCH_ITEM__STATUS_INITIAL)
                for (size_t i = 0; i < item->initial->n_list; i++)
                        judge(ensure, item->initial->list[i]);
}

static int on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        const struct ensure *ensure = userdata;

        complain("test failed '%s' not registered", ensure->name);
        session_end(ensure->session, EXIT_FAILED);
        return 0;
}

/* As many looks, a second apart, as --retry says: the first one is at once. */
static int run(struct ensure *ensure, const struct options *options) {
        uint64_t retry = options->retry > 0 ? options->retry : 1;
        sd_event_source *timer = NULL;
        int r;

        r = session_watch(ensure->session, on_told, NULL, ensure, false);
        if (r != EXIT_DONE)
                return r;
        r = sd_event_add_time_relative(ensure->session->event, &timer, CLOCK_MONOTONIC, retry * USEC_PER_SEC,
                        0, on_time, ensure);
        r = r < 0 ? fail_errno(r, "timer") : session_run(ensure->session);
        sd_event_source_disable_unref(timer);
        session_clear_calls(ensure->session);
        return r;
}

int verb_test_ensure(struct session *session, const struct options *options) {
        struct ensure ensure = { .session = session, .name = options->arguments[0], .vm = options->vm };
        int r = options->type ? component_type_read(options->type, "type", &ensure.vm_type, &ensure.kind)
                              : EXIT_DONE;

        return r == EXIT_DONE ? run(&ensure, options) : r;
}
