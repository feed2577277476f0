/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "defer.h"

void defer_again(sd_event_source **source, sd_event_handler_t handler) {
        sd_event_source *old = *source, *new;
        int64_t priority;

        /* It waits already, and keeps its place. */
        if (sd_event_source_get_enabled(old, NULL) > 0)
                return;
        if (sd_event_source_get_priority(old, &priority) < 0 ||
                        sd_event_add_defer(sd_event_source_get_event(old), &new, handler,
                                        sd_event_source_get_userdata(old)) < 0) {
                (void) sd_event_source_set_enabled(old, SD_EVENT_ONESHOT);
                return;
        }
        (void) sd_event_source_set_priority(new, priority);
        sd_event_source_disable_unref(old);
        *source = new;
}
