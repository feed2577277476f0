/* SPDX-License-Identifier: GPL-2.0-or-later */
/* start vm, start service, stop service: any number of them at once, on one connection. */
#include "admin.pb-c.h"
#include "failure.h"
#include "manage.h"
#include "options.h"
#include "progress.h"
#include "session.h"
#include "show.h"
#include "text.h"
#include "unit-name.h"

static int call_vm(struct session *session, const char *vm) {
        Admin__StartVMRequest message = ADMIN__START_VMREQUEST__INIT;
        _cleanup_(freep) char *what = text_printf("cannot start VM %s", vm);
        const struct session_request request = {
                .service = &admin__admin_service__descriptor,
                .method = "StartVM",
                .message = &message.base,
                .what = what,
                .subject = vm,
                .show = show_started,
        };

        message.vmname = (char *) vm;
        return what ? session_call(session, &request) : fail_errno(-ENOMEM, vm);
}

int verb_start_vm(struct session *session, const struct options *options) {
        for (size_t i = 0; i < options->n_arguments; i++) {
                int r = vm_name_check(options->arguments[i]);

                if (r != EXIT_DONE)
                        return r;
        }
        for (size_t i = 0; i < options->n_arguments; i++) {
                const char *vm = options->arguments[i];
                int r = options->no_block ? manage_vm(session, vm, &manage_start) : call_vm(session, vm);

                if (r != EXIT_DONE)
                        return r;
        }
        return progress_run(session, options->arguments, options->n_arguments);
}

static int call_service(struct session *session, const char *vm, const char *unit, bool start) {
        Admin__ServiceRequest message = ADMIN__SERVICE_REQUEST__INIT;
        _cleanup_(freep) char *subject = text_printf(start ? "%s on %s" : "Stopped %s on %s", unit, vm);
        _cleanup_(freep) char *what = text_printf("cannot %s %s on %s", start ? "start" : "stop", unit, vm);
        const struct session_request request = {
                .service = &admin__admin_service__descriptor,
                .method = start ? "StartService" : "StopService",
                .message = &message.base,
                .what = what,
                .subject = subject,
                .show = start ? show_started : show_application,
        };

        message.servicename = (char *) unit;
        message.vmname = (char *) vm;
        return what && subject ? session_call(session, &request) : fail_errno(-ENOMEM, unit);
}

/* Checks the i-th argument or, with call set, makes the call for it. */
static int handle_service(
                struct session *session, const struct options *options, size_t i, bool start, bool call) {
        _cleanup_(freep) char *vm = NULL, *unit = NULL;
        int r;

        r = unit_name_split(options->arguments[i], options->vm, &vm, &unit);
        if (r != EXIT_DONE || !call)
                return r;
        if (options->no_block)
                return manage_unit(session, vm, unit, start ? &manage_start : &manage_stop);
        return call_service(session, vm, unit, start);
}

/* No unit is touched where one of the names is wrong. */
static int handle_services(struct session *session, const struct options *options, bool start) {
        for (unsigned call = 0; call < 2; call++)
                for (size_t i = 0; i < options->n_arguments; i++) {
                        int r = handle_service(session, options, i, start, call);

                        if (r != EXIT_DONE)
                                return r;
                }
        return session_run(session);
}

int verb_start_service(struct session *session, const struct options *options) {
        return handle_services(session, options, true);
}

int verb_stop_service(struct session *session, const struct options *options) {
        return handle_services(session, options, false);
}
