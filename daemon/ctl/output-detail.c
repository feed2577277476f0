/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How units ended, and since when they are what they are. */
#include "output.h"
#include "text.h"
#include "timespan.h"

#include <inttypes.h>
#include <signal.h>

/* Of waitid(2)'s si_code; "": it did not end. */
static const char *code_name(int code) {
        switch (code) {
        case CLD_EXITED:
                return "exited";
        case CLD_KILLED:
                return "killed";
        case CLD_DUMPED:
                return "dumped";
        default:
                return "";
        }
}

/* "exit-code (exited, 1)", "signal (killed, KILL)"; "" where there is nothing to tell. On the heap, or NULL.
 */
static char *result_text(const Systemd__UnitDetail *detail) {
        const char *code = code_name(detail->exitcode);
        const char *name = detail->exitcode == CLD_EXITED ? NULL : sigabbrev_np(detail->exitstatus);

        if (isempty(code))
                return strdup(detail->result);
        if (name)
                return text_printf("%s (%s, %s)", detail->result, code, name);
        return text_printf("%s (%s, %d)", detail->result, code, detail->exitstatus);
}

static const Systemd__UnitStatus *status_of(const Systemd__UnitDetail *detail) {
        static const Systemd__UnitStatus none = SYSTEMD__UNIT_STATUS__INIT;

        return detail->status ?: &none;
}

json_t *output_detail_json(const Systemd__UnitDetail *detail) {
        json_t *object = output_status_json(status_of(detail));
        json_t *more = json_pack("{s:o*,s:i,s:i,s:I,s:i}", "result", output_text_json(detail->result),
                        "exit_code", detail->exitcode, "exit_status", detail->exitstatus, "since",
                        (json_int_t) detail->sinceusec, "main_pid", (int) detail->mainpid);

        if (!more || json_object_update(object, more) < 0) {
                json_decref(object);
                object = NULL;
        }
        json_decref(more);
        return object;
}

/* "2026-01-02 03:04:05; 5min ago" */
static void print_since(FILE *file, uint64_t since) {
        uint64_t now = now_usec(CLOCK_REALTIME);
        char span[TIMESPAN_TEXT], date[OUTPUT_TIME];

        if (since == 0)
                return;
        fprintf(file, "%11s: %s", "Since", output_time(since, date));
        if (since <= now)
                fprintf(file, "; %s ago", timespan_format(now - since, span));
        fputc('\n', file);
}

void output_detail(FILE *file, const Systemd__UnitDetail *detail) {
        _cleanup_(freep) char *result = result_text(detail);

        output_status(file, status_of(detail));
        print_since(file, detail->sinceusec);
        output_labelled(file, "Result", result, NULL);
        if (detail->mainpid > 0)
                fprintf(file, "%11s: %" PRIu32 "\n", "Main PID", detail->mainpid);
}

int output_details(FILE *file, const char *vm, Systemd__UnitDetail *const *details, size_t n) {
        static const struct output_column heads[] = {
                { "UNIT", .is_cut = true },
                { "VM", .terminal = 70 },
                { "LOAD", .terminal = 100 },
                { "ACTIVE" },
                { "SUB", .terminal = 50 },
                { "RESULT", .is_cut = true, .terminal = 60 },
                { "DESCRIPTION", .terminal = 100 },
        };
        _cleanup_(freep) const char **cells = calloc(n * ELEMENTSOF(heads) + 1, sizeof(*cells));
        _cleanup_(freep) char **results = calloc(n + 1, sizeof(*results));
        int r;

        if (!cells || !results)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const Systemd__UnitStatus *status = status_of(details[i]);
                const char **row = cells + i * ELEMENTSOF(heads);

                results[i] = result_text(details[i]);
                row[0] = status->name;
                row[1] = vm;
                row[2] = status->loadstate;
                row[3] = status->activestate;
                row[4] = status->substate;
                row[5] = results[i];
                row[6] = status->description;
        }
        r = output_cells(file, heads, ELEMENTSOF(heads), cells, n);
        for (size_t i = 0; i < n; i++)
                free(results[i]);
        return r;
}

json_t *output_units_json(const char *vm, Systemd__UnitDetail *const *details, size_t n) {
        json_t *units = json_array();

        for (size_t i = 0; i < n; i++)
                if (json_array_append_new(units, output_detail_json(details[i])) < 0) {
                        json_decref(units);
                        return NULL;
                }
        return json_pack("{s:s,s:o}", "vm", vm, "units", units);
}
