/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wifi-settings.h"

#define CONNECTION "connection"
#define WIRELESS   "802-11-wireless"
#define SECURITY   "802-11-wireless-security"
#define EAP        "802-1x"

/* The sections that are ours, in order. Of the first two, these are not the caller's to say. */
static const char *const sections[] = { CONNECTION, WIRELESS, SECURITY, EAP };
static const char *const reserved[] = { "id", "uuid", "type", "interface-name", "permissions", "ssid",
        "mode", "security" };

static bool is_one_of(const char *name, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (streq(name, names[i]))
                        return true;
        return false;
}

/* ---- what a caller may add ---- */

static const char *check_value(const json_t *value) {
        if (json_is_string(value) || json_is_boolean(value))
                return NULL;
        if (json_is_integer(value))
                return json_integer_value(value) < INT32_MIN || json_integer_value(value) > INT32_MAX
                                ? "a number has more than 32 bits"
                                : NULL;
        if (!json_is_array(value))
                return "a value is no text, number, true, false, or list of texts";
        for (size_t i = 0; i < json_array_size(value); i++)
                if (!json_is_string(json_array_get(value, i)))
                        return "a list has something that is no text";
        return NULL;
}

static const char *check_settings(const json_t *settings) {
        const char *section, *name, *problem;
        json_t *values, *value;

        json_object_foreach((json_t *) settings, section, values) {
                if (!is_one_of(section, sections, ELEMENTSOF(sections)) || !json_is_object(values))
                        return "there is a section that is no object, or none of 802-1x, "
                               "802-11-wireless-security, "
                               "802-11-wireless and connection";
                json_object_foreach(values, name, value) {
                        if ((streq(section, CONNECTION) || streq(section, WIRELESS)) &&
                                        is_one_of(name, reserved, ELEMENTSOF(reserved)))
                                return "the network's name, type and owner are not for Settings to say";
                        problem = check_value(value);
                        if (problem)
                                return problem;
                }
        }
        return NULL;
}

int wifi_settings_parse(const char *text, json_t **ret, const char **ret_problem) {
        json_error_t error;
        json_t *settings;

        *ret = NULL;
        if (*text == '\0')
                return 0;
        if (strlen(text) > WIFI_SETTINGS_BYTES_MAX) {
                *ret_problem = "more than 16 KiB";
                return -EINVAL;
        }
        settings = json_loads(text, JSON_REJECT_DUPLICATES, &error);
        *ret_problem = json_is_object(settings) ? check_settings(settings) : "not a JSON object";
        if (*ret_problem) {
                json_decref(settings);
                return -EINVAL;
        }
        *ret = settings;
        return 0;
}

static const json_t *get_more(const struct wifi_profile *profile, const char *section, const char *name) {
        return json_object_get(json_object_get(profile->more, section), name);
}

bool wifi_profile_is_complete(const struct wifi_profile *profile, const char **ret_problem) {
        *ret_problem = NULL;
        if (!profile->key_mgmt || streq(profile->key_mgmt, "owe"))
                return true;
        if (startswith(profile->key_mgmt, "wpa-eap")) {
                if (!get_more(profile, EAP, "eap"))
                        *ret_problem = "it is one with 802.1X: Settings must have a section 802-1x, with "
                                       "eap and what that needs";
        } else if (*profile->password == '\0' && !get_more(profile, SECURITY, "psk"))
                *ret_problem = "a Password is needed";
        return !*ret_problem;
}

/* ---- writing ---- */

/* In NetworkManager's interface these are bytes; a file's URL ends in NUL. */
static bool is_bytes(const char *name) {
        static const char *const names[] = { "ca-cert", "client-cert", "private-key", "phase2-ca-cert",
                "phase2-client-cert", "phase2-private-key", "password-raw" };

        return is_one_of(name, names, ELEMENTSOF(names));
}

static bool is_unsigned(const char *name) {
        size_t n = strlen(name);

        return n >= 5 && streq(name + n - 5, "flags");
}

static int open_entry(sd_bus_message *m, const char *name, const char *type) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', name);
        return r < 0 ? r : sd_bus_message_open_container(m, 'v', type);
}

static int close_entry(sd_bus_message *m, int r) {
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_text(sd_bus_message *m, const char *name, const char *text) {
        int r = open_entry(m, name, "s");

        return r < 0 ? r : close_entry(m, sd_bus_message_append_basic(m, 's', text));
}

static int append_bytes(sd_bus_message *m, const char *name, const void *bytes, size_t n) {
        int r = open_entry(m, name, "ay");

        return r < 0 ? r : close_entry(m, sd_bus_message_append_array(m, 'y', bytes, n));
}

static int append_texts(sd_bus_message *m, const char *name, const json_t *texts) {
        int r = open_entry(m, name, "as");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < json_array_size(texts); i++)
                r = sd_bus_message_append_basic(m, 's', json_string_value(json_array_get(texts, i)));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : close_entry(m, 0);
}

static int append_number(sd_bus_message *m, const char *name, int32_t number) {
        bool wide = is_unsigned(name);
        int r = open_entry(m, name, wide ? "u" : "i");

        return r < 0 ? r : close_entry(m, sd_bus_message_append_basic(m, wide ? 'u' : 'i', &number));
}

static int append_flag(sd_bus_message *m, const char *name, bool flag) {
        int r = open_entry(m, name, "b");

        return r < 0 ? r : close_entry(m, sd_bus_message_append_basic(m, 'b', &(int){ flag }));
}

static int append_value(sd_bus_message *m, const char *name, const json_t *value) {
        const char *text = json_string_value(value);

        if (text && is_bytes(name))
                return append_bytes(m, name, text, strlen(text) + (startswith(text, "file://") != NULL));
        if (text)
                return append_text(m, name, text);
        if (json_is_array(value))
                return append_texts(m, name, value);
        if (json_is_integer(value))
                return append_number(m, name, (int32_t) json_integer_value(value));
        return append_flag(m, name, json_is_true(value));
}

static bool is_eap(const struct wifi_profile *profile) {
        return profile->key_mgmt && startswith(profile->key_mgmt, "wpa-eap");
}

/* What the password is called in the section; NULL: it is not there, or the caller has said it in Settings.
 */
static const char *password_name(const struct wifi_profile *profile, const char *section) {
        const char *name = NULL;

        if (*profile->password == '\0' || !profile->key_mgmt)
                return NULL;
        if (streq(section, EAP) && is_eap(profile))
                name = "password";
        if (streq(section, SECURITY) && !is_eap(profile))
                name = streq(profile->key_mgmt, "none") ? "wep-key0" : "psk";
        return name && !get_more(profile, section, name) ? name : NULL;
}

/* What a section of a new profile has without the caller's saying so; where the caller says something else,
 * that goes. */
static int append_basics(sd_bus_message *m, const struct wifi_profile *profile, const char *section) {
        int r;

        if (streq(section, CONNECTION)) {
                r = append_text(m, "id", profile->name);
                return r < 0 ? r : append_text(m, "type", WIRELESS);
        }
        if (streq(section, WIRELESS)) {
                r = append_bytes(m, "ssid", profile->ssid, profile->n_ssid);
                if (r >= 0)
                        r = append_text(m, "mode", "infrastructure");
                return r < 0 || !profile->key_mgmt ? r : append_text(m, "security", SECURITY);
        }
        if (streq(section, SECURITY) && !get_more(profile, SECURITY, "key-mgmt"))
                return append_text(m, "key-mgmt", profile->key_mgmt);
        return 0;
}

/* The password, and what the caller adds. */
static int append_given(sd_bus_message *m, const struct wifi_profile *profile, const char *section) {
        const json_t *more = json_object_get(profile->more, section);
        const char *password = password_name(profile, section), *name;
        json_t *value;
        int r = 0;

        if (password)
                r = append_text(m, password, profile->password);
        json_object_foreach((json_t *) more, name, value) if (r >= 0) r = append_value(m, name, value);
        return r;
}

static int open_section(sd_bus_message *m, const char *section) {
        int r = sd_bus_message_open_container(m, 'e', "sa{sv}");

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', section);
        return r < 0 ? r : sd_bus_message_open_container(m, 'a', "{sv}");
}

static int close_section(sd_bus_message *m) {
        int r = sd_bus_message_close_container(m);

        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* ---- a new profile ---- */

static bool has_section(const struct wifi_profile *profile, const char *section) {
        if (streq(section, EAP))
                return is_eap(profile);
        return !streq(section, SECURITY) || profile->key_mgmt;
}

static int append_section(sd_bus_message *m, const struct wifi_profile *profile, const char *section) {
        int r = open_section(m, section);

        if (r >= 0)
                r = append_basics(m, profile, section);
        if (r >= 0)
                r = append_given(m, profile, section);
        return r < 0 ? r : close_section(m);
}

/* ---- a saved one: it keeps all that is not given anew ---- */

static int copy_value(sd_bus_message *m, sd_bus_message *old, const struct wifi_profile *profile,
                const char *section) {
        const char *name, *password = password_name(profile, section);
        int r;

        r = sd_bus_message_read_basic(old, 's', &name);
        if (r < 0)
                return r;
        if (get_more(profile, section, name) || (password && streq(name, password)))
                return sd_bus_message_skip(old, "v");
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', name);
        if (r >= 0)
                r = sd_bus_message_copy(m, old, false);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int copy_section(sd_bus_message *m, sd_bus_message *old, const struct wifi_profile *profile,
                const char *section) {
        int r;

        r = open_section(m, section);
        if (r >= 0)
                r = sd_bus_message_enter_container(old, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(old, 'e', "sv")) > 0) {
                r = copy_value(m, old, profile, section);
                if (r >= 0)
                        r = sd_bus_message_exit_container(old);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(old);
        if (r >= 0)
                r = append_given(m, profile, section);
        return r < 0 ? r : close_section(m);
}

/* Which of our sections it has is told by found. */
static int copy_profile(sd_bus_message *m, sd_bus_message *old, const struct wifi_profile *profile,
                bool found[ELEMENTSOF(sections)]) {
        const char *section;
        int r;

        r = sd_bus_message_rewind(old, true);
        if (r >= 0)
                r = sd_bus_message_enter_container(old, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(old, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read_basic(old, 's', &section);
                for (size_t i = 0; r >= 0 && i < ELEMENTSOF(sections); i++)
                        found[i] = found[i] || streq(section, sections[i]);
                if (r >= 0)
                        r = copy_section(m, old, profile, section);
                if (r >= 0)
                        r = sd_bus_message_exit_container(old);
        }
        return MIN(r, 0);
}

int wifi_profile_append(sd_bus_message *m, const struct wifi_profile *profile, sd_bus_message *old) {
        bool found[ELEMENTSOF(sections)] = {};
        int r = sd_bus_message_open_container(m, 'a', "{sa{sv}}");

        if (r >= 0 && old)
                r = copy_profile(m, old, profile, found);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(sections); i++)
                if (!found[i] && has_section(profile, sections[i]))
                        r = append_section(m, profile, sections[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* ---- reading ---- */

static int read_name(sd_bus_message *m, const uint8_t *ssid, size_t n, bool *ret) {
        const char *name, *type;
        const void *bytes;
        size_t n_bytes;
        int r;

        r = sd_bus_message_read_basic(m, 's', &name);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, NULL, &type);
        if (r < 0 || !streq(name, "ssid") || !streq(type, "ay"))
                return r < 0 ? r : sd_bus_message_skip(m, "v");
        r = sd_bus_message_enter_container(m, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'y', &bytes, &n_bytes);
        if (r < 0)
                return r;
        *ret = n_bytes == n && memcmp(bytes, ssid, n) == 0;
        return sd_bus_message_exit_container(m);
}

static int read_wireless(sd_bus_message *m, const uint8_t *ssid, size_t n, bool *ret) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_name(m, ssid, n, ret);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int wifi_profile_is_of(sd_bus_message *reply, const uint8_t *ssid, size_t n) {
        const char *section;
        bool is = false;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read_basic(reply, 's', &section);
                if (r >= 0)
                        r = streq(section, WIRELESS) ? read_wireless(reply, ssid, n, &is)
                                                     : sd_bus_message_skip(reply, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r < 0 ? r : is;
}
