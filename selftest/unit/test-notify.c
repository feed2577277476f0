/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "notify.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void expect(const Notify__UserNotification *notification, const char *json) {
        char *text = notify_json(notification);

        cr_assert_str_eq(text, json);
        free(text);
}

Test(notify, all_fields_in_their_order) {
        Notify__UserNotification notification = NOTIFY__USER_NOTIFICATION__INIT;

        notification.event = (char *) "[host] update";
        notification.title = (char *) "Ghaf";
        notification.urgency = NOTIFY__URGENCY_LEVEL__NORMAL;
        notification.icon = (char *) "security-high";
        notification.message = (char *) "done";
        expect(&notification,
                        "{\"Event\":\"[host] update\",\"Title\":\"Ghaf\",\"Urgency\":\"NORMAL\","
                        "\"Icon\":\"security-high\",\"Message\":\"done\"}");
}

Test(notify, defaults_are_left_out) {
        Notify__UserNotification notification = NOTIFY__USER_NOTIFICATION__INIT;

        expect(&notification, "{}");
        notification.urgency = NOTIFY__URGENCY_LEVEL__CRITICAL;
        expect(&notification, "{\"Urgency\":\"CRITICAL\"}");
}

Test(notify, an_urgency_of_tomorrow_stays_a_number) {
        Notify__UserNotification notification = NOTIFY__USER_NOTIFICATION__INIT;

        notification.urgency = (Notify__UrgencyLevel) 9;
        expect(&notification, "{\"Urgency\":9}");
}

Test(notify, texts_are_quoted) {
        Notify__UserNotification notification = NOTIFY__USER_NOTIFICATION__INIT;

        notification.title = (char *) "\"a\\b\"\n\x01 ä";
        expect(&notification, "{\"Title\":\"\\\"a\\\\b\\\"\\n\\u0001 ä\"}");
}
