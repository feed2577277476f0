/* SPDX-License-Identifier: GPL-2.0-or-later */
/* auth log: what the access rules of the fleet decide, and whom its daemons refuse, one a line, as it
 * happens. */
#include "auth.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "unit-name.h"

#include <inttypes.h>

struct decision_log {
        uint64_t told; /* decisions and refusals printed, against options->limit */
};

/* ---- JSON ---- */

static json_t *rule_json(const Access__Policy *rule) {
        if (!rule)
                return json_null();
        return json_pack("{s:o*,s:o*,s:o*,s:I}", "id", output_text_json(rule->id), "name",
                        output_text_json(rule->name), "file", output_text_json(rule->file), "line",
                        (json_int_t) rule->line);
}

static json_t *text_or_null(const char *text) {
        return isempty(text) ? json_null() : output_text_json(text);
}

static int print_decision_json(const Access__Decision *decision) {
        return output_json(stdout,
                        json_pack("{s:I,s:o*,s:o*,s:s,s:o*,s:o*,s:o*,s:o,s:o*}", "time",
                                        (json_int_t) decision->timeusec, "vm",
                                        output_text_json(decision->vmname), "daemon",
                                        output_text_json(decision->daemon), "decision",
                                        decision->allowed ? "allow" : "deny", "peer",
                                        output_text_json(decision->peer), "method",
                                        output_text_json(decision->method), "resource",
                                        output_text_json(decision->resource), "rule",
                                        rule_json(decision->rule), "reason",
                                        output_text_json(decision->reason)));
}

static int print_refusal_json(const Access__Refusal *refusal) {
        return output_json(stdout,
                        json_pack("{s:I,s:o*,s:o*,s:s,s:o*,s:o,s:o,s:o*}", "time",
                                        (json_int_t) refusal->timeusec, "vm",
                                        output_text_json(refusal->vmname), "daemon",
                                        output_text_json(refusal->daemon), "decision", "refuse", "address",
                                        output_text_json(refusal->address), "claimed",
                                        text_or_null(refusal->claimed), "serial",
                                        text_or_null(refusal->serial), "reason",
                                        output_text_json(refusal->reason)));
}

/* What there were more of; NULL: not known to us. */
static const char *kind_name(Access__Untold__Told kind) {
        switch (kind) {
        case ACCESS__UNTOLD__TOLD__DECISIONS:
                return "decisions";
        case ACCESS__UNTOLD__TOLD__PERMITS:
                return "permits";
        case ACCESS__UNTOLD__TOLD__REFUSALS:
                return "refusals";
        default:
                return NULL;
        }
}

static int print_untold_json(const Access__Untold *untold) {
        return output_json(stdout,
                        json_pack("{s:I,s:o*,s:o*,s:I,s:s,s:o}", "time", (json_int_t) untold->timeusec, "vm",
                                        output_text_json(untold->vmname), "daemon",
                                        output_text_json(untold->daemon), "untold",
                                        (json_int_t) untold->count, "of", kind_name(untold->kind), "peer",
                                        text_or_null(untold->peer)));
}

static int print_source_json(const Access__DecisionSource *source) {
        return output_json(stdout,
                        json_pack("{s:o*,s:o*,s:b,s:o*}", "vm", output_text_json(source->vmname), "daemon",
                                        output_text_json(source->daemon), "followed", (int) source->followed,
                                        "reason", output_text_json(source->reason)));
}

/* ---- words ---- */

/* When, where, by whom, and what was decided. */
static void print_begin(uint64_t usec, const char *vm, const char *daemon, const char *what, bool is_bad) {
        bool is_red = is_bad && output_may_colour(stdout);
        char date[OUTPUT_TIME];

        printf("%s ", output_time(usec, date));
        output_text(stdout, vm);
        putchar(' ');
        output_text(stdout, daemon);
        printf(": %s%s%s ", is_red ? "\033[31m" : "", what, is_red ? "\033[0m" : "");
}

static void print_decision(const Access__Decision *decision) {
        print_begin(decision->timeusec, decision->vmname, decision->daemon,
                        decision->allowed ? "permitted" : "denied", !decision->allowed);
        output_text(stdout, decision->method);
        fputs(" for ", stdout);
        output_text(stdout, decision->peer);
        if (!isempty(decision->reason) || decision->rule)
                fputs(": ", stdout);
        if (!isempty(decision->reason))
                output_text(stdout, decision->reason);
        else if (decision->rule)
                auth_print_policy(decision->rule);
        putchar('\n');
}

static void print_refusal(const Access__Refusal *refusal) {
        print_begin(refusal->timeusec, refusal->vmname, refusal->daemon, "refused", true);
        output_text(stdout, refusal->address);
        if (!isempty(refusal->claimed)) {
                fputs(", certificate in the name of ", stdout);
                output_text(stdout, refusal->claimed);
        }
        if (!isempty(refusal->serial)) {
                fputs(isempty(refusal->claimed) ? ", certificate with serial " : ", serial ", stdout);
                output_text(stdout, refusal->serial);
        }
        fputs(": ", stdout);
        output_text(stdout, refusal->reason);
        putchar('\n');
}

static void print_untold(const Access__Untold *untold) {
        char many[sizeof("4294967295 more")];

        (void) snprintf(many, sizeof(many), "%" PRIu32 " more", untold->count);
        print_begin(untold->timeusec, untold->vmname, untold->daemon, many, false);
        printf("%s of ", kind_name(untold->kind));
        output_text(stdout, isempty(untold->peer) ? "others" : untold->peer);
        fputs(" were too many to be told\n", stdout);
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
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_REFUSAL:
                if (options->json)
                        return print_refusal_json(item->refusal);
                print_refusal(item->refusal);
                return 0;
        case ACCESS__WATCH_DECISIONS_ITEM__ITEM_UNTOLD:
                if (!kind_name(item->untold->kind))
                        return 0;
                if (options->json)
                        return print_untold_json(item->untold);
                print_untold(item->untold);
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

        if (session->output_error < 0 || (options->limit > 0 && log->told >= options->limit))
                return;
        r = print_item(options, item);
        if (r < 0) {
                session_end(session, fail_errno(r, "cannot print"));
                return;
        }
        if (!session_flush(session))
                return;
        log->told += item->item_case == ACCESS__WATCH_DECISIONS_ITEM__ITEM_DECISION ||
                        item->item_case == ACCESS__WATCH_DECISIONS_ITEM__ITEM_REFUSAL;
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
        request.refusals = true;
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
