/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "openmetrics.h"

#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const type_names[] = {
        [OPENMETRICS_COUNTER] = "counter",
        [OPENMETRICS_GAUGE] = "gauge",
        [OPENMETRICS_HISTOGRAM] = "histogram",
        [OPENMETRICS_INFO] = "info",
};

void openmetrics_init(struct openmetrics *metrics, const char *prefix) {
        *metrics = (struct openmetrics){ .prefix = prefix, .text = BUFFER_NULL };
}

void openmetrics_clear(struct openmetrics *metrics) {
        buffer_clear(&metrics->text);
}

static void add(struct openmetrics *metrics, const char *data, size_t n) {
        if (buffer_append(&metrics->text, data, n) < 0)
                metrics->failed = true;
}

static void _printf_(2, 3) print(struct openmetrics *metrics, const char *format, ...) {
        _cleanup_(freep) char *line = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&line, format, ap);
        va_end(ap);
        if (n < 0) {
                line = NULL;
                metrics->failed = true;
                return;
        }
        add(metrics, line, (size_t) n);
}

void openmetrics_family(struct openmetrics *metrics, enum openmetrics_type type, const char *name,
                const char *unit, const char *help) {
        metrics->family = name;
        print(metrics, "# TYPE %s_%s %s\n", metrics->prefix, name, type_names[type]);
        if (unit)
                print(metrics, "# UNIT %s_%s %s\n", metrics->prefix, name, unit);
        print(metrics, "# HELP %s_%s %s\n", metrics->prefix, name, help);
}

/* "Escaping": backslash, quote and newline; what is not UTF-8 must not be in there at all. */
static void add_value(struct openmetrics *metrics, const char *value) {
        if (!text_is_utf8(value, strlen(value)))
                value = "?";
        for (const char *p = value; *p; p++) {
                if (*p == '\n') {
                        add(metrics, "\\n", 2);
                        continue;
                }
                if (*p == '\\' || *p == '"')
                        add(metrics, "\\", 1);
                add(metrics, p, 1);
        }
}

static void begin_sample(struct openmetrics *metrics, const char *suffix, va_list ap) {
        const char *label;
        size_t n = 0;

        print(metrics, "%s_%s%s", metrics->prefix, metrics->family, suffix);
        while (n < OPENMETRICS_LABELS_MAX && (label = va_arg(ap, const char *))) {
                print(metrics, "%s%s=\"", n++ == 0 ? "{" : ",", label);
                add_value(metrics, va_arg(ap, const char *));
                add(metrics, "\"", 1);
        }
        if (n > 0)
                add(metrics, "}", 1);
}

void openmetrics_uint(struct openmetrics *metrics, const char *suffix, uint64_t value, ...) {
        va_list ap;

        va_start(ap, value);
        begin_sample(metrics, suffix, ap);
        va_end(ap);
        print(metrics, " %" PRIu64 "\n", value);
}

void openmetrics_seconds(struct openmetrics *metrics, const char *suffix, uint64_t usec, ...) {
        va_list ap;

        va_start(ap, usec);
        begin_sample(metrics, suffix, ap);
        va_end(ap);
        print(metrics, " %" PRIu64 ".%06" PRIu64 "\n", usec / USEC_PER_SEC, usec % USEC_PER_SEC);
}

void openmetrics_counter(struct openmetrics *metrics, const char *name, const char *help, uint64_t value) {
        openmetrics_family(metrics, OPENMETRICS_COUNTER, name, NULL, help);
        openmetrics_uint(metrics, "_total", value, NULL);
}

void openmetrics_gauge(struct openmetrics *metrics, const char *name, const char *unit, const char *help,
                uint64_t value) {
        openmetrics_family(metrics, OPENMETRICS_GAUGE, name, unit, help);
        openmetrics_uint(metrics, "", value, NULL);
}

int openmetrics_finish(struct openmetrics *metrics, const char **ret, size_t *ret_size) {
        static const char end[] = "# EOF\n";

        add(metrics, end, sizeof(end) - 1);
        if (metrics->failed)
                return -ENOMEM;
        *ret = buffer_bytes(&metrics->text);
        *ret_size = buffer_length(&metrics->text);
        return 0;
}
