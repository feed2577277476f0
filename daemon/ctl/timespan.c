/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timespan.h"

#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR   (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY    (24 * USEC_PER_HOUR)

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"

static const struct {
        const char *name;
        uint64_t usec;
} units[] = {
        { "", USEC_PER_SEC },
        { "s", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },
        { "ms", USEC_PER_MSEC },
        { "msec", USEC_PER_MSEC },
        { "m", USEC_PER_MINUTE },
        { "min", USEC_PER_MINUTE },
        { "h", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },
        { "d", USEC_PER_DAY },
};

static int unit_find(const char *name, size_t n, uint64_t *ret_usec) {
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == n && memcmp(units[i].name, name, n) == 0) {
                        *ret_usec = units[i].usec;
                        return 0;
                }
        return -EINVAL;
}

static int digits_read(const char *s, size_t n, uint64_t *ret) {
        uint64_t number = 0;

        for (size_t i = 0; i < n; i++)
                if (__builtin_mul_overflow(number, 10, &number) ||
                                __builtin_add_overflow(number, (uint64_t) (s[i] - '0'), &number))
                        return -ERANGE;
        *ret = number;
        return 0;
}

int timespan_parse(const char *s, uint64_t *ret_usec) {
        uint64_t sum = 0;

        if (streq(s, "infinity")) {
                *ret_usec = USEC_INFINITY;
                return 0;
        }

        s += strspn(s, " ");
        if (*s == '\0')
                return -EINVAL;
        while (*s) {
                uint64_t number, unit;
                size_t n;
                int r;

                n = strspn(s, DIGITS);
                if (n == 0)
                        return -EINVAL;
                r = digits_read(s, n, &number);
                if (r < 0)
                        return r;
                s += n;
                s += strspn(s, " ");

                n = strspn(s, LETTERS);
                r = unit_find(s, n, &unit);
                if (r < 0)
                        return r;
                s += n;
                s += strspn(s, " ");

                if (__builtin_mul_overflow(number, unit, &number) ||
                                __builtin_add_overflow(sum, number, &sum))
                        return -ERANGE;
        }
        *ret_usec = sum;
        return 0;
}

/* Local; -EINVAL before 1970, too. */
static int from_tm(struct tm *tm, uint64_t *ret_usec) {
        time_t seconds;

        tm->tm_isdst = -1;
        seconds = mktime(tm);
        if (seconds < 0)
                return -EINVAL;
        *ret_usec = (uint64_t) seconds * USEC_PER_SEC;
        return 0;
}

/* The midnight with which the day of so many days ago began. */
static int midnight(uint64_t now_usec, int days_ago, uint64_t *ret_usec) {
        time_t now = (time_t) (now_usec / USEC_PER_SEC);
        struct tm tm;

        if (!localtime_r(&now, &tm))
                return -EINVAL;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        tm.tm_mday -= days_ago;
        return from_tm(&tm, ret_usec);
}

static int parse_date(const char *s, uint64_t now_usec, uint64_t *ret_usec) {
        static const struct {
                const char *format;
                bool has_date;
        } formats[] = {
                { "%Y-%m-%d %H:%M:%S", true },
                { "%Y-%m-%d %H:%M", true },
                { "%Y-%m-%d", true },
                { "%H:%M:%S", false },
                { "%H:%M", false },
        };
        time_t now = (time_t) (now_usec / USEC_PER_SEC);

        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                struct tm tm = {};
                const char *end;

                if (!formats[i].has_date && !localtime_r(&now, &tm))
                        return -EINVAL;
                tm.tm_sec = 0;
                end = strptime(s, formats[i].format, &tm);
                if (end && *end == '\0')
                        return from_tm(&tm, ret_usec);
        }
        return -EINVAL;
}

/* "1h", "-1h" and "1h ago" say the same. */
static int parse_ago(const char *s, uint64_t now_usec, uint64_t *ret_usec) {
        const char *span = *s == '-' ? s + 1 : s, *ago = strstr(span, " ago");
        char text[64];
        size_t n = ago && streq(ago, " ago") ? (size_t) (ago - span) : strlen(span);
        uint64_t usec;

        if (n >= sizeof(text) || (*s == '-' && ago))
                return -EINVAL;
        memcpy(text, span, n);
        text[n] = '\0';
        if (timespan_parse(text, &usec) < 0 || usec >= now_usec)
                return -EINVAL;
        *ret_usec = now_usec - usec;
        return 0;
}

int timestamp_parse(const char *s, uint64_t now_usec, uint64_t *ret_usec) {
        uint64_t seconds;

        if (streq(s, "now")) {
                *ret_usec = now_usec;
                return 0;
        }
        if (streq(s, "today") || streq(s, "yesterday"))
                return midnight(now_usec, streq(s, "yesterday"), ret_usec);
        if (*s == '@') {
                if (text_to_uint(s + 1, UINT32_MAX, &seconds) < 0)
                        return -EINVAL;
                *ret_usec = seconds * USEC_PER_SEC;
                return 0;
        }
        return parse_date(s, now_usec, ret_usec) == 0 ? 0 : parse_ago(s, now_usec, ret_usec);
}

const char *timespan_format(uint64_t usec, char text[TIMESPAN_TEXT]) {
        if (usec < USEC_PER_MINUTE)
                snprintf(text, TIMESPAN_TEXT, "%" PRIu64 "s", usec / USEC_PER_SEC);
        else if (usec < USEC_PER_HOUR)
                snprintf(text, TIMESPAN_TEXT, "%" PRIu64 "min", usec / USEC_PER_MINUTE);
        else if (usec < USEC_PER_DAY)
                snprintf(text, TIMESPAN_TEXT, "%" PRIu64 "h", usec / USEC_PER_HOUR);
        else
                snprintf(text, TIMESPAN_TEXT, "%" PRIu64 "d", usec / USEC_PER_DAY);
        return text;
}
