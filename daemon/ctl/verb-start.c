/* SPDX-License-Identifier: GPL-2.0-or-later */
/* start vm, start service, stop service: any number of them at once, on one connection. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "unit-name.h"

static int show_started(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Admin__StartResponse *started = (const Admin__StartResponse *) response;
        int r = 0;

        if (session->options->json)
                r = output_json(stdout,
                                json_pack("{s:s%}", "registry_id", started->registryid,
                                                strlen(started->registryid)));
        else if (session->options->compatible)
                r = output_started_deployed(stdout, started->registryid);
        else
                printf("Started %s.\n", subject);
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

static int show_stopped(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Admin__ApplicationResponse *stopped = (const Admin__ApplicationResponse *) response;
        int r = 0;

        if (session->options->json)
                r = output_json(stdout,
                                json_pack("{s:s%,s:s%}", "cmd_status", stopped->cmdstatus,
                                                strlen(stopped->cmdstatus), "app_status", stopped->appstatus,
                                                strlen(stopped->appstatus)));
        else if (!session->options->compatible)
                printf("Stopped %s.\n", subject);
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

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
                int r = call_vm(session, options->arguments[i]);

                if (r != EXIT_DONE)
                        return r;
        }
        return session_run(session);
}

static int call_service(struct session *session, const char *vm, const char *unit, bool start) {
        Admin__ServiceRequest message = ADMIN__SERVICE_REQUEST__INIT;
        _cleanup_(freep) char *subject = text_printf("%s on %s", unit, vm);
        _cleanup_(freep) char *what = text_printf("cannot %s %s on %s", start ? "start" : "stop", unit, vm);
        const struct session_request request = {
                .service = &admin__admin_service__descriptor,
                .method = start ? "StartService" : "StopService",
                .message = &message.base,
                .what = what,
                .subject = subject,
                .show = start ? show_started : show_stopped,
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
