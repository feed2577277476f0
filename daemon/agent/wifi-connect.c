/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ConnectNetwork, in the order in which it happens: the network is looked for; a saved profile of it is
 * looked for, and brought up to date, or a new one is made; it is activated; and that is waited for. A
 * caller who goes away stops the waiting, not NetworkManager.
 */
#include "wifi-operation.h"

#include "arena.h"

/* Of a caller without a deadline. NetworkManager itself gives up after 25 s with the adapter, and 45 s with
 * DHCP. */
#define CONNECT_USEC (90 * USEC_PER_SEC)

enum active_state { /* NMActiveConnectionState */
        ACTIVE_ACTIVATED = 2,
        ACTIVE_DEACTIVATED = 4,
};

/* NMActiveConnectionStateReason, by NetworkManager's names. */
static const char *reason_name(uint32_t reason) {
        static const char *const names[] = { "unknown", "none", "user-disconnected", "device-disconnected",
                "service-stopped", "ip-config-invalid", "connect-timeout", "service-start-timeout",
                "service-start-failed", "no-secrets", "login-failed", "connection-removed",
                "dependency-failed", "device-realize-failed", "device-removed" };

        return reason < ELEMENTSOF(names) ? names[reason] : "unknown";
}

/* ---- waiting ---- */

/* A new profile that does not work would be tried again and again. */
static void forget_profile(struct wifi_operation *operation) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        if (operation->added && operation->connection &&
                        wifi_operation_message(
                                        operation, &m, operation->connection, NM_CONNECTION, "Delete") >= 0)
                (void) sd_bus_send(NULL, m, NULL);
}

static void judge(struct wifi_operation *operation, uint32_t state, uint32_t reason) {
        if (state == ACTIVE_ACTIVATED)
                wifi_operation_reply(operation, "Connected to %s successfully", operation->profile.name);
        else if (state == ACTIVE_DEACTIVATED) {
                forget_profile(operation);
                wifi_operation_fail(operation,
                                reason == 9 || reason == 10 ? RPC_INVALID_ARGUMENT : RPC_FAILED_PRECONDITION,
                                "NetworkManager gave up: %s", reason_name(reason));
        }
}

/* StateChanged(u state, u reason) */
static int on_state_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_) {
        struct wifi_operation *operation = userdata;
        uint32_t state, reason;

        if (operation->active && streq(sd_bus_message_get_path(m), operation->active) &&
                        sd_bus_message_read(m, "uu", &state, &reason) >= 0)
                judge(operation, state, reason);
        return 0;
}

/* InterfacesRemoved(o path, as interfaces): what has come to nothing is not kept. */
static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_) {
        struct wifi_operation *operation = userdata;
        const char *path;

        if (operation->active && sd_bus_message_read_basic(m, 'o', &path) >= 0 &&
                        streq(path, operation->active))
                judge(operation, ACTIVE_DEACTIVATED, 0);
        return 0;
}

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        wifi_operation_fail(userdata, RPC_DEADLINE_EXCEEDED,
                        "NetworkManager has not come to an end in time, and goes on");
        return 0;
}

/* What it has come to before its signals were listened to. */
static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error _unused_) {
        struct wifi_operation *operation = userdata;
        uint32_t state;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                judge(operation, ACTIVE_DEACTIVATED, 0);
                return 0;
        }
        r = sd_bus_message_read(reply, "v", "u", &state);
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                judge(operation, state, 0);
        return 0;
}

static void await(struct wifi_operation *operation) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = wifi_operation_message(
                        operation, &m, operation->active, "org.freedesktop.DBus.Properties", "Get");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", NM_ACTIVE, "State");
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                wifi_operation_ask(operation, m, on_state);
}

/* ---- activating ---- */

static int on_activated(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error _unused_) {
        struct wifi_operation *operation = userdata;
        struct arena *arena = rpc_call_arena(operation->call);
        const char *connection = operation->connection, *active;
        int r = 0;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                wifi_operation_fail_bus(operation, sd_bus_message_get_error(reply));
                return 0;
        }
        if (operation->added)
                r = sd_bus_message_read_basic(reply, 'o', &connection);
        if (r >= 0)
                r = sd_bus_message_read_basic(reply, 'o', &active);
        if (r >= 0) {
                operation->connection = arena_strdup(arena, connection);
                operation->active = arena_strdup(arena, active);
                r = operation->connection && operation->active ? 0 : -ENOMEM;
        }
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                await(operation);
        return 0;
}

static void activate(struct wifi_operation *operation) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = wifi_operation_message(operation, &m, NM_PATH, NM_NAME,
                        operation->added ? "AddAndActivateConnection" : "ActivateConnection");
        if (r >= 0)
                r = operation->added ? wifi_profile_append(m, &operation->profile, NULL)
                                     : sd_bus_message_append_basic(m, 'o', operation->connection);
        if (r >= 0)
                r = sd_bus_message_append(m, "oo", operation->device->path, operation->point->path);
        if (r >= 0)
                r = sd_bus_message_sensitive(m);
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                wifi_operation_ask(operation, m, on_activated);
}

/* Listened to before anything is begun, so that no end is missed. */
static int listen_for_the_end(struct wifi_operation *operation) {
        sd_bus *bus = bus_connection(operation->manager->system_bus);
        int r;

        if (!bus)
                return -ENOTCONN;
        r = sd_event_add_time_relative(bus_event(operation->manager->system_bus), &operation->deadline,
                        CLOCK_MONOTONIC, CONNECT_USEC, 0, on_deadline, operation);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, &operation->matches[0], NM_NAME, NULL, NM_ACTIVE,
                                "StateChanged", on_state_changed, NULL, operation);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, &operation->matches[1], NM_NAME, NULL,
                                "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", on_removed, NULL,
                                operation);
        return r;
}

/* ---- the profile ---- */

static int on_updated(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error _unused_) {
        struct wifi_operation *operation = userdata;

        if (sd_bus_message_is_method_error(reply, NULL))
                wifi_operation_fail_bus(operation, sd_bus_message_get_error(reply));
        else
                activate(operation);
        return 0;
}

/* The saved profile gets the new secrets, and keeps what else it has. */
static void update(struct wifi_operation *operation, sd_bus_message *old) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = wifi_operation_message(operation, &m, operation->connection, NM_CONNECTION, "Update");
        if (r >= 0)
                r = wifi_profile_append(m, &operation->profile, old);
        if (r >= 0)
                r = sd_bus_message_sensitive(m);
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                wifi_operation_ask(operation, m, on_updated);
}

static void look_at_next_profile(struct wifi_operation *operation);

static int on_profile(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error _unused_) {
        struct wifi_operation *operation = userdata;
        bool new_secrets = *operation->profile.password != '\0' || operation->settings;

        /* One that has gone meanwhile, or is another user's, is none for us. */
        if (sd_bus_message_is_method_error(reply, NULL) ||
                        wifi_profile_is_of(reply, operation->profile.ssid, operation->profile.n_ssid) <= 0) {
                look_at_next_profile(operation);
                return 0;
        }
        operation->connection = operation->device->profiles[operation->n_looked_at - 1];
        if (new_secrets)
                update(operation, reply);
        else
                activate(operation);
        return 0;
}

static void look_at_next_profile(struct wifi_operation *operation) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *problem;
        int r;

        if (operation->n_looked_at == operation->device->n_profiles) {
                operation->added = true;
                if (!wifi_profile_is_complete(&operation->profile, &problem))
                        wifi_operation_fail(operation, RPC_INVALID_ARGUMENT, "%s", problem);
                else
                        activate(operation);
                return;
        }
        r = wifi_operation_message(operation, &m, operation->device->profiles[operation->n_looked_at++],
                        NM_CONNECTION, "GetSettings");
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                wifi_operation_ask(operation, m, on_profile);
}

/* ---- the network ---- */

static bool find_network(struct wifi_operation *operation, const uint8_t *ssid, size_t n) {
        for (size_t i = 0; i < operation->networks.n_devices; i++) {
                const struct wifi_device *device = &operation->networks.devices[i];
                const struct wifi_access_point *point =
                                wifi_networks_find(&operation->networks, device, ssid, n);

                if (point && (!operation->point || point->strength > operation->point->strength)) {
                        operation->device = device;
                        operation->point = point;
                }
        }
        return operation->point;
}

void wifi_connect(struct wifi_operation *operation) {
        const Wifimanager__WifiConnectionRequest *request =
                        (const Wifimanager__WifiConnectionRequest *) operation->request;
        struct arena *arena = rpc_call_arena(operation->call);
        uint8_t ssid[WIFI_SSID_MAX];
        const char *problem;
        size_t n;
        int r;

        if (wifi_ssid_parse(request->ssid, ssid, &n) < 0) {
                wifi_operation_fail(operation, RPC_INVALID_ARGUMENT, "SSID must have 1 to %u bytes",
                                WIFI_SSID_MAX);
                return;
        }
        if (wifi_settings_parse(request->settings, &operation->settings, &problem) < 0) {
                wifi_operation_fail(operation, RPC_INVALID_ARGUMENT, "Settings: %s", problem);
                return;
        }
        if (!find_network(operation, ssid, n)) {
                wifi_operation_fail(operation, RPC_NOT_FOUND, "no network of that name is in sight");
                return;
        }
        operation->profile = (struct wifi_profile){
                .ssid = operation->point->ssid,
                .n_ssid = operation->point->n_ssid,
                .name = wifi_ssid_text(arena, operation->point->ssid, operation->point->n_ssid),
                .key_mgmt = wifi_security_key_mgmt(&operation->point->security),
                .password = request->password,
                .more = operation->settings,
        };
        r = operation->profile.name ? listen_for_the_end(operation) : -ENOMEM;
        if (r < 0)
                wifi_operation_fail_errno(operation, r);
        else
                look_at_next_profile(operation);
}
