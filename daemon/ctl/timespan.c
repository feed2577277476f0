/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timespan.h"

#include <inttypes.h>
#include <stdio.h>

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
