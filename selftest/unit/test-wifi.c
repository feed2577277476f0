/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What access points ask for, what they are called, and what callers may add to a connection. */
#include "wifi-networks.h"
#include "wifi-settings.h"

#include <criterion/criterion.h>

Test(wifi, security_is_told_by_its_names) {
        static const struct {
                struct wifi_security security;
                const char *text, *key_mgmt;
        } cases[] = {
                { { 0, 0, 0 }, "", NULL },
                { { 1, 0, 0 }, "WEP", "none" },
                { { 1, 0x100, 0 }, "WPA", "wpa-psk" },
                { { 1, 0, 0x100 }, "WPA2", "wpa-psk" },
                { { 1, 0x100, 0x100 }, "WPA WPA2", "wpa-psk" },
                { { 1, 0, 0x400 }, "WPA3", "sae" },
                { { 1, 0, 0x500 }, "WPA2 WPA3", "wpa-psk" },
                { { 0, 0, 0x800 }, "OWE", "owe" },
                { { 0, 0, 0x1000 }, "OWE", "owe" },
                { { 1, 0, 0x200 }, "WPA2 802.1X", "wpa-eap" },
                { { 1, 0x200, 0 }, "WPA 802.1X", "wpa-eap" },
                { { 1, 0, 0x2000 }, "WPA3 802.1X", "wpa-eap-suite-b-192" },
                { { UINT32_MAX, UINT32_MAX, UINT32_MAX }, "WPA WPA2 WPA3 OWE 802.1X", "wpa-eap" },
        };
        char text[WIFI_SECURITY_TEXT];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *key_mgmt = wifi_security_key_mgmt(&cases[i].security);

                cr_expect_str_eq(wifi_security_text(&cases[i].security, text), cases[i].text);
                cr_expect(cases[i].key_mgmt ? key_mgmt && streq(key_mgmt, cases[i].key_mgmt) : !key_mgmt);
        }
}

Test(wifi, names_of_any_bytes_come_back_as_they_were) {
        static const char *const names[] = { "Home", "Neues Caf\xc3\xa9", "a\\x", "a\\xff", "\xff\x01\x7f",
                "\\x41\xff", "" };
        _cleanup_(arena_clear) struct arena arena = {};
        uint8_t back[WIFI_SSID_MAX];
        size_t n;

        arena_init(&arena, 64 * 1024);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char *text = wifi_ssid_text(&arena, (const uint8_t *) names[i], strlen(names[i]));

                cr_expect_eq(wifi_ssid_parse(text, back, &n), *names[i] ? 0 : -EINVAL);
                cr_expect(n == strlen(names[i]) && memcmp(back, names[i], n) == 0, "%s", text);
        }
        cr_expect_str_eq(wifi_ssid_text(&arena, (const uint8_t *) "a\0\n", 3), "a\\x00\\x0a");
        cr_expect_eq(wifi_ssid_parse("123456789012345678901234567890123", back, &n), -EINVAL);
}

Test(wifi, settings_have_known_sections_and_simple_values) {
        static const char *const bad[] = { "[]", "{", "1", "{\"vpn\": {}}", "{\"802-1x\": 1}",
                "{\"802-1x\": {\"a\": null}}", "{\"802-1x\": {\"a\": [[]]}}",
                "{\"802-1x\": {\"a\": 2147483648}}", "{\"connection\": {\"permissions\": []}}",
                "{\"802-11-wireless\": {\"ssid\": \"x\"}}", "{\"802-1x\": {}, \"802-1x\": {}}" };
        const char *problem = NULL;
        json_t *settings;

        cr_expect_eq(wifi_settings_parse("", &settings, &problem), 0);
        cr_expect_null(settings);
        cr_expect_eq(wifi_settings_parse("{\"802-1x\": {\"eap\": [\"peap\"], \"a\": 1, \"b\": true}, "
                                         "\"connection\": "
                                         "{\"autoconnect\": false}}",
                                     &settings, &problem),
                        0);
        json_decref(settings);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                problem = NULL;
                cr_expect_eq(wifi_settings_parse(bad[i], &settings, &problem), -EINVAL, "%s", bad[i]);
                cr_expect(problem && !settings);
        }
}
