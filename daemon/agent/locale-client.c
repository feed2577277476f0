/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "locale-client.h"
#include "arena.h"
#include "call.h"
#include "locale-name.h"
#include "log.h"
#include "unit-error.h"
#include "unit-message.h"

#include "locale.pb-c.h"

#include <stdio.h>

/* Debian's localed generates a locale that is missing, which takes a while. */
#define ANSWER_USEC (90 * USEC_PER_SEC)

/* A call that waits for another service of this machine; in the call's arena, so that it goes with it. */
struct setting {
        struct manager *manager;
        struct rpc_call *call;
        const Locale__LocaleMessage *locale; /* the request, where it is one of a locale */
        sd_bus_slot *slot;
};

/* ---- the call's end ---- */

static struct setting *setting_leave(struct setting *setting) {
        setting->slot = sd_bus_slot_unref(setting->slot);
        return setting;
}

static void setting_gone(_unused_ struct rpc_call *call, void *userdata) {
        setting_leave(userdata);
}

static void setting_fail(struct setting *setting, enum rpc_code code, const char *text) {
        const struct log_fields fields = {
                .method = rpc_call_path(setting->call) + 1,
                .peer = rpc_call_peer(setting->call)->name,
                .status = rpc_code_name(code),
        };
        const char *what = setting->locale ? "locale" : "time zone";

        if (peer_limit_pass(&setting->manager->refusals, fields.peer))
                log_event(LOG_WARNING, &fields, "%s: cannot set the %s: %s", fields.peer, what, text);
        rpc_call_fail(setting_leave(setting)->call, code, "cannot set the %s: %s", what, text);
}

static void setting_done(struct setting *setting) {
        const struct log_fields fields = {
                .method = rpc_call_path(setting->call) + 1,
                .peer = rpc_call_peer(setting->call)->name,
        };
        Locale__Empty empty = LOCALE__EMPTY__INIT;

        rpc_call_log(setting->call, LOG_INFO, &fields, "%s: the %s is set.", fields.peer,
                        setting->locale ? "locale" : "time zone");
        rpc_call_reply(setting_leave(setting)->call, &empty.base);
}

/* What the other service says is for people to read: it knows which locales and zones are there. */
static void setting_fail_bus(struct setting *setting, const sd_bus_error *error) {
        bool refused = sd_bus_error_has_name(error, SD_BUS_ERROR_INVALID_ARGS);

        setting_fail(setting, refused ? RPC_INVALID_ARGUMENT : unit_error_code(unit_error_from_bus(error)),
                        isempty(error->message) ? error->name : error->message);
}

static void setting_fail_errno(struct setting *setting, int error) {
        setting_fail(setting, unit_error_code(error),
                        error == -ENOTCONN ? "there is no D-Bus to do it by" : strerror(-error));
}

static struct setting *setting_new(struct manager *manager, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .gone = setting_gone };
        struct setting *setting;

        setting = arena_alloc0(rpc_call_arena(call), sizeof(*setting));
        if (!setting) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return NULL;
        }
        setting->manager = manager;
        setting->call = call;
        rpc_call_set_ops(call, &ops, setting);
        return setting;
}

/* ---- asking other services ---- */

/* Sends a method call that append has filled. 0, or a negative errno. */
static int ask(struct setting *setting, struct bus *bus, const char *service, const char *object,
                const char *interface, const char *method,
                int (*append)(sd_bus_message *m, const void *values), const void *values,
                sd_bus_message_handler_t answered) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *connection = bus_connection(bus);
        int r;

        if (!connection)
                return -ENOTCONN;
        r = sd_bus_message_new_method_call(connection, &m, service, object, interface, method);
        if (r < 0)
                return r;
        r = append(m, values);
        if (r < 0)
                return r;
        setting->slot = sd_bus_slot_unref(setting->slot);
        return sd_bus_call_async(connection, &setting->slot, m, answered, setting, ANSWER_USEC);
}

/* ---- the locale ---- */

static const char *key_name(int key) {
        const ProtobufCEnumValue *value =
                        protobuf_c_enum_descriptor_get_value(&locale__locale_macro_key__descriptor, key);

        return value ? value->name : NULL;
}

/* locale.conf(5) has all of them but LC_ALL. */
static bool is_localed_key(int key) {
        return key != LOCALE__LOCALE_MACRO_KEY__LC_ALL;
}

static int append_assignments(sd_bus_message *m, const Locale__LocaleMessage *locale, bool only_localed) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; i < locale->n_assignments && r >= 0; i++) {
                const Locale__LocaleAssignment *assignment = locale->assignments[i];
                char text[32 + LOCALE_NAME_MAX];

                if (only_localed && !is_localed_key(assignment->key))
                        continue;
                snprintf(text, sizeof(text), "%s=%s", key_name(assignment->key), assignment->value);
                r = sd_bus_message_append_basic(m, 's', text);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* SetLocale(as assignments, b interactive) */
static int append_set_locale(sd_bus_message *m, const void *values) {
        int r;

        r = append_assignments(m, values, true);
        return r < 0 ? r : sd_bus_message_append_basic(m, 'b', &(int){ false });
}

/* UnsetAndSetEnvironment(as names, as assignments): in this order. */
static int append_environment(sd_bus_message *m, const void *values) {
        int r;

        r = sd_bus_message_append(m, "as", 1, "LC_ALL");
        return r < 0 ? r : append_assignments(m, values, false);
}

static int on_environment(sd_bus_message *reply, void *userdata, _unused_ sd_bus_error *ret_error) {
        struct setting *setting = userdata;

        if (sd_bus_message_is_method_error(reply, NULL))
                setting_fail_bus(setting, sd_bus_message_get_error(reply));
        else
                setting_done(setting);
        return 0;
}

static void set_environment(struct setting *setting) {
        int r;

        r = ask(setting, setting->manager->bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                        "org.freedesktop.systemd1.Manager", "UnsetAndSetEnvironment", append_environment,
                        setting->locale, on_environment);
        if (r < 0)
                setting_fail_errno(setting, r);
}

static int on_set_locale(sd_bus_message *reply, void *userdata, _unused_ sd_bus_error *ret_error) {
        struct setting *setting = userdata;

        if (sd_bus_message_is_method_error(reply, NULL))
                setting_fail_bus(setting, sd_bus_message_get_error(reply));
        else
                set_environment(setting);
        return 0;
}

static void set_locale(struct setting *setting) {
        int r;

        r = ask(setting, setting->manager->system_bus, "org.freedesktop.locale1", "/org/freedesktop/locale1",
                        "org.freedesktop.locale1", "SetLocale", append_set_locale, setting->locale,
                        on_set_locale);
        if (r < 0)
                setting_fail_errno(setting, r);
}

/* Whether it is a locale; else the call has ended. *ret_localed: whether localed has a part in it. */
static bool check_locale(struct rpc_call *call, const Locale__LocaleMessage *request, bool *ret_localed) {
        uint32_t seen = 0;

        for (size_t i = 0; i < request->n_assignments; i++) {
                const Locale__LocaleAssignment *assignment = request->assignments[i];
                const char *name = key_name(assignment->key);

                if (!name || (seen & UINT32_C(1) << assignment->key)) {
                        rpc_call_fail(call, RPC_INVALID_ARGUMENT,
                                        "assignment %zu: the key must be a known one, and be assigned once",
                                        i);
                        return false;
                }
                if (!locale_name_is_valid(assignment->value)) {
                        rpc_call_fail(call, RPC_INVALID_ARGUMENT,
                                        "%s: the value must be " LOCALE_NAME_ALLOWED, name);
                        return false;
                }
                seen |= UINT32_C(1) << assignment->key;
                *ret_localed = *ret_localed || is_localed_key(assignment->key);
        }
        if (seen == 0)
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "there must be at least one assignment");
        return seen != 0;
}

static void locale_set(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Locale__LocaleMessage *request = (const Locale__LocaleMessage *) message;
        bool localed = false;
        struct setting *setting;

        if (!check_locale(call, request, &localed))
                return;
        setting = setting_new(userdata, call);
        if (!setting)
                return;
        setting->locale = request;
        if (localed)
                set_locale(setting);
        else
                set_environment(setting);
}

/* ---- the time zone ---- */

/* SetTimezone(s timezone, b interactive) */
static int append_timezone(sd_bus_message *m, const void *values) {
        return sd_bus_message_append(m, "sb", values, false);
}

static int on_set_timezone(sd_bus_message *reply, void *userdata, _unused_ sd_bus_error *ret_error) {
        struct setting *setting = userdata;

        if (sd_bus_message_is_method_error(reply, NULL))
                setting_fail_bus(setting, sd_bus_message_get_error(reply));
        else
                setting_done(setting);
        return 0;
}

static void timezone_set(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Locale__TimezoneMessage *request = (const Locale__TimezoneMessage *) message;
        struct setting *setting;
        int r;

        if (!timezone_name_is_valid(request->timezone)) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT, "the time zone must be " TIMEZONE_NAME_ALLOWED);
                return;
        }
        setting = setting_new(userdata, call);
        if (!setting)
                return;
        r = ask(setting, setting->manager->system_bus, "org.freedesktop.timedate1",
                        "/org/freedesktop/timedate1", "org.freedesktop.timedate1", "SetTimezone",
                        append_timezone, request->timezone, on_set_timezone);
        if (r < 0)
                setting_fail_errno(setting, r);
}

static const struct rpc_method methods[] = {
        { .name = "LocaleSet", .handle = locale_set, .charges = QUOTA_OPERATIONS },
        { .name = "TimezoneSet", .handle = timezone_set, .charges = QUOTA_OPERATIONS },
};

const struct rpc_service locale_service = {
        .descriptor = &locale__locale_client__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
