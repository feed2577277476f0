/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Logging: to the journal with fields when standard error is connected to it, else one line a message on
 * standard error. Nothing secret is ever passed to it. What is more than a line, by length or by what stands
 * in it, is made one (journal-text.h), so that peers' texts may be passed as they came.
 */

#include "util.h"

#include <stdarg.h>
#include <syslog.h>

/* The fields an operator can search for; NULL or 0 ones are left out. */
struct log_fields {
        const char *message_id; /* a GIVC_MESSAGE_…, with an entry in the journal catalog */
        const char *method;     /* GIVC_METHOD: "admin.AdminService/StartVM" */
        const char *peer;       /* GIVC_PEER: identity, or the address of one that has none */
        const char *vm;         /* GIVC_VM */
        const char *unit;       /* GIVC_UNIT */
        const char *status;     /* GIVC_STATUS: gRPC status name */
        const char *result;     /* GIVC_RESULT: how a service ended, in systemd's word */
        const char *rule;       /* GIVC_RULE: the access rule that decided */
        uint64_t duration_usec; /* GIVC_DURATION_USEC */
};

/* Messages of a higher number (less important) than this are dropped. At start: LOG_INFO. */
void log_set_max_level(int priority);
int log_get_max_level(void);
/* "debug" and so on to "emerg", systemd's names for them; NULL: no level. */
const char *log_level_name(int priority);
/* -EINVAL: there is no level of that name. */
int log_level_from_name(const char *name);
/* Where messages go: "journal" or "console". */
const char *log_get_target(void);
/* Chooses the journal if standard error is a stream to it (JOURNAL_STREAM=, systemd.exec(5)). Call once,
 * early. */
void log_open(void);

void log_event(int priority, const struct log_fields *fields, const char *format, ...) _printf_(3, 4);
void log_event_va(int priority, const struct log_fields *fields, const char *format, va_list ap)
                _printf_(3, 0);
/* Returns error, which is a negative errno, and appends its text: return log_errno(r, "Cannot open %s",
 * path). */
int log_errno(int priority, int error, const char *format, ...) _printf_(3, 4);

#define log_debug(...)            log_event(LOG_DEBUG, NULL, __VA_ARGS__)
#define log_info(...)             log_event(LOG_INFO, NULL, __VA_ARGS__)
#define log_notice(...)           log_event(LOG_NOTICE, NULL, __VA_ARGS__)
#define log_warning(...)          log_event(LOG_WARNING, NULL, __VA_ARGS__)
#define log_error(...)            log_event(LOG_ERR, NULL, __VA_ARGS__)
#define log_error_errno(r, ...)   log_errno(LOG_ERR, (r), __VA_ARGS__)
#define log_warning_errno(r, ...) log_errno(LOG_WARNING, (r), __VA_ARGS__)
