/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"
#include "journal-text.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

/* The longest of ours has 2 KiB. */
#define LINE_BYTES_MAX (4 * 1024)

/* The one global state besides main files' settings: where this process logs to is a property of the
 * process. */
static struct {
        int max_level;
        bool journal;
} log_state = { .max_level = LOG_INFO };

void log_set_max_level(int priority) {
        log_state.max_level = priority;
}

int log_get_max_level(void) {
        return log_state.max_level;
}

static const char *const level_names[] = {
        [LOG_EMERG] = "emerg",
        [LOG_ALERT] = "alert",
        [LOG_CRIT] = "crit",
        [LOG_ERR] = "err",
        [LOG_WARNING] = "warning",
        [LOG_NOTICE] = "notice",
        [LOG_INFO] = "info",
        [LOG_DEBUG] = "debug",
};

const char *log_level_name(int priority) {
        return priority >= 0 && (size_t) priority < ELEMENTSOF(level_names) ? level_names[priority] : NULL;
}

int log_level_from_name(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(level_names); i++)
                if (streq(name, level_names[i]))
                        return (int) i;
        return -EINVAL;
}

const char *log_get_target(void) {
        return log_state.journal ? "journal" : "console";
}

void log_open(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        log_state.journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
                        fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static size_t add_field(struct iovec *iov, size_t n, char *text) {
        if (!text)
                return n;
        iov[n] = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
        return n + 1;
}

static size_t add_text(struct iovec *iov, size_t n, const char *name, const char *value) {
        return isempty(value) ? n : add_field(iov, n, text_printf("%s=%s", name, value));
}

static void log_to_journal(int priority, const struct log_fields *fields, const char *message) {
        struct iovec iov[11];
        size_t n = 0;

        n = add_field(iov, n, text_printf("PRIORITY=%i", priority));
        n = add_text(iov, n, "MESSAGE", message);
        if (fields) {
                n = add_text(iov, n, "MESSAGE_ID", fields->message_id);
                n = add_text(iov, n, "GIVC_METHOD", fields->method);
                n = add_text(iov, n, "GIVC_PEER", fields->peer);
                n = add_text(iov, n, "GIVC_VM", fields->vm);
                n = add_text(iov, n, "GIVC_UNIT", fields->unit);
                n = add_text(iov, n, "GIVC_STATUS", fields->status);
                n = add_text(iov, n, "GIVC_RESULT", fields->result);
                n = add_text(iov, n, "GIVC_RULE", fields->rule);
                if (fields->duration_usec > 0)
                        n = add_field(iov, n,
                                        text_printf("GIVC_DURATION_USEC=%llu",
                                                        (unsigned long long) fields->duration_usec));
        }
        (void) sd_journal_sendv(iov, (int) n);
        for (size_t i = 0; i < n; i++)
                free(iov[i].iov_base);
}

/* Whatever stands in it of peers' texts: it is one line, of bounded length, and nothing else. */
static void log_text(int priority, const struct log_fields *fields, const char *message) {
        _cleanup_(freep) char *line = message ? journal_line(message, LINE_BYTES_MAX) : NULL;
        const char *text = line ?: "out of memory while logging";

        if (log_state.journal)
                log_to_journal(priority, fields, text);
        else
                dprintf(STDERR_FILENO, "%s\n", text);
}

void log_event(int priority, const struct log_fields *fields, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        log_event_va(priority, fields, format, ap);
        va_end(ap);
}

void log_event_va(int priority, const struct log_fields *fields, const char *format, va_list ap) {
        _cleanup_(freep) char *message = NULL;
        int saved = errno;

        if (priority > log_state.max_level)
                return;
        message = text_vprintf(format, ap);
        log_text(priority, fields, message);
        errno = saved;
}

int log_errno(int priority, int error, const char *format, ...) {
        _cleanup_(freep) char *message = NULL, *whole = NULL;
        va_list ap;

        if (priority > log_state.max_level)
                return error;
        va_start(ap, format);
        message = text_vprintf(format, ap);
        va_end(ap);
        if (message)
                whole = text_printf("%s: %s", message, strerror(-error));
        log_text(priority, NULL, whole);
        return error;
}
