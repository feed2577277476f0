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

/* "2026-01-02 03:04:05" in local time, "@1700000000", or a span of time ago: "1h". */
static int read_time(const char *option, const char *given, uint64_t *ret) {
        uint64_t now = now_usec(CLOCK_REALTIME), number;
        struct tm tm = { .tm_isdst = -1 };
        const char *end = strptime(given, "%Y-%m-%d %H:%M:%S", &tm);
        time_t seconds = end && *end == '\0' ? mktime(&tm) : -1;

        if (seconds > 0)
                *ret = (uint64_t) seconds * USEC_PER_SEC;
        else if (given[0] == '@' && text_to_uint(given + 1, UINT32_MAX, &number) == 0)
                *ret = number * USEC_PER_SEC;
        else if (timespan_parse(given, &number) == 0 && number < now)
                *ret = now - number;
        else
                return fail_usage("--%s: '%s' is no time: write \"2026-01-02 03:04:05\", @SECONDS, or how "
                                  "long ago it was: 1h",
                                option, given);
        return EXIT_DONE;
}

static int read_request(const struct options *options, Logs__LogsRequest *request, char **ret_unit) {
        int r = EXIT_DONE;

        request->lines = (uint32_t) options->lines;
        /* As journalctl: who follows wants what comes, and a little of what was. */
        if (options->follow && options->lines == 0 && !options->since && !options->after_cursor)
                request->lines = FOLLOW_LINES;
        request->follow = options->follow;
        if (options->unit)
                r = unit_name_complete(options->unit, ret_unit);
        if (r == EXIT_DONE && options->unit)
                request->unitname = *ret_unit;
        if (r == EXIT_DONE && options->priority)
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
        const char *vm;
        char *what;
        Admin__ReadLogsRequest message;
        Logs__LogsRequest request;
        uint64_t last_usec; /* of the last entry shown */
};

static void reading_clear(struct reading *reading) {
        free(reading->request.cursor == protobuf_c_empty_string ? NULL : reading->request.cursor);
        free(reading->what);
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
        reading->last_usec = entry->realtimeusec;
        return 0;
}

static void on_told(struct session *session, const ProtobufCMessage *message, void *userdata) {
        const Logs__LogEntry *entry = (const Logs__LogEntry *) message;
        struct reading *reading = userdata;
        int r = 0;

        if (session->output_gone)
                return;
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

/* A journal that was kept in memory does not outlive its VM: its new one is read from its beginning. Unless
 * it is the caller who had been in another. */
static int on_done(struct session *session, const struct rpc_status *status,
                const ProtobufCMessage *response, void *userdata) {
        struct reading *reading = userdata;
        Logs__LogsRequest *request = &reading->request;

        if (status->code == RPC_OK)
                return EXIT_DONE;
        if (status->code != RPC_OUT_OF_RANGE || reading->last_usec == 0) {
                session_fail(session, reading->what, status);
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
                .vm = options->vm,
                .message = ADMIN__READ_LOGS_REQUEST__INIT,
                .request = LOGS__LOGS_REQUEST__INIT,
        };
        _cleanup_(freep) char *unit = NULL;
        int r;

        if (!options->vm)
                return fail_usage("the journal of which VM? Give --vm");
        r = vm_name_check(options->vm);
        if (r == EXIT_DONE)
                r = read_request(options, &reading.request, &unit);
        if (r != EXIT_DONE)
                return r;
        reading.what = text_printf("cannot read the journal of %s", options->vm);
        if (!reading.what)
                return fail_errno(-ENOMEM, options->vm);
        session->watches_output = true;
        reading.message.vmname = (char *) options->vm;
        reading.message.request = &reading.request;
        r = call(session, &reading);
        if (r == EXIT_DONE)
                r = session_run(session);
        session_clear_calls(session);
        return r;
}
