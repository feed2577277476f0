/* SPDX-License-Identifier: GPL-2.0-or-later */
/* auth log: what the access rules of the fleet decide, one a line, as it happens. */
#include "auth.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "unit-name.h"

#include <inttypes.h>

struct decision_log {
        uint64_t told; /* decisions printed, against options->limit */
};

/* ---- JSON ---- */

static json_t *rule_json(const Access__Policy *rule) {
        if (!rule)
                return json_null();
        return json_pack("{s:o*,s:o*,s:o*,s:I}", "id", output_text_json(rule->id), "name",
                        output_text_json(rule->name), "file", output_text_json(rule->file), "line",
                        (json_int_t) rule->line);
}

static int print_decision_json(const Access__Decision *decision) {
        return output_json(stdout,
                        json_pack("{s:I,s:o*,s:o*,s:s,s:o*,s:o*,s:o*,s:o,s:o*,s:I}", "time",
                                        (json_int_t) decision->timeusec, "vm",
                                        output_text_json(decision->vmname), "daemon",
                                        output_text_json(decision->daemon), "decision",
                                        decision->allowed ? "allow" : "deny", "peer",
                                        output_text_json(decision->peer), "method",
                                        output_text_json(decision->method), "resource",
                                        output_text_json(decision->resource), "rule",
                                        rule_json(decision->rule), "reason",
                                        output_text_json(decision->reason), "untold",
                                        (json_int_t) decision->untold));
}

static int print_source_json(const Access__DecisionSource *source) {
        return output_json(stdout,
                        json_pack("{s:o*,s:o*,s:b,s:o*}", "vm", output_text_json(source->vmname), "daemon",
                                        output_text_json(source->daemon), "followed", (int) source->followed,
                                        "reason", output_text_json(source->reason)));
}

/* ---- words ---- */

static void print_decision(const Access__Decision *decision) {
        bool is_red = !decision->allowed && output_may_colour(stdout);
        char date[OUTPUT_TIME];

        printf("%s ", output_time(decision->timeusec, date));
        output_text(stdout, decision->vmname);
        putchar(' ');
        output_text(stdout, decision->daemon);
        printf(": %s%s%s ", is_red ? "\033[31m" : "", decision->allowed ? "permitted" : "denied",
                        is_red ? "\033[0m" : "");
        output_text(stdout, decision->method);
        fputs(" for ", stdout);
        output_text(stdout, decision->peer);
        if (!isempty(decision->reason) || decision->rule)
                fputs(": ", stdout);
        if (!isempty(decision->reason))
                output_text(stdout, decision->reason);
        else if (decision->rule)
                auth_print_policy(decision->rule);
        if (decision->untold > 0)
                printf(" (%" PRIu32 " before it were too many to be told)", decision->untold);
        putchar('\n');
}

/* Beside the decisions, which may be read by a program. */
static void print_source(const Access__DecisionSource *source) {
        fflush(stdout);
        output_text(stderr, source->vmname);
        fputc(' ', stderr);
        output_text(stderr, source->daemon);
        fputs(source->followed ? " is followed" : " is not followed", stderr);
        if (!isempty(source->reason)) {
                fputs(": ", stderr);
                output_text(stderr, source->reason);
        }
        fputc('\n', stderr);
}

/* ---- the stream ---- */

static int print_item(const struct options *options, const Access__WatchDecisionsItem *item) {
        switch (item->item_case) {
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_SOURCE:
                if (options->json)
                        return print_source_json(item->source);
                print_source(item->source);
                return 0;
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_DECISION:
                if (options->json)
                        return print_decision_json(item->decision);
                print_decision(item->decision);
                return 0;
        default:
                return 0; /* of a later contract */
        }
}

static void on_told(struct session *session, const ProtobufCMessage *message, void *userdata) {
        const Access__WatchDecisionsItem *item = (const Access__WatchDecisionsItem *) message;
        const struct options *options = session->options;
        struct decision_log *log = userdata;
        int r;

        if (session->output_gone || (options->limit > 0 && log->told >= options->limit))
                return;
        r = print_item(options, item);
        if (r < 0) {
                session_end(session, fail_errno(r, "cannot print"));
                return;
        }
        if (!session_flush(session))
                return;
        log->told += item->item_case == ACCESS__WATCH_DECISIONS_ITEM__ITEM_DECISION;
        if (options->limit > 0 && log->told >= options->limit)
                session_end(session, EXIT_DONE);
}

int verb_auth_log(struct session *session, const struct options *options) {
        Access__WatchDecisionsRequest request = ACCESS__WATCH_DECISIONS_REQUEST__INIT;
        struct decision_log log = {};
        int r;

        if (options->vm) {
                r = vm_name_check(options->vm);
                if (r != EXIT_DONE)
                        return r;
                request.vmname = (char *) options->vm;
        }
        request.permits = options->permits;
        session->watches_output = true;
        r = session_call(session,
                        &(struct session_request){
                                        .service = &access__access_service__descriptor,
                                        .method = "WatchDecisions",
                                        .message = &request.base,
                                        .what = "cannot follow what is decided",
                                        .told = on_told,
                                        .userdata = &log,
                                        .unlimited = true,
                                        .endless = true,
                        });
        if (r == EXIT_DONE)
                r = session_run(session);
        /* What asks for it again is ours. */
        session_clear_calls(session);
        return r;
}
