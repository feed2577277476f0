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

/* Control characters, and bytes that are no UTF-8, as \xHH. */
void output_text(FILE *file, const char *text);

/* Functions below return 0 or -ENOMEM. */

/* One value and a newline; takes the reference. Indented on a terminal, in one line elsewhere. */
int output_json(FILE *file, json_t *value);
/* compatible: exactly the members that the deployed command prints; else also online and since. */
json_t *output_item_json(const Admin__QueryListItem *item, bool compatible);
json_t *output_status_json(const Systemd__UnitStatus *status);

/* Entries as a table, sorted by VM; cut to the width of the terminal, if file is one; colours only there. */
int output_table(FILE *file, Admin__QueryListItem *const *items, size_t n);
int output_list_json(FILE *file, Admin__QueryListItem *const *items, size_t n, bool compatible);

/* One line: time (CLOCK_REALTIME, microseconds), event, name, VM, status, liveness. */
int output_event(FILE *file, enum output_event event, const Admin__QueryListItem *item, uint64_t at_usec);
/* One line: {"UnitRegistered"|"UnitStatusChanged"|"UnitShutdown": item}. */
int output_event_json(
                FILE *file, enum output_event event, const Admin__QueryListItem *item, bool compatible);

/* A unit's state, as systemctl shows it. */
void output_status(FILE *file, const Systemd__UnitStatus *status);
/* The same as the deployed command has it: UnitStatus { name: "…", …, freezer_state: "…" } */
int output_status_deployed(FILE *file, const Systemd__UnitStatus *status);
int output_started_deployed(FILE *file, const char *registry_id);
