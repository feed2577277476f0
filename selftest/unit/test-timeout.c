/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timeout.h"

#include <criterion/criterion.h>

Test(timeout, parse) {
        static const struct {
                const char *text;
                uint64_t usec;
        } table[] = {
                { "0S", 0 },
                { "1n", 1 }, /* rounded up: a deadline is never earlier than asked for */
                { "1000n", 1 },
                { "1001n", 2 },
                { "99999999n", 100000 },
                { "7u", 7 },
                { "250m", 250000 },
                { "1S", 1000000 },
                { "00000001S", 1000000 },
                { "2M", UINT64_C(120000000) },
                { "1H", UINT64_C(3600000000) },
                { "99999999H", UINT64_C(99999999) * UINT64_C(3600000000) },
        };
        static const char *const wrong[] = { "", "S", "1", "1s", "1x", "-1S", "+1S", " 1S", "1 S", "1S ",
                "1SS", "1.5S", "123456789S", "000000001S", "18446744073709551616S", "0x1S", "1S\n", "\xff" };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t usec = 42;

                cr_assert_eq(timeout_parse(table[i].text, &usec), 0, "%s", table[i].text);
                cr_assert_eq(usec, table[i].usec, "%s: %llu", table[i].text, (unsigned long long) usec);
        }
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                uint64_t usec = 42;

                cr_assert_eq(timeout_parse(wrong[i], &usec), -EINVAL, "%s", wrong[i]);
        }
}

Test(timeout, format) {
        static const struct {
                uint64_t usec;
                const char *text;
        } table[] = {
                { 0, "0u" },
                { 1, "1u" },
                { 99999999, "99999999u" },
                { 100000000, "100000m" },
                { 100000999, "100000m" },
                { UINT64_C(99999999999), "99999999m" },
                { UINT64_C(100000000000), "100000S" },
                { UINT64_C(99999999999999), "99999999S" },
                { UINT64_C(100000000000000), "1666666M" },
                { UINT64_C(6000000000000000), "1666666H" },
                { USEC_INFINITY - 1, "99999999H" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char text[TIMEOUT_TEXT_MAX];
                uint64_t back;

                timeout_format(table[i].usec, text);
                cr_assert_str_eq(text, table[i].text);
                cr_assert_eq(timeout_parse(text, &back), 0);
                cr_assert_leq(back, table[i].usec, "%s is longer than what is left", text);
        }
}

/* --- deadlines --- */

struct deadline {
        sd_event *event;
        sd_event_source *source;
        uint64_t usec;
        bool jumped;
        unsigned fired, passed;
};

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        struct deadline *d = userdata;

        d->fired++;
        d->passed += deadline_has_passed(source, &d->usec, &d->jumped);
        return 0;
}

static void deadline_begin(struct deadline *d, uint64_t deadline_usec) {
        *d = (struct deadline){ .usec = deadline_usec };
        cr_assert_geq(sd_event_new(&d->event), 0);
        cr_assert_geq(deadline_arm(d->event, &d->source, deadline_usec, on_deadline, d), 0);
}

static void deadline_end(struct deadline *d) {
        sd_event_source_disable_unref(d->source);
        sd_event_unref(d->event);
}

Test(deadline, passes_when_it_is_time) {
        uint64_t begin = now_usec(CLOCK_MONOTONIC);
        struct deadline d;

        deadline_begin(&d, begin + 20 * USEC_PER_MSEC);
        while (d.fired == 0)
                cr_assert_geq(sd_event_run(d.event, UINT64_MAX), 0);
        cr_assert_eq(d.passed, 1);
        cr_assert_not(d.jumped);
        cr_assert_geq(now_usec(CLOCK_MONOTONIC), begin + 20 * USEC_PER_MSEC);
        deadline_end(&d);
}

Test(deadline, can_be_armed_again) {
        struct deadline d;

        deadline_begin(&d, now_usec(CLOCK_MONOTONIC) + 3600 * USEC_PER_SEC);
        cr_assert_geq(deadline_arm(d.event, &d.source, now_usec(CLOCK_MONOTONIC), on_deadline, &d), 0);
        while (d.fired == 0)
                cr_assert_geq(sd_event_run(d.event, UINT64_MAX), 0);
        deadline_end(&d);
}

/* As after a host's sleep: the timer fires, and its time was long ago. */
Test(deadline, a_clock_that_jumped_is_given_grace_once) {
        uint64_t long_ago =
                        now_usec(CLOCK_MONOTONIC) - MIN(now_usec(CLOCK_MONOTONIC) - 1, 3600 * USEC_PER_SEC);
        struct deadline d;
        uint64_t usec;
        int enabled;

        deadline_begin(&d, long_ago);
        while (d.fired == 0)
                cr_assert_geq(sd_event_run(d.event, UINT64_MAX), 0);
        cr_assert_eq(d.passed, 0);
        cr_assert(d.jumped);
        cr_assert_gt(d.usec, now_usec(CLOCK_MONOTONIC));
        cr_assert_geq(sd_event_source_get_time(d.source, &usec), 0);
        cr_assert_eq(usec, d.usec, "the timer was set again");
        cr_assert_geq(sd_event_source_get_enabled(d.source, &enabled), 0);
        cr_assert_eq(enabled, SD_EVENT_ONESHOT);

        /* Late a second time: now it counts. */
        d.usec = long_ago;
        cr_assert_geq(deadline_arm(d.event, &d.source, long_ago, on_deadline, &d), 0);
        while (d.fired == 1)
                cr_assert_geq(sd_event_run(d.event, UINT64_MAX), 0);
        cr_assert_eq(d.passed, 1);
        deadline_end(&d);
}
