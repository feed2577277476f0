/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a caller says of a wireless network: its name, and settings. */
#include "fuzz.h"

#include "text.h"
#include "wifi-networks.h"
#include "wifi-settings.h"

static void try_name(const uint8_t *data, size_t size) {
        _cleanup_(arena_clear) struct arena arena = {};
        uint8_t back[WIFI_SSID_MAX];
        size_t n = MIN(size, (size_t) WIFI_SSID_MAX);
        char *text;

        arena_init(&arena, 64 * 1024);
        text = wifi_ssid_text(&arena, data, n);
        must(text && text_is_utf8(text, strlen(text)), "a name is shown as a text");
        if (n > 0)
                must(wifi_ssid_parse(text, back, &size) == 0 && size == n && memcmp(back, data, n) == 0,
                                "a name that was shown is found");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *) data, size);
        uint8_t ssid[WIFI_SSID_MAX];
        const char *problem = NULL;
        json_t *settings = NULL;
        size_t n;

        try_name(data, size);
        (void) wifi_ssid_parse(text, ssid, &n);
        if (wifi_settings_parse(text, &settings, &problem) < 0)
                must(problem, "what is no setting is said to be so");
        json_decref(settings);
        return 0;
}
