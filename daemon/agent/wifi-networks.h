/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What NetworkManager knows of the air, at one moment: all that is here is in an arena. */

#include "arena.h"
#include "wifi-security.h"

#include <systemd/sd-bus.h>

/* Bounds of what is kept; what is beyond is left out. An airport has a few hundred access points. */
#define WIFI_ACCESS_POINTS_MAX 1024
#define WIFI_DEVICES_MAX       16
#define WIFI_PROFILES_MAX      256
/* IEEE 802.11 */
#define WIFI_SSID_MAX 32

struct wifi_access_point {
        const char *path;
        uint8_t ssid[WIFI_SSID_MAX]; /* any bytes */
        size_t n_ssid;
        uint8_t strength; /* percent */
        struct wifi_security security;
};

/* An adapter that NetworkManager manages. */
struct wifi_device {
        const char *path, *interface;
        const char *active; /* the path of the access point in use; NULL: none */
        const char **seen;  /* paths of the access points that it sees */
        size_t n_seen;
        const char **profiles; /* paths of saved connections that could be used now */
        size_t n_profiles;
};

struct wifi_networks {
        struct wifi_access_point *points;
        size_t n_points;
        struct wifi_device *devices;
        size_t n_devices;
};

/* Out of the answer to GetManagedObjects(). 0, -ENOMEM, or what sd-bus says of a message that is not like
 * that. */
int wifi_networks_read(struct wifi_networks *networks, sd_bus_message *reply, struct arena *arena);

/* NULL: there is none. */
const struct wifi_access_point *wifi_networks_point(const struct wifi_networks *networks, const char *path);
/* The strongest that the device sees of that name. */
const struct wifi_access_point *wifi_networks_find(const struct wifi_networks *networks,
                const struct wifi_device *device, const uint8_t *ssid, size_t n);

/* A name as a text: itself where it is UTF-8 without control characters and \x; else bytes that are not
 * printable ASCII, and backslashes, are \xHH. NULL: ENOMEM. */
char *wifi_ssid_text(struct arena *arena, const uint8_t *ssid, size_t n);
/* And back. -EINVAL: that is longer than a name can be, or empty. */
int wifi_ssid_parse(const char *text, uint8_t ssid[WIFI_SSID_MAX], size_t *ret_n);
