/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timeout.h"

#include <stdio.h>

/* The loop is never away for this long: a timer later than it was overtaken by a jump of the clock. */
#define JUMP_USEC (2 * USEC_PER_SEC)
/* What a call gets after a jump to bring in what was under way. */
#define GRACE_USEC (5 * USEC_PER_SEC)

#define ACCURACY_USEC (1 * USEC_PER_MSEC)

/* The longest first, as "8H" needs fewer digits than "28800S". */
static const struct {
        char unit;
        uint64_t nsec;
} units[] = {
        { 'n', 1 },
        { 'u', UINT64_C(1000) },
        { 'm', UINT64_C(1000000) },
        { 'S', UINT64_C(1000000000) },
        { 'M', UINT64_C(60000000000) },
        { 'H', UINT64_C(3600000000000) },
};

#define VALUE_MAX 99999999 /* eight digits */

int timeout_parse(const char *text, uint64_t *ret_usec) {
        uint64_t value = 0;
        size_t n = 0;

        for (; text[n] >= '0' && text[n] <= '9'; n++) {
                if (n == 8)
                        return -EINVAL;
                value = value * 10 + (uint64_t) (text[n] - '0');
        }
        if (n == 0 || text[n] == '\0' || text[n + 1] != '\0')
                return -EINVAL;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (units[i].unit == text[n]) {
                        /* Eight digits of hours in nanoseconds do not fit in 64 bits. */
                        if (units[i].nsec >= NSEC_PER_USEC)
                                *ret_usec = value * (units[i].nsec / NSEC_PER_USEC);
                        else
                                *ret_usec = (value + NSEC_PER_USEC - 1) / NSEC_PER_USEC;
                        return 0;
                }
        return -EINVAL;
}

void timeout_format(uint64_t usec, char text[static TIMEOUT_TEXT_MAX]) {
        for (size_t i = 1; i < ELEMENTSOF(units); i++) {
                uint64_t value = usec / (units[i].nsec / NSEC_PER_USEC);

                if (value <= VALUE_MAX) {
                        (void) snprintf(text, TIMEOUT_TEXT_MAX, "%llu%c", (unsigned long long) value,
                                        units[i].unit);
                        return;
                }
        }
        (void) snprintf(text, TIMEOUT_TEXT_MAX, "%uH", VALUE_MAX);
}

int deadline_arm(sd_event *event, sd_event_source **source, uint64_t deadline_usec,
                sd_event_time_handler_t callback, void *userdata) {
        int r;

        if (!*source)
                return sd_event_add_time(event, source, CLOCK_MONOTONIC, deadline_usec, ACCURACY_USEC,
                                callback, userdata);
        r = sd_event_source_set_time(*source, deadline_usec);
        return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

bool deadline_has_passed(sd_event_source *source, uint64_t *deadline_usec, bool *jumped) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (*jumped || now < *deadline_usec || now - *deadline_usec < JUMP_USEC)
                return true;
        *jumped = true;
        *deadline_usec = now + GRACE_USEC;
        (void) sd_event_source_set_time(source, *deadline_usec);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0;
}
