/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wait: until units are in a state, as their agents tell of each change. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "show.h"
#include "text.h"
#include "unit-name.h"

#define DEFAULT_STATE "active"

struct waiting {
        struct waiting *next;
        char *vm, *unit;
        char *what;
        Admin__UnitStatusRequest request;
        char *last; /* its state as was told last; NULL: nothing was told */
        bool reached;
};

static struct waiting *waiting_free(struct waiting *waiting) {
        while (waiting) {
                struct waiting *next = waiting->next;

                free(waiting->vm);
                free(waiting->unit);
                free(waiting->what);
                free(waiting->last);
                free(waiting);
                waiting = next;
        }
        return NULL;
}
DEFINE_CLEANUP(struct waiting, waiting_free)

/* Words of systemd's, separated by commas: an active state, a sub state, or "frozen". */
static bool is_in(const Systemd__UnitStatus *status, const char *states) {
        while (*states) {
                size_t n = strcspn(states, ",");
                const char *const is[] = { status->activestate, status->substate, status->freezerstate };

                /* A unit that is not frozen has the freezer state "running", dead ones, too. */
                for (size_t i = 0; i < ELEMENTSOF(is); i++)
                        if (strlen(is[i]) == n && memcmp(is[i], states, n) == 0 &&
                                        !(i == 2 && streq(is[i], "running")))
                                return true;
                states += n + (states[n] == ',');
        }
        return false;
}

static void on_told(struct session *session, const ProtobufCMessage *message, void *userdata) {
        const Systemd__UnitStatus *status = (const Systemd__UnitStatus *) message;
        struct waiting *waiting = userdata;

        free(waiting->last);
        waiting->last = text_printf("%s (%s)", status->activestate, status->substate);
        if (waiting->reached || !is_in(status, session->options->state ?: DEFAULT_STATE))
                return;
        waiting->reached = true;
        if (session->options->json)
                show_status(session->options, status);
        session_settle(session, waiting);
}

static int on_done(struct session *session, const struct rpc_status *status,
                const ProtobufCMessage *response _unused_, void *userdata) {
        const struct waiting *waiting = userdata;

        session_fail_waiting(session, waiting->what, status, waiting->last,
                        session->options->state ?: DEFAULT_STATE);
        return EXIT_DONE;
}

static int add(struct session *session, const char *given, struct waiting **list) {
        _cleanup_(waiting_freep) struct waiting *waiting = calloc(1, sizeof(*waiting));
        int r;

        if (!waiting)
                return fail_errno(-ENOMEM, given);
        r = unit_name_split(given, session->options->vm, &waiting->vm, &waiting->unit);
        if (r != EXIT_DONE)
                return r;
        waiting->what = text_printf("cannot wait for %s on %s", waiting->unit, waiting->vm);
        if (!waiting->what)
                return fail_errno(-ENOMEM, given);
        waiting->next = *list;
        *list = TAKE_PTR(waiting);
        return EXIT_DONE;
}

static int call(struct session *session, struct waiting *waiting) {
        admin__unit_status_request__init(&waiting->request);
        waiting->request.vmname = waiting->vm;
        waiting->request.unitname = waiting->unit;
        return session_call(session,
                        &(struct session_request){
                                        .service = &admin__fleet_service__descriptor,
                                        .method = "WatchUnit",
                                        .message = &waiting->request.base,
                                        .what = waiting->what,
                                        .done = on_done,
                                        .told = on_told,
                                        .userdata = waiting,
                                        .endless = true,
                        });
}

int verb_wait(struct session *session, const struct options *options) {
        _cleanup_(waiting_freep) struct waiting *list = NULL;
        int r = EXIT_DONE;

        for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                r = add(session, options->arguments[i], &list);
        for (struct waiting *waiting = list; waiting && r == EXIT_DONE; waiting = waiting->next)
                r = call(session, waiting);
        if (r == EXIT_DONE)
                r = session_run(session);
        session_clear_calls(session);
        return r;
}
