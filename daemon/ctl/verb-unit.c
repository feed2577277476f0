/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unit …: what an agent does with the units of its own VM, asked of itself rather than through the admin. */
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "show.h"
#include "systemd.pb-c.h"
#include "text.h"
#include "unit-name.h"

static const struct action {
        const char *verb, *method;
} actions[] = {
        { "unit start", "StartUnit" },
        { "unit stop", "StopUnit" },
        { "unit kill", "KillUnit" },
        { "unit freeze", "FreezeUnit" },
        { "unit thaw", "UnfreezeUnit" },
        { "unit status", "GetUnitStatus" },
};

/* "cannot freeze demo.service on net-vm"; NULL: ENOMEM. */
static char *describe(const struct options *options, const char *unit) {
        const char *verb = startswith(options->verb->words, "unit ");

        return text_printf("cannot %s %s on %s", streq(verb, "status") ? "show" : verb, unit, options->name);
}

static int show_answer(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Systemd__UnitStatus *status = ((const Systemd__UnitResponse *) response)->unitstatus;

        return status ? show_status(session->options, status) : EXIT_DONE;
}

int verb_unit(struct session *session, const struct options *options) {
        Systemd__UnitRequest message = SYSTEMD__UNIT_REQUEST__INIT;
        _cleanup_(freep) char *unit = NULL, *what = NULL;
        const struct action *action = actions;
        int r;

        r = unit_name_complete(options->arguments[0], &unit);
        if (r != EXIT_DONE)
                return r;
        what = describe(options, unit);
        if (!what)
                return fail_errno(-ENOMEM, unit);
        while (!streq(action->verb, options->verb->words))
                action++;

        message.unitname = unit;
        r = session_call(session,
                        &(struct session_request){
                                        .service = &systemd__unit_control_service__descriptor,
                                        .method = action->method,
                                        .message = &message.base,
                                        .what = what,
                                        /* Of the rest, that it is done says it all. */
                                        .show = options->json || streq(action->method, "GetUnitStatus")
                                                        ? show_answer
                                                        : NULL,
                        });
        return r == EXIT_DONE ? session_run(session) : r;
}

struct monitor {
        struct session *session;
        struct rpc_client_call *call; /* NULL once it has ended */
        const char *what;
};

static void on_measured(struct rpc_client_call *call, const ProtobufCMessage *message, void *userdata) {
        const Systemd__UnitResourceResponse *measured = (const Systemd__UnitResourceResponse *) message;
        double cpu = measured->cpu_usage, memory = (double) measured->memory_usage;
        struct monitor *monitor = userdata;
        int r = 0;

        if (monitor->session->options->json)
                r = output_json(stdout,
                                json_pack("{s:o,s:o}", "cpu_usage", output_real_json(cpu), "memory_usage",
                                                output_real_json(memory)));
        else
                printf("cpu %6.2f %%  memory %6.2f %%\n", cpu, memory);
        if (r < 0)
                session_end(monitor->session, fail_errno(r, "cannot print"));
        else
                session_flush(monitor->session);
}

static void on_finished(struct rpc_client_call *call, const struct rpc_status *status, void *userdata) {
        struct monitor *monitor = userdata;

        monitor->call = NULL;
        if (status->code == RPC_OK)
                session_end(monitor->session, EXIT_DONE);
        else
                session_fail(monitor->session, monitor->what, status);
}

int verb_unit_monitor(struct session *session, const struct options *options) {
        static const struct rpc_client_ops ops = { .message = on_measured, .finished = on_finished };
        Systemd__UnitResourceRequest message = SYSTEMD__UNIT_RESOURCE_REQUEST__INIT;
        _cleanup_(freep) char *unit = NULL, *what = NULL;
        struct monitor monitor = { .session = session };
        const struct rpc_client_options unlimited = {};
        int r;

        r = unit_name_complete(options->arguments[0], &unit);
        if (r != EXIT_DONE)
                return r;
        monitor.what = what = describe(options, unit);
        if (!what)
                return fail_errno(-ENOMEM, unit);
        session->watches_output = true;
        r = session_open(session, true);
        if (r != EXIT_DONE)
                return r;

        r = rpc_channel_call(session->channel, &systemd__unit_control_service__descriptor, "MonitorUnit",
                        &unlimited, &ops, &monitor, &monitor.call);
        if (r < 0)
                return fail_errno(r, what);
        message.unitname = unit;
        r = rpc_client_send(monitor.call, &message.base);
        rpc_client_half_close(monitor.call);
        r = r < 0 ? fail_errno(r, what) : session_run(session);
        if (monitor.call)
                rpc_client_cancel(monitor.call);
        return r;
}
