/* SPDX-License-Identifier: GPL-2.0-or-later */
/* start, stop, pause and resume of applications, several at once. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "progress.h"
#include "session.h"
#include "show.h"
#include "text.h"
#include "unit-name.h"

static const struct action {
        const char *verb, *method, *name, *done;
} actions[] = {
        { "start app", "StartApplication", "start", "" },
        { "stop app", "StopApplication", "stop", "Stopped " },
        { "pause app", "PauseApplication", "pause", "Paused " },
        { "resume app", "ResumeApplication", "resume", "Resumed " },
        { "pause", "PauseApplication", "pause", "Paused " },
        { "resume", "ResumeApplication", "resume", "Resumed " },
};

/* What follows "--" are arguments of the application. */
static int call(struct session *session, const struct action *action, const char *app) {
        const struct options *options = session->options;
        Admin__ApplicationRequest message = ADMIN__APPLICATION_REQUEST__INIT;
        const char *on = options->vm ? " on " : "", *vm = strempty(options->vm);
        _cleanup_(freep) char *what = text_printf("cannot %s %s%s%s", action->name, app, on, vm);
        _cleanup_(freep) char *subject = text_printf("%s%s%s%s", action->done, app, on, vm);
        bool start = streq(action->method, "StartApplication");
        const struct session_request request = {
                .service = &admin__admin_service__descriptor,
                .method = action->method,
                .message = &message.base,
                .what = what,
                .subject = subject,
                .show = start ? show_started : show_application,
        };

        if (!what || !subject)
                return fail_errno(-ENOMEM, app);
        message.appname = (char *) app;
        if (options->vm) {
                message.vm_name_presence_case = ADMIN__APPLICATION_REQUEST__VM_NAME_PRESENCE_VM_NAME;
                message.vmname = (char *) options->vm;
        }
        if (start) {
                message.args = (char **) options->arguments + options->n_own;
                message.n_args = options->n_arguments - options->n_own;
        }
        return session_call(session, &request);
}

/* The VM that is started with the applications, if it does not run: for the progress that is shown. */
static int run(struct session *session) {
        const struct options *options = session->options;
        _cleanup_(freep) char *usual = NULL;
        const char *vm = options->vm;

        if (!vm)
                vm = usual = text_printf("%s-vm", options->arguments[0]);
        return vm ? progress_run(session, &vm, 1) : fail_errno(-ENOMEM, options->arguments[0]);
}

int verb_app(struct session *session, const struct options *options) {
        const struct action *action = actions;
        bool start;
        int r = EXIT_DONE;

        while (!streq(action->verb, options->verb->words))
                action++;
        start = streq(action->method, "StartApplication");
        if (options->n_own == 0)
                return fail_usage("'%s' wants %s", options->verb->words, options->verb->arguments);
        if (options->vm)
                r = vm_name_check(options->vm);
        if (r == EXIT_DONE && !start && options->n_own < options->n_arguments)
                r = fail_usage("'%s' does not want '%s'", options->verb->words,
                                options->arguments[options->n_own]);
        for (size_t i = 0; i < options->n_own && r == EXIT_DONE; i++)
                r = call(session, action, options->arguments[i]);
        if (r != EXIT_DONE)
                return r;
        return start ? run(session) : session_run(session);
}
