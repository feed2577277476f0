/* SPDX-License-Identifier: GPL-2.0-or-later */
/* logs: a VM's journal, as much of it as its agent lets out. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "timespan.h"
#include "unit-name.h"

#define FOLLOW_LINES 10

/* By number or by name; LogsRequest has the number plus one. */
static int read_priority(const char *given, uint32_t *ret) {
        static const char *const names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info",
                "debug" };
        uint64_t number;

        if (text_to_uint(given, ELEMENTSOF(names) - 1, &number) == 0) {
                *ret = (uint32_t) number + 1;
                return EXIT_DONE;
        }
        for (uint32_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(given, names[i])) {
                        *ret = i + 1;
                        return EXIT_DONE;
                }
        return fail_usage("--priority: '%s' is neither a number from 0 to 7 nor one of emerg, alert, crit, "
                          "err, warning, notice, info, debug",
                        given);
}

static int read_time(const char *option, const char *given, uint64_t *ret) {
        if (timestamp_parse(given, now_usec(CLOCK_REALTIME), ret) == 0)
                return EXIT_DONE;
        return fail_usage("--%s: '%s' is no time: write \"2026-01-02 03:04:05\", today, yesterday, "
                          "@SECONDS, or how long ago it was: 1h",
                        option, given);
}

/* As journalctl: who follows wants what comes, and a little of what was. */
static void read_lines(const struct options *options, Logs__LogsRequest *request) {
        uint64_t lines = 0;

        if (options->lines)
                request->onlynews = text_to_uint(options->lines, UINT32_MAX, &lines) == 0 && lines == 0;
        else if (options->follow && !options->since && !options->after_cursor)
                lines = FOLLOW_LINES;
        request->lines = (uint32_t) lines;
}

/* "VM" or "VM/UNIT", as status has it, or what --vm and --unit say. */
static int read_target(const struct options *options, char **ret_vm, char **ret_unit) {
        const char *argument = options->n_arguments > 0 ? options->arguments[0] : NULL,
                   *unit = argument && strchr(argument, '/') ? argument : options->unit,
                   *vm = argument && unit != argument ? argument : options->vm;
        int r;

        if (argument && (vm == argument ? options->vm != NULL : options->unit != NULL))
                return fail_usage("'%s' and --%s both say what is meant", argument,
                                vm == argument ? "vm" : "unit");
        if (unit && (vm || strchr(unit, '/')))
                return unit_name_split(unit, vm, ret_vm, ret_unit);
        if (!vm)
                return fail_usage("the journal of which VM? Give --vm, or write VM or VM/UNIT");
        r = vm_name_check(vm);
        if (r != EXIT_DONE)
                return r;
        *ret_vm = strdup(vm);
        return *ret_vm ? EXIT_DONE : fail_errno(-ENOMEM, vm);
}

static int read_request(const struct options *options, Logs__LogsRequest *request) {
        int r = EXIT_DONE;

        read_lines(options, request);
        request->follow = options->follow;
        if (options->priority)
                r = read_priority(options->priority, &request->prioritymax);
        if (r == EXIT_DONE && options->since)
                r = read_time("since", options->since, &request->sinceusec);
        if (r == EXIT_DONE && options->until)
                r = read_time("until", options->until, &request->untilusec);
        if (r == EXIT_DONE && !isempty(options->after_cursor)) {
                request->cursor = strdup(options->after_cursor);
                if (!request->cursor) {
                        request->cursor = (char *) protobuf_c_empty_string;
                        return fail_errno(-ENOMEM, "--after-cursor");
                }
        }
        return r;
}

static int print_json(const Logs__LogEntry *entry) {
        return output_json(stdout,
                        json_pack("{s:o*,s:I,s:i,s:o*,s:o*,s:i,s:o*}", "cursor",
                                        output_text_json(entry->cursor), "time",
                                        (json_int_t) entry->realtimeusec, "priority", (int) entry->priority,
                                        "unit", output_text_json(entry->unitname), "identifier",
                                        output_text_json(entry->identifier), "pid", (int) entry->pid,
                                        "message", output_text_json(entry->message)));
}

struct reading {
        char *vm, *unit;
        char *what;
        Admin__ReadLogsRequest message;
        Logs__LogsRequest request;
        uint64_t last_usec; /* of the last entry shown */
        bool told;          /* an entry, at least */
};

static void reading_clear(struct reading *reading) {
        free(reading->request.cursor == protobuf_c_empty_string ? NULL : reading->request.cursor);
        free(reading->what);
        free(reading->vm);
        free(reading->unit);
}

/* What is asked for when it is lost: what comes behind this entry. */
static int keep_place(struct reading *reading, const Logs__LogEntry *entry) {
        Logs__LogsRequest *request = &reading->request;
        char *cursor = strdup(entry->cursor);

        if (!cursor)
                return -ENOMEM;
        if (request->cursor != protobuf_c_empty_string)
                free(request->cursor);
        request->cursor = cursor;
        request->lines = 0;
        request->onlynews = false;
        reading->last_usec = entry->realtimeusec;
        return 0;
}

static void on_told(struct session *session, const ProtobufCMessage *message, void *userdata) {
        const Logs__LogEntry *entry = (const Logs__LogEntry *) message;
        struct reading *reading = userdata;
        int r = 0;

        if (session->output_error < 0)
                return;
        reading->told = true;
        if (session->options->json)
                r = print_json(entry);
        else
                output_log(stdout, entry);
        if (r >= 0 && session->options->follow)
                r = keep_place(reading, entry);
        if (r < 0)
                session_end(session, fail_errno(r, "cannot print"));
        else
                session_flush(session);
}

static int call(struct session *session, struct reading *reading);

/* Most agents show no more than the journals of their units. */
static void fail(struct session *session, const struct reading *reading, const struct rpc_status *status) {
        _cleanup_(freep) char *text = NULL;
        struct rpc_status failure = *status;

        if (status->code == RPC_PERMISSION_DENIED && !reading->unit)
                text = text_printf("%s; write %s/UNIT, '%s list-units %s' shows which there are",
                                status->message, reading->vm, program_invocation_short_name, reading->vm);
        if (text)
                failure.message = text;
        session_fail(session, reading->what, &failure);
}

/* A journal that was kept in memory does not outlive its VM: its new one is read from its beginning. Unless
 * it is the caller who had been in another. */
static int on_done(struct session *session, const struct rpc_status *status,
                const ProtobufCMessage *response, void *userdata) {
        struct reading *reading = userdata;
        Logs__LogsRequest *request = &reading->request;

        if (status->code == RPC_OK) {
                if (!reading->told && !request->onlynews && !session->options->json)
                        complain("the journal of %s has no such entry", reading->vm);
                return EXIT_DONE;
        }
        if (status->code != RPC_OUT_OF_RANGE || reading->last_usec == 0) {
                fail(session, reading, status);
                return EXIT_DONE;
        }
        complain("the journal of %s is another one now", reading->vm);
        free(request->cursor);
        request->cursor = (char *) protobuf_c_empty_string;
        request->sinceusec = reading->last_usec + 1;
        return call(session, reading);
}

static int call(struct session *session, struct reading *reading) {
        return session_call(session,
                        &(struct session_request){
                                        .service = &admin__fleet_service__descriptor,
                                        .method = "ReadLogs",
                                        .message = &reading->message.base,
                                        .what = reading->what,
                                        .done = on_done,
                                        .told = on_told,
                                        .userdata = reading,
                                        .unlimited = session->options->follow,
                                        .endless = session->options->follow,
                        });
}

int verb_logs(struct session *session, const struct options *options) {
        _cleanup_(reading_clear) struct reading reading = {
                .message = ADMIN__READ_LOGS_REQUEST__INIT,
                .request = LOGS__LOGS_REQUEST__INIT,
        };
        int r;

        r = read_target(options, &reading.vm, &reading.unit);
        if (r == EXIT_DONE)
                r = read_request(options, &reading.request);
        if (r != EXIT_DONE)
                return r;
        reading.what = text_printf("cannot read the journal of %s", reading.vm);
        if (!reading.what)
                return fail_errno(-ENOMEM, reading.vm);
        session->watches_output = true;
        reading.message.vmname = reading.vm;
        reading.message.request = &reading.request;
        if (reading.unit)
                reading.request.unitname = reading.unit;
        r = call(session, &reading);
        if (r == EXIT_DONE)
                r = session_run(session);
        session_clear_calls(session);
        return r;
}
