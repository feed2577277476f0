/* SPDX-License-Identifier: GPL-2.0-or-later */
/* set-locale and set-timezone of the whole fleet; notify-user. */
#include "admin.pb-c.h"
#include "failure.h"
#include "locale-name.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "show.h"
#include "text.h"
#include "unit-name.h"

#include <limits.h>
#include <strings.h>

/* KEY=VALUE, or a value alone for LANG. */
static int read_assignment(const char *given, Locale__LocaleAssignment *assignment) {
        const ProtobufCEnumDescriptor *keys = &locale__locale_macro_key__descriptor;
        const char *equals = strchr(given, '='), *value = equals ? equals + 1 : given;
        const ProtobufCEnumValue *known = NULL;

        locale__locale_assignment__init(assignment);
        for (unsigned i = 0; equals && i < keys->n_values && !known; i++) {
                size_t n = strlen(keys->values[i].name);

                if (n == (size_t) (equals - given) && memcmp(keys->values[i].name, given, n) == 0)
                        known = &keys->values[i];
        }
        if (equals && !known)
                return fail_usage("'%s': what stands before '=' is neither LANG nor one of the LC_ names",
                                given);
        if (!locale_name_is_valid(value))
                return fail_usage("'%s' is no name of a locale: that is %s", value, LOCALE_NAME_ALLOWED);
        assignment->key = known ? (Locale__LocaleMacroKey) known->value : LOCALE__LOCALE_MACRO_KEY__LANG;
        assignment->value = (char *) value;
        return EXIT_DONE;
}

int verb_set_locale(struct session *session, const struct options *options) {
        Admin__LocaleRequest message = ADMIN__LOCALE_REQUEST__INIT;
        size_t n = options->n_arguments;
        _cleanup_(freep) Locale__LocaleAssignment *assignments = calloc(n, sizeof(*assignments));
        _cleanup_(freep) Locale__LocaleAssignment **list = calloc(n, sizeof(*list));
        int r = EXIT_DONE;

        if (!assignments || !list)
                return fail_errno(-ENOMEM, "cannot set the locale");
        for (size_t i = 0; i < n && r == EXIT_DONE; i++) {
                r = read_assignment(options->arguments[i], &assignments[i]);
                list[i] = &assignments[i];
        }
        if (r != EXIT_DONE)
                return r;
        message.assignments = list;
        message.n_assignments = n;
        r = session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "SetLocale",
                                        .message = &message.base,
                                        .what = "cannot set the locale",
                        });
        return r == EXIT_DONE ? session_run(session) : r;
}

int verb_set_timezone(struct session *session, const struct options *options) {
        Admin__TimezoneRequest message = ADMIN__TIMEZONE_REQUEST__INIT;
        int r;

        if (!timezone_name_is_valid(options->arguments[0]))
                return fail_usage("'%s' is no name of a time zone: that is %s", options->arguments[0],
                                TIMEZONE_NAME_ALLOWED);
        message.timezone = (char *) options->arguments[0];
        r = session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "SetTimezone",
                                        .message = &message.base,
                                        .what = "cannot set the time zone",
                        });
        return r == EXIT_DONE ? session_run(session) : r;
}

static int show_notified(struct session *session, const ProtobufCMessage *response, const char *vm) {
        const Notify__Status *status = (const Notify__Status *) response;
        int r = 0;

        if (session->options->json)
                r = output_json(stdout,
                                json_pack("{s:s,s:o}", "vm", vm, "status",
                                                output_text_json(status->status)));
        else if (session->options->compatible)
                output_deployed(stdout, &status->base);
        else {
                output_text(stdout, vm);
                fputs(": ", stdout);
                output_text(stdout, status->status);
                fputc('\n', stdout);
        }
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

/* As scripts know it from givc-cli, what is no urgency is a normal one. */
static int read_urgency(const struct options *options, Notify__UrgencyLevel *ret) {
        const ProtobufCEnumDescriptor *levels = &notify__urgency_level__descriptor;

        *ret = NOTIFY__URGENCY_LEVEL__NORMAL;
        if (!options->urgency)
                return EXIT_DONE;
        for (unsigned i = 0; i < levels->n_values; i++)
                if (strcasecmp(levels->values[i].name, options->urgency) == 0) {
                        *ret = (Notify__UrgencyLevel) levels->values[i].value;
                        return EXIT_DONE;
                }
        if (options->compatible)
                return EXIT_DONE;
        return fail_usage("--urgency: '%s' is none of low, normal, critical", options->urgency);
}

/* What is not given is shown as scripts know it from givc-cli, else as nothing. */
static const char *or_deployed(const struct options *options, const char *given, const char *deployed) {
        return given ?: options->compatible ? deployed : "";
}

static int notify(struct session *session, const char *vm, Notify__UserNotification *notification) {
        Admin__UserNotificationRequest message = ADMIN__USER_NOTIFICATION_REQUEST__INIT;
        _cleanup_(freep) char *what = text_printf("cannot notify the user of %s", vm);
        const struct session_request request = {
                .service = &admin__admin_service__descriptor,
                .method = "NotifyUser",
                .message = &message.base,
                .what = what,
                .subject = vm,
                .show = show_notified,
        };

        message.vmname = (char *) vm;
        message.notification = notification;
        return what ? session_call(session, &request) : fail_errno(-ENOMEM, vm);
}

int verb_notify_user(struct session *session, const struct options *options) {
        Notify__UserNotification notification = NOTIFY__USER_NOTIFICATION__INIT;
        _cleanup_(freep) char *event = NULL;
        char host[HOST_NAME_MAX + 1] = "";
        int r;

        r = read_urgency(options, &notification.urgency);
        for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                r = vm_name_check(options->arguments[i]);
        if (r != EXIT_DONE)
                return r;
        gethostname(host, sizeof(host) - 1);
        event = text_printf("[%s] %s", host, or_deployed(options, options->event, "Default Event"));
        if (!event)
                return fail_errno(-ENOMEM, "cannot notify");
        notification.event = event;
        notification.title = (char *) or_deployed(options, options->title, "Default Title");
        notification.icon = (char *) or_deployed(options, options->icon, "dialog-information");
        notification.message = (char *) or_deployed(options, options->message, "(no message)");
        for (size_t i = 0; i < options->n_arguments && r == EXIT_DONE; i++)
                r = notify(session, options->arguments[i], &notification);
        return r == EXIT_DONE ? session_run(session) : r;
}
