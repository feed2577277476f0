/* SPDX-License-Identifier: GPL-2.0-or-later */
/* restart, reload, kill, freeze, … of units in any VM; pause, resume and stop of VMs; list-units. */
#include "failure.h"
#include "manage.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "show.h"
#include "text.h"
#include "unit-name.h"

#include <signal.h>
#include <strings.h>

const struct manage_action manage_start = { "start", "Started", SYSTEMD__UNIT_VERB__START, "Starting" };
const struct manage_action manage_stop = { "stop", "Stopped", SYSTEMD__UNIT_VERB__STOP, "Stopping" };

static const struct manage_action actions[] = {
        { "restart", "Restarted", SYSTEMD__UNIT_VERB__RESTART, "Restarting" },
        { "try-restart", "Restarted, if it ran,", SYSTEMD__UNIT_VERB__TRY_RESTART,
                        "Restarting, if it runs," },
        { "reload", "Reloaded", SYSTEMD__UNIT_VERB__RELOAD, "Reloading" },
        { "reset-failed", "Reset", SYSTEMD__UNIT_VERB__RESET_FAILED, NULL },
        { "kill", "Sent the signal to", SYSTEMD__UNIT_VERB__KILL, NULL },
        { "freeze", "Froze", SYSTEMD__UNIT_VERB__FREEZE, NULL },
        { "thaw", "Thawed", SYSTEMD__UNIT_VERB__THAW, NULL },
};

static const struct manage_action pause_vm = { "pause", "Paused", SYSTEMD__UNIT_VERB__FREEZE, NULL };
static const struct manage_action resume_vm = { "resume", "Resumed", SYSTEMD__UNIT_VERB__THAW, NULL };

int manage_signal(const char *name) {
        const char *plain = strncasecmp(name, "SIG", 3) == 0 ? name + 3 : name;
        uint64_t number;

        if (text_to_uint(name, SIGRTMAX, &number) == 0)
                return number > 0 ? (int) number : -EINVAL;
        for (int i = 1; i < NSIG; i++) {
                const char *known = sigabbrev_np(i);

                if (known && strcasecmp(known, plain) == 0)
                        return i;
        }
        return -EINVAL;
}

static int show_detail(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Systemd__UnitDetail *detail = (const Systemd__UnitDetail *) response;
        int r;

        if (!session->options->json)
                return show_done(session, response, subject);
        r = output_json(stdout, output_detail_json(detail));
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

static int call(struct session *session, const char *vm, const char *unit, const char *name,
                const struct manage_action *action) {
        const struct options *options = session->options;
        Systemd__ManageUnitRequest inner = SYSTEMD__MANAGE_UNIT_REQUEST__INIT;
        Admin__ManageUnitRequest message = ADMIN__MANAGE_UNIT_REQUEST__INIT;
        bool wait = !options->no_block || !action->started;
        _cleanup_(freep) char *what = text_printf("cannot %s %s", action->verb, name);
        _cleanup_(freep) char *subject = text_printf("%s %s", wait ? action->done : action->started, name);

        if (!what || !subject)
                return fail_errno(-ENOMEM, name);
        inner.unitname = (char *) unit;
        inner.verb = action->unit_verb;
        inner.noblock = !wait;
        inner.whom = (char *) strempty(options->whom);
        if (options->signal)
                inner.signal = manage_signal(options->signal);
        message.vmname = (char *) vm;
        message.request = &inner;
        return session_call(session,
                        &(struct session_request){
                                        .service = &admin__fleet_service__descriptor,
                                        .method = "ManageUnit",
                                        .message = &message.base,
                                        .what = what,
                                        .subject = subject,
                                        .show = show_detail,
                        });
}

int manage_unit(struct session *session, const char *vm, const char *unit,
                const struct manage_action *action) {
        _cleanup_(freep) char *name = *vm ? text_printf("%s on %s", unit, vm) : strdup(unit);

        return name ? call(session, vm, unit, name, action) : fail_errno(-ENOMEM, unit);
}

int manage_vm(struct session *session, const char *vm, const struct manage_action *action) {
        _cleanup_(freep) char *unit = text_printf("microvm@%s.service", vm),
                              *name = text_printf("VM %s", vm);

        return unit && name ? call(session, "", unit, name, action) : fail_errno(-ENOMEM, vm);
}

static int check_kill(const struct options *options) {
        static const char *const whom[] = { "main", "control", "all" };
        bool known = !options->whom;

        for (size_t i = 0; i < ELEMENTSOF(whom) && !known; i++)
                known = streq(whom[i], options->whom);
        if (!known)
                return fail_usage("--kill-whom: '%s' is none of main, control, all", options->whom);
        if (options->signal && manage_signal(options->signal) < 0)
                return fail_usage("--signal: there is no signal '%s'", options->signal);
        return EXIT_DONE;
}

/* Checks the i-th argument or, with begin set, makes the call for it. */
static int handle(struct session *session, const struct options *options, size_t i, bool begin) {
        const struct manage_action *action = actions;
        _cleanup_(freep) char *vm = NULL, *unit = NULL;
        int r;

        while (!streq(action->verb, options->verb->words))
                action++;
        r = unit_name_split(options->arguments[i], options->vm, &vm, &unit);
        if (r != EXIT_DONE || !begin)
                return r;
        return manage_unit(session, vm, unit, action);
}

/* No unit is touched where one of the names is wrong. */
int verb_manage(struct session *session, const struct options *options) {
        int r = check_kill(options);

        for (unsigned begin = 0; begin < 2; begin++)
                for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                        r = handle(session, options, i, begin);
        return r == EXIT_DONE ? session_run(session) : r;
}

static int handle_vms(struct session *session, const struct manage_action *action) {
        const struct options *options = session->options;
        int r = EXIT_DONE;

        for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                r = vm_name_check(options->arguments[i]);
        for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                r = manage_vm(session, options->arguments[i], action);
        return r == EXIT_DONE ? session_run(session) : r;
}

int verb_stop_vm(struct session *session, const struct options *options) {
        return handle_vms(session, &manage_stop);
}

int verb_pause_vm(struct session *session, const struct options *options) {
        return handle_vms(session, &pause_vm);
}

int verb_resume_vm(struct session *session, const struct options *options) {
        return handle_vms(session, &resume_vm);
}

static int show_units(struct session *session, const ProtobufCMessage *response, const char *vm) {
        const Systemd__ListUnitsResponse *list = (const Systemd__ListUnitsResponse *) response;
        int r;

        if (session->options->json)
                r = output_json(stdout, output_units_json(vm, list->units, list->n_units));
        else {
                if (session->n_shown > 0)
                        putchar('\n');
                r = output_details(stdout, vm, list->units, list->n_units);
        }
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

static int call_list(struct session *session, const char *vm) {
        Admin__ListUnitsRequest message = ADMIN__LIST_UNITS_REQUEST__INIT;
        _cleanup_(freep) char *what = text_printf("cannot list the units of %s", vm);
        const struct session_request request = {
                .service = &admin__fleet_service__descriptor,
                .method = "ListUnits",
                .message = &message.base,
                .what = what,
                .subject = vm,
                .show = show_units,
        };

        message.vmname = (char *) vm;
        return what ? session_call(session, &request) : fail_errno(-ENOMEM, vm);
}

int verb_list_units(struct session *session, const struct options *options) {
        int r = EXIT_DONE;

        for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                r = vm_name_check(options->arguments[i]);
        for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                r = call_list(session, options->arguments[i]);
        return r == EXIT_DONE ? session_run(session) : r;
}
