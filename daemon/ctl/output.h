/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What is printed: tables and lines for people, JSON for programs. All that came from a server was written
 * by some VM: nothing of it reaches a terminal as a control sequence.
 */

#include "admin.pb-c.h"
#include "systemd.pb-c.h"
#include "util.h"

#include <jansson.h>
#include <stdio.h>

enum output_event {
        OUTPUT_PRESENT, /* was there when the watch began */
        OUTPUT_ADDED,
        OUTPUT_CHANGED,
        OUTPUT_REMOVED,
};

/* Control characters, those that change the direction of writing, bytes that are no UTF-8, and on a terminal
 * of another character set what is not ASCII, as \xHH. */
void output_text(FILE *file, const char *text);
void output_bytes(FILE *file, const char *text, size_t n);

/* Functions below return 0 or -ENOMEM. */

/* One value and a newline; takes the reference. Indented on a terminal, in one line elsewhere. */
int output_json(FILE *file, json_t *value);
json_t *output_status_json(const Systemd__UnitStatus *status);

/* Whether colours would be understood, and are wanted (https://no-color.org). */
bool output_may_colour(FILE *file);

struct output_column {
        const char *name;
        bool is_number;
        bool is_cut;       /* where the terminal is too narrow for all; the last column always is */
        unsigned terminal; /* on one of fewer columns it is left out: the others are worth more */
};

/* Any table: n_rows times n_heads texts, empty ones as "-". */
int output_cells(FILE *file, const struct output_column *heads, size_t n_heads, const char *const *cells,
                size_t n_rows);

enum output_order {
        OUTPUT_BY_VM, /* then what runs it, then what runs in it */
        OUTPUT_BY_NAME,
        OUTPUT_BY_TYPE,
        OUTPUT_BY_STATUS,
        OUTPUT_BY_SINCE,
};

void output_sort(Admin__QueryListItem **items, size_t n, enum output_order order);

/* Entries as a table; cut to the width of the terminal, if file is one; colours only there. */
int output_table(FILE *file, Admin__QueryListItem *const *items, size_t n);
json_t *output_items_json(Admin__QueryListItem *const *items, size_t n, bool compatible);
int output_list_json(FILE *file, Admin__QueryListItem *const *items, size_t n, bool compatible);

/* One line: time (CLOCK_REALTIME, microseconds), event, name, VM, status, liveness, and how what has ended
 * did. */
int output_event(FILE *file, enum output_event event, const Admin__QueryListItem *item, uint64_t at_usec);
/* The deployed command's word for it: "UnitRegistered", … */
const char *output_event_name(enum output_event event);
/* One line: {"UnitRegistered"|"UnitStatusChanged"|"UnitShutdown": item}. */
int output_event_json(
                FILE *file, enum output_event event, const Admin__QueryListItem *item, bool compatible);

/* A unit's state, as systemctl shows it. */
void output_status(FILE *file, const Systemd__UnitStatus *status);
/* The state with how the last run ended, and since when: the members of a status, and result, exit_code,
 * exit_status, since, main_pid. */
json_t *output_detail_json(const Systemd__UnitDetail *detail);
void output_detail(FILE *file, const Systemd__UnitDetail *detail);
int output_details(FILE *file, const char *vm, Systemd__UnitDetail *const *details, size_t n);
/* {"vm": vm, "units": […]} */
json_t *output_units_json(const char *vm, Systemd__UnitDetail *const *details, size_t n);
/* A peer's text; what is no UTF-8 cannot stand in JSON, and is escaped. NULL: ENOMEM. */
json_t *output_text_json(const char *text);
/* Null where there is no such number in JSON: NaN, infinity. NULL: ENOMEM. */
json_t *output_real_json(double value);
/* Whether an agent's answer has all three parts: as proto3 has it, each may be missing. */
bool output_has_stats(const Stats__StatsResponse *stats);
/* Of such an answer. */
json_t *output_stats_json(const char *vm, const Stats__StatsResponse *stats);
json_t *output_sysinfo_json(const Stats__SysinfoResponse *info);
/* A line of a journal: time, who says it, what; errors in red where colours are understood. */
void output_log(FILE *file, const Logs__LogEntry *entry);
/* Local date and time to the second, of CLOCK_REALTIME microseconds. */
#define OUTPUT_TIME sizeof("2000-01-01 00:00:00")
const char *output_time(uint64_t usec, char text[OUTPUT_TIME]);
/* "Label: text (more)", aligned with those of output_status(); nothing where text is empty. */
void output_labelled(FILE *file, const char *label, const char *text, const char *more);
/* Answers as the deployed command prints them, and a newline: UnitStatus { name: "…", …, freezer_state: "…"
 * } */
void output_deployed(FILE *file, const ProtobufCMessage *message);
/* [Generation { … }, …] */
void output_messages_deployed(FILE *file, const ProtobufCMessage *const *messages, size_t n);
/* Likewise, but over several lines: [QueryResult { … }, …], and UnitRegistered(QueryResult { … }) */
void output_list_deployed(FILE *file, Admin__QueryListItem *const *items, size_t n);
void output_event_deployed(FILE *file, enum output_event event, const Admin__QueryListItem *item);
