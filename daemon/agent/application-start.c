/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "application-start.h"
#include "application-instances.h"
#include "call.h"
#include "config-read.h"
#include "log.h"
#include "run-result.h"
#include "text.h"
#include "unit-message.h"
#include "unit-transient.h"

/* A command line that people type, or a file manager makes. */
#define ARGUMENTS_MAX 64
/*
 * Where another instance runs, the new process may be about to hand over to that one and exit. It is given
 * so long; a browser takes 100 to 300 ms.
 */
#define HAND_OVER_USEC (500 * USEC_PER_MSEC)
/* What a peer asks for is shown so far. */
#define SHOWN_MAX 255

/*
 * One start, its steps in the order of the functions below: check, make the unit, wait until its program is
 * executed, give it time to hand over, answer. It goes on when its caller has gone, so that what was begun
 * is known to us and to the admin.
 */
struct application_start {
        struct list starts;
        struct manager *manager;
        struct rpc_call *call;                 /* NULL: gone */
        struct application_instance *instance; /* NULL: it has ended, or never began */
        struct whitelist_unit unit;
        struct unit_transient transient;
        struct unit_operation *operation;
        struct quota_charge charge; /* when its caller has gone: one of his operations all the same */
        sd_event_source *hand_over;
        uint64_t begin_usec;
        bool ended;
        struct unit_state end; /* what it was when it had ended */
        char *end_result;
};

static void start_free(struct application_start *start) {
        if (start->instance)
                start->instance->start = NULL;
        list_remove(&start->starts);
        sd_event_source_disable_unref(start->hand_over);
        unit_operation_cancel(start->operation);
        quota_release(&start->charge);
        for (size_t i = 0; i < start->transient.n_arguments; i++)
                free(start->transient.arguments[i]);
        free((char **) start->transient.arguments);
        config_strings_free((char **) start->transient.command);
        free((char *) start->transient.description);
        free(start->unit.name);
        free(start->end_result);
        free(start);
}

/* --- last step: the answer --- */

static void log_outcome(const struct application_start *start, enum rpc_code code, const char *text) {
        const struct log_fields fields = {
                .method = rpc_call_path(start->call) + 1,
                .peer = rpc_call_peer(start->call)->name,
                .unit = start->unit.name,
                .status = rpc_code_name(code),
                .duration_usec = now_usec(CLOCK_MONOTONIC) - start->begin_usec,
        };

        if (code == RPC_OK)
                rpc_call_log(start->call, LOG_INFO, &fields, "%s: start %s%s.", fields.peer, fields.unit,
                                text);
        else
                rpc_call_log(start->call, LOG_NOTICE, &fields, "%s: cannot start %s: %s", fields.peer,
                                fields.unit, text);
}

/* The unit is left to those who follow it, or let go of where there is none. */
static void settle_instance(struct application_start *start, bool admin_knows) {
        struct application_instance *instance = TAKE_PTR(start->instance);

        if (!instance)
                return;
        instance->start = NULL;
        if (instance->up)
                application_instance_register(start->manager, instance, admin_knows);
        else
                application_instance_remove(start->manager, instance);
}

static void fail(struct application_start *start, enum rpc_code code, const char *text) {
        settle_instance(start, false);
        if (start->call) {
                log_outcome(start, code, text);
                rpc_call_fail(start->call, code, "cannot start application: %s", text);
        }
        start_free(start);
}

/* The admin that has asked registers what it is told; whoever else starts something, the admin has to be
 * told of. */
static bool is_admin(const struct application_start *start) {
        return start->call && streq(rpc_call_peer(start->call)->name, start->manager->config.admin.name);
}

static void reply(struct application_start *start, const struct whitelist_unit *unit,
                const struct unit_state *state) {
        Systemd__UnitResponse response = SYSTEMD__UNIT_RESPONSE__INIT;
        bool admin_knows = is_admin(start);
        Systemd__UnitStatus status;

        if (start->call) {
                log_outcome(start, RPC_OK,
                                unit != &start->unit ? ", which handed over to one that runs" : "");
                unit_message_fill(&status, unit, state);
                response.unitstatus = &status;
                rpc_call_reply(start->call, &response.base);
        }
        settle_instance(start, admin_knows);
        start_free(start);
}

/* Well or badly: where it went well and another one runs, it has handed over. */
static void reply_ended(struct application_start *start) {
        const struct run_result result = { .result = start->end.result };
        const struct application_instance *sibling = NULL;
        const struct unit_state *state;

        if (!run_result_is_failure(&result))
                sibling = application_instance_sibling(start->manager, start->unit.name, &state);
        if (sibling)
                reply(start, &sibling->unit, state);
        else
                reply(start, &start->unit, &start->end);
}

/* --- last but one: time to hand over --- */

static int on_hand_over(sd_event_source *timer, uint64_t usec, void *userdata) {
        struct application_start *start = userdata;
        const struct unit_state *state = units_get(start->manager->units, start->unit.name);

        if (state)
                reply(start, &start->unit, state);
        else
                fail(start, RPC_UNAVAILABLE, "systemd cannot be reached");
        return 0;
}

static void wait_for_hand_over(struct application_start *start) {
        int r;

        r = sd_event_add_time_relative(reactor_event(start->manager->reactor), &start->hand_over,
                        CLOCK_MONOTONIC, HAND_OVER_USEC, 10 * USEC_PER_MSEC, on_hand_over, start);
        if (r < 0)
                fail(start, RPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* --- in between: systemd starts it --- */

/* What is said of the end is kept: the unit is gone by the time that we ask. */
static int keep_end(struct application_start *start, const struct unit_state *state) {
        bool failed = streq(state->active_state, "failed");

        start->end_result = strdup(state->result);
        if (!start->end_result)
                return -ENOMEM;
        start->end = (struct unit_state){
                .name = start->unit.name,
                .description = start->transient.description,
                .load_state = "loaded",
                .active_state = failed ? "failed" : "inactive",
                .sub_state = failed ? "failed" : "dead",
                .path = "",
                .freezer_state = "running",
                .result = start->end_result,
                .exit_code = state->exit_code,
                .exit_status = state->exit_status,
        };
        return 0;
}

void application_start_ended(struct application_start *start, const struct unit_state *state) {
        start->instance = NULL;
        start->ended = keep_end(start, state) == 0;
        if (!start->hand_over)
                return; /* systemd's answer is still to come */
        start->hand_over = sd_event_source_disable_unref(start->hand_over);
        if (start->ended)
                reply_ended(start);
        else
                fail(start, RPC_RESOURCE_EXHAUSTED, "out of memory");
}

void application_start_forget(struct application_start *start) {
        start->instance = NULL;
}

static void fail_started(struct application_start *start, int error, const char *message) {
        const struct run_result result = {
                .result = start->end.result,
                .exit_code = start->end.exit_code,
                .exit_status = start->end.exit_status,
        };
        _cleanup_(freep) char *text = NULL;

        if (start->ended && error == -EREMOTEIO)
                text = run_result_text(&result);
        fail(start, unit_error_code(error), text ?: unit_error_text(error, message));
}

static void on_started(int error, const char *message, const struct unit_state *state, void *userdata) {
        struct application_start *start = userdata;
        const struct unit_state *sibling;

        start->operation = NULL;
        if (error < 0)
                fail_started(start, error, message);
        else if (start->ended)
                reply_ended(start);
        else if (application_instance_sibling(start->manager, start->unit.name, &sibling))
                wait_for_hand_over(start);
        else
                reply(start, &start->unit, state);
}

/* --- first step: what was asked for --- */

/* Logged as much as a peer who insists may write into the journal. */
static void refuse(struct manager *manager, struct rpc_call *call, const char *unit, enum rpc_code code,
                const char *text) {
        const struct log_fields fields = {
                .method = rpc_call_path(call) + 1,
                .peer = rpc_call_peer(call)->name,
                .unit = text_is_unit_name(unit) ? unit : NULL,
                .status = rpc_code_name(code),
        };

        if (peer_limit_pass(&manager->refusals, fields.peer))
                log_event(LOG_WARNING, &fields, "%s may not start an application: %s.", fields.peer, text);
        rpc_call_fail(call, code, "cannot start application: %s", text);
}

static const struct application *find_application(
                struct manager *manager, struct rpc_call *call, const Systemd__AppUnitRequest *request) {
        const struct application *application =
                        applications_find_unit(&manager->config.applications, request->unitname);
        _cleanup_(freep) char *shown = NULL, *text = NULL;

        if (application)
                return application;
        shown = text_escape(request->unitname, strlen(request->unitname), SHOWN_MAX);
        text = text_printf("\"%s\" is not an instance (NAME@NUMBER.service) of an application that this "
                           "machine's configuration has",
                        strempty(shown));
        refuse(manager, call, request->unitname, RPC_NOT_FOUND, strempty(text));
        return NULL;
}

/* Whether the application takes all of the arguments; else the call has ended. Which is refused is said, but
 * not what it is: it may be a secret, and the journals here and of the admin get to see the text. */
static bool takes_arguments(struct manager *manager, struct rpc_call *call,
                const struct application *application, const Systemd__AppUnitRequest *request) {
        _cleanup_(freep) char *text = NULL;
        const char *refusal = NULL;
        size_t i;

        if (request->n_args > ARGUMENTS_MAX) {
                text = text_printf("%zu arguments are too many: at most %u", request->n_args, ARGUMENTS_MAX);
                refuse(manager, call, request->unitname, RPC_INVALID_ARGUMENT, strempty(text));
                return false;
        }
        for (i = 0; i < request->n_args && !refusal; i++)
                refusal = application_argument_refusal(
                                request->args[i], application->arguments, application->directories);
        if (!refusal)
                return true;
        text = text_printf("argument %zu %s", i, refusal);
        refuse(manager, call, request->unitname, RPC_INVALID_ARGUMENT, strempty(text));
        return false;
}

/* A copy of n texts, with a NULL after them; what is NULL in it could not be copied. */
static char **copy_texts(char *const *texts, size_t n) {
        char **copy;

        copy = calloc(n + 1, sizeof(char *));
        for (size_t i = 0; copy && i < n; i++) {
                copy[i] = strdup(texts[i]);
                if (!copy[i])
                        return config_strings_free(copy);
        }
        return copy;
}

static size_t count_texts(char *const *texts) {
        size_t n = 0;

        while (texts[n])
                n++;
        return n;
}

/* Copies of all, since the configuration may be reloaded and the caller may go before it ends. */
static struct application_start *start_new(struct manager *manager, struct rpc_call *call,
                const struct application *application, const Systemd__AppUnitRequest *request) {
        struct application_start *start;

        start = calloc(1, sizeof(*start));
        if (!start)
                return NULL;
        list_append(&manager->starts, &start->starts);
        start->manager = manager;
        start->call = call;
        start->begin_usec = now_usec(CLOCK_MONOTONIC);
        start->unit.name = start->unit.target = strdup(request->unitname);
        start->transient.description = text_printf("Application service for %s", application->name);
        start->transient.command = copy_texts(application->command, count_texts(application->command));
        start->transient.arguments = copy_texts(request->args, request->n_args);
        if (!start->unit.name || !start->transient.description || !start->transient.command ||
                        !start->transient.arguments) {
                start_free(start);
                return NULL;
        }
        start->transient.n_arguments = request->n_args;
        start->transient.environment = environ;
        return start;
}

static void on_gone(struct rpc_call *call, void *userdata) {
        struct application_start *start = userdata;

        log_outcome(start, RPC_CANCELLED, "the caller has gone; systemd goes on");
        (void) quota_charge(rpc_call_peer(call)->account, QUOTA_OPERATIONS, 1, &start->charge);
        start->call = NULL;
}

static int start_begin(struct application_start *start) {
        struct manager *manager = start->manager;
        int r;

        /* First, so that nothing of it is missed. */
        r = application_instance_add(manager, start->unit.name, &start->instance);
        if (r < 0)
                return r;
        start->instance->start = start;
        return units_start_transient(manager->units, start->unit.name, &start->transient, on_started, start,
                        &start->operation);
}

void application_start_handle(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct rpc_call_ops ops = { .gone = on_gone };
        const Systemd__AppUnitRequest *request = (const Systemd__AppUnitRequest *) message;
        struct manager *manager = userdata;
        const struct application *application;
        struct application_start *start;
        int r;

        application = find_application(manager, call, request);
        if (!application || !takes_arguments(manager, call, application, request))
                return;
        start = start_new(manager, call, application, request);
        if (!start) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "cannot start application: out of memory");
                return;
        }
        rpc_call_set_ops(call, &ops, start);
        r = start_begin(start);
        if (r == -EEXIST)
                fail(start, RPC_ALREADY_EXISTS, "this instance runs already");
        else if (r == -ENOSPC || r == -EBUSY)
                fail(start, RPC_RESOURCE_EXHAUSTED, "too many applications run, or are being started");
        else if (r < 0)
                fail(start, unit_error_code(r), unit_error_text(r, NULL));
}

void application_starts_free(struct manager *manager) {
        while (!list_is_empty(&manager->starts))
                start_free(LIST_FIRST(&manager->starts, struct application_start, starts));
}
