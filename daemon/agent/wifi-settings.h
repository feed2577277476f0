/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A saved connection of NetworkManager's (nm-settings-dbus(5)), as we write it. */

#include "wifi-networks.h"

#include <jansson.h>

/* What is asked for. */
struct wifi_profile {
        const uint8_t *ssid;
        size_t n_ssid;
        const char *name;     /* the same as a text */
        const char *key_mgmt; /* wifi_security_key_mgmt() */
        const char *password; /* "": none */
        const json_t *more;   /* settings to be merged, {"802-1x": {"identity": …}}; NULL: none */
};

/* A text of at most WIFI_SETTINGS_BYTES_MAX; "" is none. 0; -EINVAL, with *ret_problem saying what is wrong
 * and what is allowed: it names no value; static text. */
#define WIFI_SETTINGS_BYTES_MAX (16 * 1024)
int wifi_settings_parse(const char *text, json_t **ret, const char **ret_problem);

/* Whether that is enough to join a network; else *ret_problem says what is missing. */
bool wifi_profile_is_complete(const struct wifi_profile *profile, const char **ret_problem);

/*
 * Appends a{sa{sv}}: a new profile or, where old is an answer to GetSettings(), that one with the password
 * and what is added in place of what it had there. 0 or a negative errno.
 */
int wifi_profile_append(sd_bus_message *m, const struct wifi_profile *profile, sd_bus_message *old);

/* Whether an answer to GetSettings() is of a network of that name: 1, 0, or a negative errno. */
int wifi_profile_is_of(sd_bus_message *reply, const uint8_t *ssid, size_t n);
