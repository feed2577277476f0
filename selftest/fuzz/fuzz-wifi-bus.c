/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What NetworkManager answers: objects and settings, with the properties that we read and others, of the
 * types that they have or others; sd-bus has seen to it that the bytes are a message.
 */
#include "bus-message.h"

#include "wifi-networks.h"
#include "wifi-settings.h"

#define NM "org.freedesktop.NetworkManager"

static const char *const interfaces[] = { NM ".AccessPoint", NM ".Device", NM ".Device.Wireless",
        NM ".Other", "connection", "802-11-wireless", "802-11-wireless-security", "802-1x" };
static const char *const properties[] = { "Ssid", "Strength", "Flags", "WpaFlags", "RsnFlags", "DeviceType",
        "Managed", "Interface", "AvailableConnections", "ActiveAccessPoint", "AccessPoints", "ssid",
        "key-mgmt", "psk", "id", "type" };
static const char *const types[] = { "y", "u", "b", "s", "o", "ay", "ao", "as" };
static const char *const texts[] = { "/", "/1", "/2", "wlan0", "Home", "" };

/* a{sa{sv}} */
static void append_sections(sd_bus_message *m, const uint8_t **data, size_t *size) {
        uint8_t sections = take_byte(data, size) % 8;

        must(sd_bus_message_open_container(m, 'a', "{sa{sv}}") >= 0, "sections are begun");
        for (uint8_t i = 0; i < sections; i++) {
                uint8_t byte = take_byte(data, size), n = take_byte(data, size) % 8;

                must(sd_bus_message_open_container(m, 'e', "sa{sv}") >= 0 &&
                                                sd_bus_message_append(m, "s", pick(interfaces, byte)) >= 0 &&
                                                sd_bus_message_open_container(m, 'a', "{sv}") >= 0,
                                "a section is begun");
                for (uint8_t k = 0; k < n; k++) {
                        byte = take_byte(data, size);
                        append_property(m, pick(properties, byte), pick(types, take_byte(data, size)), texts,
                                        ELEMENTSOF(texts), data, size);
                }
                must(sd_bus_message_close_container(m) >= 0 && sd_bus_message_close_container(m) >= 0,
                                "a section is ended");
        }
        must(sd_bus_message_close_container(m) >= 0, "sections are ended");
}

static void try_objects(const uint8_t *data, size_t size) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_message();
        _cleanup_(arena_clear) struct arena arena = {};
        char text[WIFI_SECURITY_TEXT];
        struct wifi_networks networks;

        must(sd_bus_message_open_container(m, 'a', "{oa{sa{sv}}}") >= 0, "objects are begun");
        while (size > 0) {
                uint8_t byte = take_byte(&data, &size);

                must(sd_bus_message_open_container(m, 'e', "oa{sa{sv}}") >= 0 &&
                                                sd_bus_message_append(m, "o", pick(texts, byte % 3u)) >= 0,
                                "an object is begun");
                append_sections(m, &data, &size);
                must(sd_bus_message_close_container(m) >= 0, "an object is ended");
        }
        must(sd_bus_message_close_container(m) >= 0, "objects are ended");
        seal(m);

        arena_init(&arena, 1024 * 1024);
        if (wifi_networks_read(&networks, m, &arena) < 0)
                return;
        for (size_t i = 0; i < networks.n_points; i++) {
                struct wifi_access_point *point = &networks.points[i];

                must(point->n_ssid <= WIFI_SSID_MAX, "a name has at most 32 bytes");
                (void) wifi_security_text(&point->security, text);
                (void) wifi_security_key_mgmt(&point->security);
                for (size_t k = 0; k < networks.n_devices; k++)
                        (void) wifi_networks_find(
                                        &networks, &networks.devices[k], point->ssid, point->n_ssid);
        }
}

static void try_settings(const uint8_t *data, size_t size) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *old = new_message(), *m = new_message();
        const struct wifi_profile profile = {
                .ssid = (const uint8_t *) "Home",
                .n_ssid = 4,
                .name = "Home",
                .key_mgmt = "wpa-psk",
                .password = "12345678",
        };
        int r;

        append_sections(old, &data, &size);
        seal(old);
        r = wifi_profile_is_of(old, profile.ssid, profile.n_ssid);
        must(sd_bus_message_rewind(old, true) >= 0, "it is read again");
        if (wifi_profile_append(m, &profile, old) < 0)
                return;
        seal(m);
        must(r <= 0 || wifi_profile_is_of(m, profile.ssid, profile.n_ssid) == 1, "a network keeps its name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (take_byte(&data, &size) & 1)
                try_settings(data, size);
        else
                try_objects(data, size);
        return 0;
}
