/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-error.h"

#include "run-result.h"
#include "text.h"

#define DBUS    "org.freedesktop.DBus.Error."
#define SYSTEMD "org.freedesktop.systemd1."

int unit_error_from_bus(const sd_bus_error *error) {
        static const struct {
                const char *name;
                int error;
        } known[] = {
                { SYSTEMD "NoSuchUnit", -ENOENT },
                { SYSTEMD "UnitExists", -EEXIST },
                { SYSTEMD "UnitInactive", -ESRCH },
                { SYSTEMD "NoSuchProcess", -ESRCH },
                { SYSTEMD "FreezeCancelled", -ECANCELED },
                { SYSTEMD "UnitBusy", -EBUSY },
                { SYSTEMD "TransactionIsDestructive", -EBUSY },
                { SYSTEMD "TransactionJobsConflicting", -EBUSY },
                { SYSTEMD "ShuttingDown", -EBUSY },
                { DBUS "LimitsExceeded", -EBUSY },
                { SYSTEMD "JobTypeNotApplicable", -EOPNOTSUPP },
                { DBUS "NotSupported", -EOPNOTSUPP },
                { DBUS "AccessDenied", -EACCES },
                { DBUS "InteractiveAuthorizationRequired", -EACCES },
                { DBUS "NoReply", -ETIMEDOUT },
                { DBUS "Timeout", -ETIMEDOUT },
                { DBUS "Disconnected", -ENOTCONN },
                { DBUS "ServiceUnknown", -ENOTCONN },
                { DBUS "NameHasNoOwner", -ENOTCONN },
                { DBUS "NoMemory", -ENOMEM },
        };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (sd_bus_error_has_name(error, known[i].name))
                        return known[i].error;
        /* systemd is not on the bus, and its D-Bus service file leads nowhere. */
        if (startswith(error->name, DBUS "Spawn."))
                return -ENOTCONN;
        /* System.Error.ENOMEM and the like are for systemd to act on, not for our callers. */
        return -EREMOTEIO;
}

int unit_error_from_job(const char *result) {
        if (streq(result, "canceled"))
                return -ECANCELED;
        if (streq(result, "timeout"))
                return -ETIMEDOUT;
        if (streq(result, "invalid"))
                return -ESRCH;
        return -EREMOTEIO;
}

static const char *verb_noun(enum unit_verb verb) {
        switch (verb) {
        case UNIT_START:
        case UNIT_START_TRANSIENT:
                return "start";
        case UNIT_RESTART:
        case UNIT_TRY_RESTART:
                return "restart";
        case UNIT_RELOAD:
                return "reload";
        case UNIT_STOP:
                return "stop";
        default:
                return "job";
        }
}

/* Why the unit is in the state in which it is: ": its main process exited with status 3", or "". */
static char *reason_text(const struct unit_state *state) {
        const struct run_result result = {
                .result = state ? state->result : "",
                .exit_code = state ? state->exit_code : 0,
                .exit_status = state ? state->exit_status : 0,
        };
        _cleanup_(freep) char *text = NULL;

        if (!state || !streq(state->active_state, "failed") || !run_result_is_failure(&result))
                return strdup("");
        text = run_result_text(&result);
        return text ? text_printf(": %s", text) : NULL;
}

char *unit_error_job_text(enum unit_verb verb, const char *result, const struct unit_state *state) {
        static const struct {
                const char *result, *text;
        } texts[] = {
                { "canceled", "was cancelled, perhaps by another job for it" },
                { "timeout", "took longer than its configuration allows" },
                { "dependency", "was given up, as something that it needs failed" },
                { "skipped", "was skipped, as its conditions are not met" },
                { "failed", "failed" },
                { "invalid", "is not possible, as it does not run" },
        };
        _cleanup_(freep) char *reason = reason_text(state);
        const char *name = state ? state->name : "the unit";

        if (!reason)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (streq(result, texts[i].result))
                        return text_printf(
                                        "The %s of %s %s%s", verb_noun(verb), name, texts[i].text, reason);
        return text_printf(
                        "The %s of %s ended with the result '%s'%s", verb_noun(verb), name, result, reason);
}
