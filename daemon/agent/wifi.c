/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wifi.h"

#include "arena.h"
#include "log.h"
#include "text.h"
#include "unit-error.h"
#include "unit-message.h"
#include "wifi-operation.h"

#include <stdarg.h>
#include <stdio.h>

/* NetworkManager answers at once what it knows; a rescan or a deactivation it only begins. */
#define ANSWER_USEC (30 * USEC_PER_SEC)

/* ---- the end ---- */

/* Ends it, and what it waits for; the call is the caller's to finish. */
static struct rpc_call *leave(struct wifi_operation *operation) {
        operation->pending = sd_bus_slot_unref(operation->pending);
        for (size_t i = 0; i < ELEMENTSOF(operation->matches); i++)
                operation->matches[i] = sd_bus_slot_unref(operation->matches[i]);
        operation->deadline = sd_event_source_disable_unref(operation->deadline);
        json_decref(operation->settings);
        operation->settings = NULL;
        return operation->call;
}

static void operation_gone(struct rpc_call *call _unused_, void *userdata) {
        leave(userdata);
}

void wifi_operation_fail(struct wifi_operation *operation, enum rpc_code code, const char *format, ...) {
        const struct log_fields fields = {
                .method = rpc_call_path(operation->call) + 1,
                .peer = rpc_call_peer(operation->call)->name,
                .status = rpc_code_name(code),
        };
        _cleanup_(freep) char *text = NULL;
        const char *what = operation->what;
        va_list ap;

        va_start(ap, format);
        text = text_vprintf(format, ap);
        va_end(ap);
        if (peer_limit_pass(&operation->manager->refusals, fields.peer))
                log_event(LOG_WARNING, &fields, "%s: %s: %s", fields.peer, what, strempty(text));
        rpc_call_fail(leave(operation), code, "%s: %s", what, strempty(text));
}

static enum rpc_code code_of(const sd_bus_error *error) {
        static const struct {
                const char *end;
                enum rpc_code code;
        } codes[] = {
                { ".PermissionDenied", RPC_PERMISSION_DENIED },
                { ".AccessDenied", RPC_PERMISSION_DENIED },
                { ".UnknownConnection", RPC_NOT_FOUND },
                { ".UnknownDevice", RPC_NOT_FOUND },
                { ".InvalidProperty", RPC_INVALID_ARGUMENT },
                { ".MissingProperty", RPC_INVALID_ARGUMENT },
                { ".InvalidSetting", RPC_INVALID_ARGUMENT },
                { ".MissingSetting", RPC_INVALID_ARGUMENT },
                { ".InvalidConnection", RPC_INVALID_ARGUMENT },
        };

        for (size_t i = 0; i < ELEMENTSOF(codes); i++)
                if (endswith(error->name, codes[i].end))
                        return codes[i].code;
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                        sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return RPC_UNAVAILABLE;
        return startswith(error->name, NM_NAME) ? RPC_FAILED_PRECONDITION
                                                : unit_error_code(unit_error_from_bus(error));
}

void wifi_operation_fail_bus(struct wifi_operation *operation, const sd_bus_error *error) {
        enum rpc_code code = code_of(error);

        if (code == RPC_UNAVAILABLE)
                wifi_operation_fail(operation, code, "NetworkManager does not run");
        else
                wifi_operation_fail(operation, code, "%s: %s", error->name, strempty(error->message));
}

void wifi_operation_fail_errno(struct wifi_operation *operation, int error) {
        wifi_operation_fail(operation, unit_error_code(error), "%s",
                        error == -ENOTCONN ? "there is no D-Bus to do it by" : strerror(-error));
}

void wifi_operation_reply(struct wifi_operation *operation, const char *format, ...) {
        Wifimanager__WifiConnectionResponse response = WIFIMANAGER__WIFI_CONNECTION_RESPONSE__INIT;
        _cleanup_(freep) char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = text_vprintf(format, ap);
        va_end(ap);
        response.response = (char *) strempty(text);
        rpc_call_reply(leave(operation), &response.base);
}

/* ---- asking NetworkManager ---- */

int wifi_operation_message(struct wifi_operation *operation, sd_bus_message **ret, const char *path,
                const char *interface, const char *method) {
        sd_bus *connection = bus_connection(operation->manager->system_bus);

        return connection ? sd_bus_message_new_method_call(connection, ret, NM_NAME, path, interface, method)
                          : -ENOTCONN;
}

void wifi_operation_ask(
                struct wifi_operation *operation, sd_bus_message *m, sd_bus_message_handler_t answered) {
        int r;

        operation->pending = sd_bus_slot_unref(operation->pending);
        r = sd_bus_call_async(
                        sd_bus_message_get_bus(m), &operation->pending, m, answered, operation, ANSWER_USEC);
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
}

static int on_networks(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error _unused_) {
        struct wifi_operation *operation = userdata;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                wifi_operation_fail_bus(operation, sd_bus_message_get_error(reply));
                return 0;
        }
        r = wifi_networks_read(&operation->networks, reply, rpc_call_arena(operation->call));
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else if (operation->networks.n_devices == 0)
                wifi_operation_fail(operation, RPC_FAILED_PRECONDITION,
                                "there is no Wi-Fi adapter that NetworkManager manages");
        else
                operation->next(operation);
        return 0;
}

static struct wifi_operation *operation_new(struct manager *manager, struct rpc_call *call,
                const ProtobufCMessage *request, const char *what) {
        static const struct rpc_call_ops ops = { .gone = operation_gone };
        struct wifi_operation *operation;

        operation = arena_alloc0(rpc_call_arena(call), sizeof(*operation));
        if (!operation) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return NULL;
        }
        operation->manager = manager;
        operation->call = call;
        operation->request = request;
        operation->what = what;
        rpc_call_set_ops(call, &ops, operation);
        return operation;
}

/* Looks at what there is, and goes on from there. */
static void begin(struct manager *manager, struct rpc_call *call, const ProtobufCMessage *request,
                const char *what, void (*next)(struct wifi_operation *operation)) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct wifi_operation *operation = operation_new(manager, call, request, what);
        int r;

        if (!operation)
                return;
        operation->next = next;
        r = wifi_operation_message(operation, &m, "/org/freedesktop", "org.freedesktop.DBus.ObjectManager",
                        "GetManagedObjects");
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                wifi_operation_ask(operation, m, on_networks);
}

/* ---- what there is ---- */

static bool fill_in(struct wifi_operation *operation, const struct wifi_access_point *point, bool in_use,
                Wifimanager__AccessPoint *ret) {
        struct arena *arena = rpc_call_arena(operation->call);
        char security[WIFI_SECURITY_TEXT];

        wifimanager__access_point__init(ret);
        ret->connection = in_use;
        ret->ssid = wifi_ssid_text(arena, point->ssid, point->n_ssid);
        ret->signal = point->strength;
        ret->security = arena_strdup(arena, wifi_security_text(&point->security, security));
        return ret->ssid && ret->security;
}

static bool same_name(const struct wifi_access_point *a, const struct wifi_access_point *b) {
        return a->n_ssid == b->n_ssid && memcmp(a->ssid, b->ssid, a->n_ssid) == 0;
}

/* Whether an adapter uses a network of that name. */
static bool is_in_use(const struct wifi_networks *networks, const struct wifi_access_point *point) {
        for (size_t i = 0; i < networks->n_devices; i++) {
                const struct wifi_access_point *active =
                                wifi_networks_point(networks, networks->devices[i].active);

                if (active && same_name(active, point))
                        return true;
        }
        return false;
}

/* The strongest of its name; of equals, the first. */
static bool stands_for_its_name(const struct wifi_networks *networks, size_t i) {
        const struct wifi_access_point *point = &networks->points[i];

        for (size_t j = 0; j < networks->n_points; j++) {
                const struct wifi_access_point *other = &networks->points[j];

                if (j != i && same_name(other, point) &&
                                (other->strength > point->strength ||
                                                (other->strength == point->strength && j < i)))
                        return false;
        }
        return point->n_ssid > 0;
}

static int compare_strength(const void *a, const void *b) {
        const Wifimanager__AccessPoint *const *p = a, *const *q = b;

        return ((*p)->signal < (*q)->signal) - ((*p)->signal > (*q)->signal);
}

/* For whoever asks next: this answer does not wait for it, and NetworkManager knows best when the last one
 * was. */
static void look_around(struct wifi_operation *operation) {
        for (size_t i = 0; i < operation->networks.n_devices; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

                if (wifi_operation_message(operation, &m, operation->networks.devices[i].path,
                                    NM_NAME ".Device.Wireless", "RequestScan") >= 0 &&
                                sd_bus_message_append(m, "a{sv}", 0) >= 0 &&
                                sd_bus_message_set_expect_reply(m, false) >= 0)
                        (void) sd_bus_send(NULL, m, NULL);
        }
}

static void list(struct wifi_operation *operation) {
        const Wifimanager__WifiNetworkRequest *request =
                        (const Wifimanager__WifiNetworkRequest *) operation->request;
        Wifimanager__WifiNetworkResponse response = WIFIMANAGER__WIFI_NETWORK_RESPONSE__INIT;
        struct wifi_networks *networks = &operation->networks;
        struct arena *arena = rpc_call_arena(operation->call);
        Wifimanager__AccessPoint *points = arena_alloc(arena, networks->n_points * sizeof(*points));

        response.networks = arena_alloc(arena, networks->n_points * sizeof(*response.networks));
        if (!points || !response.networks) {
                wifi_operation_fail_errno(operation, -ENOMEM);
                return;
        }
        for (size_t i = 0; i < networks->n_points; i++) {
                Wifimanager__AccessPoint *point = &points[response.n_networks];

                if (!stands_for_its_name(networks, i))
                        continue;
                if (!fill_in(operation, &networks->points[i], is_in_use(networks, &networks->points[i]),
                                    point)) {
                        wifi_operation_fail_errno(operation, -ENOMEM);
                        return;
                }
                if (isempty(request->networkname) || streq(point->ssid, request->networkname))
                        response.networks[response.n_networks++] = point;
        }
        look_around(operation);
        qsort(response.networks, response.n_networks, sizeof(*response.networks), compare_strength);
        rpc_call_reply(leave(operation), &response.base);
}

static void tell_active(struct wifi_operation *operation) {
        Wifimanager__AccessPoint answer = WIFIMANAGER__ACCESS_POINT__INIT;
        const struct wifi_access_point *point = NULL;

        for (size_t i = 0; i < operation->networks.n_devices && !point; i++)
                point = wifi_networks_point(&operation->networks, operation->networks.devices[i].active);
        if (point && !fill_in(operation, point, true, &answer)) {
                wifi_operation_fail_errno(operation, -ENOMEM);
                return;
        }
        rpc_call_reply(leave(operation), &answer.base);
}

/* ---- off and on ---- */

static int on_disconnected(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error _unused_) {
        struct wifi_operation *operation = userdata;

        if (sd_bus_message_is_method_error(reply, NULL))
                wifi_operation_fail_bus(operation, sd_bus_message_get_error(reply));
        else
                wifi_operation_reply(
                                operation, "%s disconnected successfully", operation->device->interface);
        return 0;
}

/* The adapter that is in use, else the first: NetworkManager says what is wrong with that. */
static void disconnect(struct wifi_operation *operation) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        operation->device = &operation->networks.devices[0];
        for (size_t i = 0; i < operation->networks.n_devices; i++)
                if (operation->networks.devices[i].active) {
                        operation->device = &operation->networks.devices[i];
                        break;
                }
        r = wifi_operation_message(operation, &m, operation->device->path, NM_NAME ".Device", "Disconnect");
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                wifi_operation_ask(operation, m, on_disconnected);
}

static int on_switched_on(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error _unused_) {
        if (sd_bus_message_is_method_error(reply, NULL))
                wifi_operation_fail_bus(userdata, sd_bus_message_get_error(reply));
        else
                wifi_operation_reply(userdata, "Wireless enabled successfully");
        return 0;
}

static int on_switched_off(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error _unused_) {
        if (sd_bus_message_is_method_error(reply, NULL))
                wifi_operation_fail_bus(userdata, sd_bus_message_get_error(reply));
        else
                wifi_operation_reply(userdata, "Wireless disabled successfully");
        return 0;
}

static void switch_radio(
                struct manager *manager, struct rpc_call *call, const ProtobufCMessage *request, bool on) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct wifi_operation *operation;
        int r;

        operation = operation_new(
                        manager, call, request, on ? "cannot enable Wi-Fi" : "cannot disable Wi-Fi");
        if (!operation)
                return;
        r = wifi_operation_message(operation, &m, NM_PATH, "org.freedesktop.DBus.Properties", "Set");
        if (r >= 0)
                r = sd_bus_message_append(m, "ssv", NM_NAME, "WirelessEnabled", "b", on);
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                wifi_operation_ask(operation, m, on ? on_switched_on : on_switched_off);
}

/* ---- the service ---- */

static void list_network(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        begin(userdata, call, request, "cannot list networks", list);
}

static void get_active_connection(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        begin(userdata, call, request, "cannot tell the active connection", tell_active);
}

static void connect_network(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        begin(userdata, call, request, "cannot connect", wifi_connect);
}

static void disconnect_network(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        begin(userdata, call, request, "cannot disconnect", disconnect);
}

static void turn_on(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        switch_radio(userdata, call, request, true);
}

static void turn_off(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        switch_radio(userdata, call, request, false);
}

static const struct rpc_method methods[] = {
        { .name = "ListNetwork", .handle = list_network, .charges = QUOTA_OPERATIONS },
        { .name = "GetActiveConnection", .handle = get_active_connection, .charges = QUOTA_OPERATIONS },
        { .name = "ConnectNetwork", .handle = connect_network, .charges = QUOTA_OPERATIONS },
        { .name = "DisconnectNetwork", .handle = disconnect_network, .charges = QUOTA_OPERATIONS },
        { .name = "TurnOn", .handle = turn_on, .charges = QUOTA_OPERATIONS },
        { .name = "TurnOff", .handle = turn_off, .charges = QUOTA_OPERATIONS },
};

const struct rpc_service wifi_service = {
        .descriptor = &wifimanager__wifi_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
