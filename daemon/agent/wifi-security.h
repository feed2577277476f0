/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What an access point asks of who joins it, out of NetworkManager's flags (NM80211ApFlags,
 * NM80211ApSecurityFlags). */

#include "util.h"

struct wifi_security {
        uint32_t flags, wpa, rsn;
};

/* "WPA2 WPA3 802.1X": as much of WEP, WPA, WPA2, WPA3, OWE and 802.1X as there is, with a blank between; ""
 * where it is open. */
#define WIFI_SECURITY_TEXT sizeof("WEP WPA WPA2 WPA3 OWE 802.1X")
const char *wifi_security_text(const struct wifi_security *security, char text[WIFI_SECURITY_TEXT]);

/* How to join it, as nm-settings(5) has it under 802-11-wireless-security.key-mgmt; NULL: it is open. */
const char *wifi_security_key_mgmt(const struct wifi_security *security);
