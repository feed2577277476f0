/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wifi-networks.h"

#include "text.h"

#include <stdio.h>

#define INTERFACE "org.freedesktop.NetworkManager"
#define TYPE_WIFI 2 /* NM_DEVICE_TYPE_WIFI */

/* One object, as its interfaces come; what it is turns out at the end. */
struct object {
        struct wifi_access_point point;
        struct wifi_device device;
        bool is_point, is_managed;
        uint32_t device_type;
};

/* ---- properties ---- */

static int read_paths(sd_bus_message *m, struct arena *arena, size_t max, const char ***ret, size_t *ret_n) {
        const char *path;
        int r;

        *ret = arena_alloc(arena, max * sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        *ret_n = 0;
        r = sd_bus_message_enter_container(m, 'a', "o");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 'o', &path)) > 0)
                if (*ret_n < max) {
                        (*ret)[*ret_n] = arena_strdup(arena, path);
                        if (!(*ret)[*ret_n])
                                return -ENOMEM;
                        (*ret_n)++;
                }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_text(sd_bus_message *m, char type, struct arena *arena, const char **ret) {
        const char *text;
        int r = sd_bus_message_read_basic(m, type, &text);

        if (r < 0)
                return r;
        *ret = arena_strdup(arena, text);
        return *ret ? 1 : -ENOMEM;
}

static int read_ssid(sd_bus_message *m, struct wifi_access_point *point) {
        const void *bytes;
        size_t n;
        int r = sd_bus_message_read_array(m, 'y', &bytes, &n);

        if (r < 0)
                return r;
        point->n_ssid = MIN(n, (size_t) WIFI_SSID_MAX);
        if (point->n_ssid > 0)
                memcpy(point->ssid, bytes, point->n_ssid);
        return 1;
}

/* Each returns 1 when it has read the variant's content, 0 when that is of no interest. */
static int read_point(sd_bus_message *m, const char *name, const char *type, struct object *object) {
        struct wifi_access_point *point = &object->point;

        if (streq(name, "Ssid") && streq(type, "ay"))
                return read_ssid(m, point);
        if (streq(name, "Strength") && streq(type, "y"))
                return sd_bus_message_read_basic(m, 'y', &point->strength);
        if (streq(name, "Flags") && streq(type, "u"))
                return sd_bus_message_read_basic(m, 'u', &point->security.flags);
        if (streq(name, "WpaFlags") && streq(type, "u"))
                return sd_bus_message_read_basic(m, 'u', &point->security.wpa);
        if (streq(name, "RsnFlags") && streq(type, "u"))
                return sd_bus_message_read_basic(m, 'u', &point->security.rsn);
        return 0;
}

static int read_device(sd_bus_message *m, const char *name, const char *type, struct object *object,
                struct arena *arena) {
        struct wifi_device *device = &object->device;
        int managed, r;

        if (streq(name, "DeviceType") && streq(type, "u"))
                return sd_bus_message_read_basic(m, 'u', &object->device_type);
        if (streq(name, "Managed") && streq(type, "b")) {
                r = sd_bus_message_read_basic(m, 'b', &managed);
                object->is_managed = r > 0 && managed;
                return r;
        }
        if (streq(name, "Interface") && streq(type, "s"))
                return read_text(m, 's', arena, &device->interface);
        if (streq(name, "AvailableConnections") && streq(type, "ao")) {
                r = read_paths(m, arena, WIFI_PROFILES_MAX, &device->profiles, &device->n_profiles);
                return r < 0 ? r : 1;
        }
        return 0;
}

static int read_wireless(sd_bus_message *m, const char *name, const char *type, struct object *object,
                struct arena *arena) {
        struct wifi_device *device = &object->device;
        int r;

        if (streq(name, "ActiveAccessPoint") && streq(type, "o")) {
                r = read_text(m, 'o', arena, &device->active);
                if (r > 0 && streq(device->active, "/"))
                        device->active = NULL;
                return r;
        }
        if (streq(name, "AccessPoints") && streq(type, "ao")) {
                r = read_paths(m, arena, WIFI_ACCESS_POINTS_MAX, &device->seen, &device->n_seen);
                return r < 0 ? r : 1;
        }
        return 0;
}

static int read_property(
                sd_bus_message *m, const char *interface, struct object *object, struct arena *arena) {
        const char *name, *type;
        int r;

        r = sd_bus_message_read_basic(m, 's', &name);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, NULL, &type);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'v', type);
        if (r < 0)
                return r;
        if (streq(interface, INTERFACE ".AccessPoint"))
                r = read_point(m, name, type, object);
        else if (streq(interface, INTERFACE ".Device"))
                r = read_device(m, name, type, object, arena);
        else
                r = read_wireless(m, name, type, object, arena);
        if (r == 0)
                r = sd_bus_message_skip(m, type);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_interface(sd_bus_message *m, struct object *object, struct arena *arena) {
        const char *interface;
        int r;

        r = sd_bus_message_read_basic(m, 's', &interface);
        if (r < 0)
                return r;
        object->is_point = object->is_point || streq(interface, INTERFACE ".AccessPoint");
        if (!streq(interface, INTERFACE ".AccessPoint") && !streq(interface, INTERFACE ".Device") &&
                        !streq(interface, INTERFACE ".Device.Wireless"))
                return sd_bus_message_skip(m, "a{sv}");
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_property(m, interface, object, arena);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* ---- objects ---- */

static int keep(struct wifi_networks *networks, struct object *object, const char *path,
                struct arena *arena) {
        const char *copy = arena_strdup(arena, path);

        if (!copy)
                return -ENOMEM;
        if (object->is_point && networks->n_points < WIFI_ACCESS_POINTS_MAX) {
                object->point.path = copy;
                networks->points[networks->n_points++] = object->point;
        }
        if (object->device_type == TYPE_WIFI && object->is_managed &&
                        networks->n_devices < WIFI_DEVICES_MAX) {
                object->device.path = copy;
                object->device.interface = strempty(object->device.interface);
                networks->devices[networks->n_devices++] = object->device;
        }
        return 0;
}

static int read_object(struct wifi_networks *networks, sd_bus_message *m, struct arena *arena) {
        struct object object = {};
        const char *path;
        int r;

        r = sd_bus_message_read_basic(m, 'o', &path);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = read_interface(m, &object, arena);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : keep(networks, &object, path, arena);
}

int wifi_networks_read(struct wifi_networks *networks, sd_bus_message *reply, struct arena *arena) {
        int r;

        *networks = (struct wifi_networks){
                .points = arena_alloc(arena, WIFI_ACCESS_POINTS_MAX * sizeof(*networks->points)),
                .devices = arena_alloc(arena, WIFI_DEVICES_MAX * sizeof(*networks->devices)),
        };
        if (!networks->points || !networks->devices)
                return -ENOMEM;
        r = sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}")) > 0) {
                r = read_object(networks, reply, arena);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return MIN(r, 0);
}

const struct wifi_access_point *wifi_networks_point(const struct wifi_networks *networks, const char *path) {
        for (size_t i = 0; path && i < networks->n_points; i++)
                if (streq(networks->points[i].path, path))
                        return &networks->points[i];
        return NULL;
}

const struct wifi_access_point *wifi_networks_find(const struct wifi_networks *networks,
                const struct wifi_device *device, const uint8_t *ssid, size_t n) {
        const struct wifi_access_point *best = NULL;

        for (size_t i = 0; i < device->n_seen; i++) {
                const struct wifi_access_point *point = wifi_networks_point(networks, device->seen[i]);

                if (point && point->n_ssid == n && memcmp(point->ssid, ssid, n) == 0 &&
                                (!best || point->strength > best->strength))
                        best = point;
        }
        return best;
}

/* ---- names ---- */

/* Nor is what could be taken for an escape. */
static bool is_plain(const uint8_t *ssid, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (ssid[i] < 0x20 || ssid[i] == 0x7F)
                        return false;
        return !memmem(ssid, n, "\\x", 2) && text_is_utf8((const char *) ssid, n);
}

char *wifi_ssid_text(struct arena *arena, const uint8_t *ssid, size_t n) {
        char *text, *p;

        if (is_plain(ssid, n))
                return arena_memdup_text(arena, ssid, n);
        text = p = arena_alloc(arena, 4 * n + 1);
        for (size_t i = 0; text && i < n; i++) {
                if (ssid[i] >= 0x20 && ssid[i] < 0x7F && ssid[i] != '\\')
                        *p++ = (char) ssid[i];
                else
                        p += snprintf(p, 5, "\\x%02x", ssid[i]);
        }
        if (text)
                *p = '\0';
        return text;
}

static int hex(char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int wifi_ssid_parse(const char *text, uint8_t ssid[WIFI_SSID_MAX], size_t *ret_n) {
        size_t n = 0;

        while (*text) {
                bool escaped = text[0] == '\\' && text[1] == 'x' && hex(text[2]) >= 0 && hex(text[3]) >= 0;

                if (n == WIFI_SSID_MAX)
                        return -EINVAL;
                ssid[n++] = escaped ? (uint8_t) (hex(text[2]) << 4 | hex(text[3])) : (uint8_t) *text;
                text += escaped ? 4 : 1;
        }
        *ret_n = n;
        return n > 0 ? 0 : -EINVAL;
}
