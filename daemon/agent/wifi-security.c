/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wifi-security.h"

#define FLAG_PRIVACY 0x1

#define KEY_PSK         0x100
#define KEY_8021X       0x200
#define KEY_SAE         0x400
#define KEY_OWE         0x800
#define KEY_OWE_TM      0x1000
#define KEY_EAP_SUITE_B 0x2000

static bool is_wep(const struct wifi_security *security) {
        return (security->flags & FLAG_PRIVACY) && security->wpa == 0 && security->rsn == 0;
}

static bool is_8021x(const struct wifi_security *security) {
        return (security->wpa | security->rsn) & (KEY_8021X | KEY_EAP_SUITE_B);
}

const char *wifi_security_text(const struct wifi_security *security, char text[WIFI_SECURITY_TEXT]) {
        const struct {
                bool has;
                const char *name;
        } kinds[] = {
                { is_wep(security), "WEP" },
                { security->wpa != 0, "WPA" },
                { security->rsn & (KEY_PSK | KEY_8021X), "WPA2" },
                { security->rsn & (KEY_SAE | KEY_EAP_SUITE_B), "WPA3" },
                { security->rsn & (KEY_OWE | KEY_OWE_TM), "OWE" },
                { is_8021x(security), "802.1X" },
        };
        char *p = text;

        *p = '\0';
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                if (!kinds[i].has)
                        continue;
                if (p > text)
                        *p++ = ' ';
                p = stpcpy(p, kinds[i].name);
        }
        return text;
}

const char *wifi_security_key_mgmt(const struct wifi_security *security) {
        if ((security->rsn & KEY_EAP_SUITE_B) && !((security->wpa | security->rsn) & KEY_8021X))
                return "wpa-eap-suite-b-192";
        if (is_8021x(security))
                return "wpa-eap";
        /* One that offers both is joined as its weaker clients do: the password is the same, and
         * NetworkManager takes the stronger by itself. */
        if ((security->wpa | security->rsn) & KEY_PSK)
                return "wpa-psk";
        if (security->rsn & KEY_SAE)
                return "sae";
        if (security->rsn & (KEY_OWE | KEY_OWE_TM))
                return "owe";
        return is_wep(security) ? "none" : NULL;
}
