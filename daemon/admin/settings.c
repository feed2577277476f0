/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "settings.h"

#include "file.h"
#include "list.h"
#include "locale-name.h"
#include "log.h"
#include "text.h"

#include "locale.pb-c.h"

#include <fcntl.h>
#include <stdio.h>

/* Keys of locale.LocaleMacroKey, which are counted from 0. */
#define KEYS_MAX (LOCALE__LOCALE_MACRO_KEY__LC_ALL + 1)
/* "LC_IDENTIFICATION=" and a value. */
#define LINE_MAX_BYTES (32 + LOCALE_NAME_MAX)
/* A file that somebody has written by hand may have comments. */
#define FILE_BYTES_MAX 16384

struct locale {
        char values[KEYS_MAX][LOCALE_NAME_MAX + 1]; /* "": not assigned */
};

struct values {
        bool set[_SETTING_MAX];
        struct locale locale;
        char timezone[TIMEZONE_NAME_MAX + 1];
};

/* A store that may yet be undone: of one setting. */
struct doubt {
        struct list link;
        uint64_t serial;
        struct values values;
};

struct settings {
        char *directory;
        struct values values;
        struct values settled;            /* what is beyond doubt */
        struct list doubts[_SETTING_MAX]; /* what was stored after it; the last of them is in force */
        uint64_t serials[_SETTING_MAX];
};

/* ---- the keys ---- */

static const char *key_name(int key) {
        const ProtobufCEnumValue *value =
                        protobuf_c_enum_descriptor_get_value(&locale__locale_macro_key__descriptor, key);

        return value ? value->name : NULL;
}

/* The key of a line "KEY=value", or -EINVAL; *ret_value is what follows. */
static int line_key(const char *line, const char **ret_value) {
        for (int key = 0; key < KEYS_MAX; key++) {
                const char *rest = startswith(line, key_name(key));

                if (rest && *rest == '=') {
                        *ret_value = rest + 1;
                        return key;
                }
        }
        return -EINVAL;
}

/* ---- reading the files ---- */

/* 1: it assigns something; 0: it is empty or a comment; -EINVAL. */
static int read_locale_line(struct locale *locale, char *line) {
        const char *value;
        int key;

        if (line[0] == '#' || line[strspn(line, " \t")] == '\0')
                return 0;
        key = line_key(line, &value);
        if (key < 0 || !locale_name_is_valid(value))
                return -EINVAL;
        snprintf(locale->values[key], sizeof(locale->values[key]), "%s", value);
        return 1;
}

/* Whether at least one line assigns something; what is no assignment is left out, and said. */
static bool read_locale(struct locale *locale, char *text, const char *path) {
        bool found = false;
        unsigned number = 0;
        char *line;

        *locale = (struct locale){};
        while ((line = strsep(&text, "\n"))) {
                int r = read_locale_line(locale, line);

                number++;
                found = found || r > 0;
                if (r < 0)
                        log_warning("%s:%u: not KEY=value with a locale's key and name, ignored.", path,
                                        number);
        }
        return found;
}

static bool read_timezone(char *zone, char *text, const char *path) {
        text[strcspn(text, " \t\n")] = '\0';
        if (!timezone_name_is_valid(text)) {
                log_warning("%s: not the name of a time zone, must be " TIMEZONE_NAME_ALLOWED ", ignored.",
                                path);
                return false;
        }
        snprintf(zone, TIMEZONE_NAME_MAX + 1, "%s", text);
        return true;
}

static char *make_path(const char *directory, enum setting setting) {
        return text_printf("%s/%s", directory,
                        setting == SETTING_LOCALE ? SETTINGS_LOCALE_FILE : SETTINGS_TIMEZONE_FILE);
}

static int load_from(struct settings *settings, enum setting setting, const char *directory) {
        _cleanup_(freep) char *path = NULL, *text = NULL;
        int r;

        path = make_path(directory, setting);
        if (!path)
                return -ENOMEM;
        r = text_read_file(path, FILE_BYTES_MAX, &text, NULL);
        if (r == -ENOENT)
                return r;
        if (r < 0) {
                (void) log_warning_errno(r, "Cannot read %s", path);
                return 0;
        }
        settings->values.set[setting] = setting == SETTING_LOCALE
                        ? read_locale(&settings->values.locale, text, path)
                        : read_timezone(settings->values.timezone, text, path);
        return 0;
}

static int load(struct settings *settings, enum setting setting) {
        int r;

        r = load_from(settings, setting, settings->directory);
        if (r == -ENOENT)
                r = load_from(settings, setting, SETTINGS_DEPLOYED);
        return r == -ENOENT ? 0 : r;
}

static void doubt_free(struct doubt *doubt) {
        list_remove(&doubt->link);
        free(doubt);
}

int settings_new(struct settings **ret, const char *directory) {
        _cleanup_(settings_freep) struct settings *settings = NULL;
        int r;

        settings = calloc(1, sizeof(*settings));
        if (!settings)
                return -ENOMEM;
        for (size_t i = 0; i < _SETTING_MAX; i++)
                list_init(&settings->doubts[i]);
        settings->directory = strndup(directory, strcspn(directory, ":"));
        if (!settings->directory)
                return -ENOMEM;
        r = load(settings, SETTING_LOCALE);
        if (r >= 0)
                r = load(settings, SETTING_TIMEZONE);
        if (r < 0)
                return r;
        settings->settled = settings->values;
        *ret = TAKE_PTR(settings);
        return 0;
}

struct settings *settings_free(struct settings *settings) {
        if (!settings)
                return NULL;
        for (size_t i = 0; i < _SETTING_MAX; i++)
                while (!list_is_empty(&settings->doubts[i]))
                        doubt_free(LIST_FIRST(&settings->doubts[i], struct doubt, link));
        free(settings->directory);
        free(settings);
        return NULL;
}

const char *settings_name(enum setting setting) {
        return setting == SETTING_LOCALE ? "locale" : "time zone";
}

const char *settings_directory(const struct settings *settings) {
        return settings->directory;
}

bool settings_has(const struct settings *settings, enum setting setting) {
        return settings->values.set[setting];
}

/* ---- writing them ---- */

static void format_locale(const struct locale *locale, char text[static KEYS_MAX * LINE_MAX_BYTES]) {
        size_t n = 0;

        for (int key = 0; key < KEYS_MAX; key++)
                if (!isempty(locale->values[key]))
                        n += (size_t) snprintf(text + n, KEYS_MAX * LINE_MAX_BYTES - n, "%s=%s\n",
                                        key_name(key), locale->values[key]);
}

/*
 * Acknowledged is what is on the disk. It is waited for, by everybody, but it is seldom and as short as the
 * disk is quick.
 */
static int write_values(const struct settings *settings, enum setting setting, const struct values *values) {
        _cleanup_(freep) char *path = make_path(settings->directory, setting);
        char text[KEYS_MAX * LINE_MAX_BYTES] = "";

        if (!path)
                return -ENOMEM;
        if (!values->set[setting])
                return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
        if (setting == SETTING_LOCALE)
                format_locale(&values->locale, text);
        else
                snprintf(text, sizeof(text), "%s\n", values->timezone);
        /* Others read it, too. */
        return file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644);
}

static void copy(struct values *to, const struct values *from, enum setting setting) {
        to->set[setting] = from->set[setting];
        if (setting == SETTING_LOCALE)
                to->locale = from->locale;
        else
                memcpy(to->timezone, from->timezone, sizeof(to->timezone));
}

/* Of values, that setting. */
static int store(struct settings *settings, enum setting setting, const struct values *values) {
        struct doubt *doubt = malloc(sizeof(*doubt));
        int r;

        if (!doubt)
                return -ENOMEM;
        r = write_values(settings, setting, values);
        if (r < 0) {
                free(doubt);
                return r;
        }
        *doubt = (struct doubt){ .serial = ++settings->serials[setting], .values = *values };
        list_append(&settings->doubts[setting], &doubt->link);
        copy(&settings->values, values, setting);
        return 0;
}

const char *settings_check_locale(const Admin__LocaleRequest *request) {
        uint32_t seen = 0;

        if (request->n_assignments == 0)
                return "there must be at least one assignment";
        for (size_t i = 0; i < request->n_assignments; i++) {
                const Locale__LocaleAssignment *assignment = request->assignments[i];

                if (!key_name(assignment->key))
                        return "an assignment's key is not one of LocaleMacroKey";
                if (seen & UINT32_C(1) << assignment->key)
                        return "a key is assigned twice";
                if (!locale_name_is_valid(assignment->value))
                        return "a locale must be " LOCALE_NAME_ALLOWED;
                seen |= UINT32_C(1) << assignment->key;
        }
        return NULL;
}

const char *settings_check_timezone(const Admin__TimezoneRequest *request) {
        return timezone_name_is_valid(request->timezone) ? NULL
                                                         : "a time zone must be " TIMEZONE_NAME_ALLOWED;
}

int settings_set_locale(struct settings *settings, const Admin__LocaleRequest *request) {
        struct values values = settings->values;

        values.set[SETTING_LOCALE] = true;
        values.locale.values[LOCALE__LOCALE_MACRO_KEY__LC_ALL][0] = '\0';
        for (size_t i = 0; i < request->n_assignments; i++) {
                const Locale__LocaleAssignment *assignment = request->assignments[i];
                char *value = values.locale.values[assignment->key];

                snprintf(value, LOCALE_NAME_MAX + 1, "%s", assignment->value);
        }
        return store(settings, SETTING_LOCALE, &values);
}

int settings_set_timezone(struct settings *settings, const Admin__TimezoneRequest *request) {
        struct values values = settings->values;

        values.set[SETTING_TIMEZONE] = true;
        snprintf(values.timezone, sizeof(values.timezone), "%s", request->timezone);
        return store(settings, SETTING_TIMEZONE, &values);
}

uint64_t settings_serial(const struct settings *settings, enum setting setting) {
        return settings->serials[setting];
}

static struct doubt *find_doubt(const struct settings *settings, enum setting setting, uint64_t serial) {
        struct doubt *doubt;

        LIST_FOREACH(doubt, &settings->doubts[setting], link)
                if (doubt->serial == serial)
                        return doubt;
        return NULL;
}

void settings_settle(struct settings *settings, enum setting setting, uint64_t serial) {
        struct doubt *settled = find_doubt(settings, setting, serial), *doubt, *next;

        if (!settled)
                return;
        copy(&settings->settled, &settled->values, setting);
        LIST_FOREACH_SAFE(doubt, next, &settings->doubts[setting], link)
                if (doubt->serial <= serial)
                        doubt_free(doubt);
}

int settings_undo(struct settings *settings, enum setting setting, uint64_t serial) {
        struct doubt *doubt = find_doubt(settings, setting, serial);
        struct list *doubts = &settings->doubts[setting];
        const struct values *former;
        int r;

        if (!doubt)
                return -ESTALE;
        if (doubt->link.next == doubts) {
                former = doubt->link.previous == doubts
                                ? &settings->settled
                                : &container_of(doubt->link.previous, struct doubt, link)->values;
                r = write_values(settings, setting, former);
                if (r < 0)
                        return r;
                copy(&settings->values, former, setting);
        }
        doubt_free(doubt);
        return 0;
}

/* ---- telling agents ---- */

static int send_locale(const struct settings *settings, struct rpc_channel *channel,
                const struct rpc_client_options *options, rpc_unary_done_t done, void *userdata,
                struct rpc_client_call **ret) {
        Locale__LocaleAssignment assignments[KEYS_MAX], *pointers[KEYS_MAX];
        Locale__LocaleMessage message = LOCALE__LOCALE_MESSAGE__INIT;

        message.assignments = pointers;
        for (int key = 0; key < KEYS_MAX; key++) {
                Locale__LocaleAssignment *assignment = &assignments[message.n_assignments];

                if (isempty(settings->values.locale.values[key]))
                        continue;
                locale__locale_assignment__init(assignment);
                assignment->key = (Locale__LocaleMacroKey) key;
                assignment->value = (char *) settings->values.locale.values[key];
                pointers[message.n_assignments++] = assignment;
        }
        return rpc_channel_unary(channel, &locale__locale_client__descriptor, "LocaleSet", &message.base,
                        options, done, userdata, ret);
}

static int send_timezone(const struct settings *settings, struct rpc_channel *channel,
                const struct rpc_client_options *options, rpc_unary_done_t done, void *userdata,
                struct rpc_client_call **ret) {
        Locale__TimezoneMessage message = LOCALE__TIMEZONE_MESSAGE__INIT;

        message.timezone = (char *) settings->values.timezone;
        return rpc_channel_unary(channel, &locale__locale_client__descriptor, "TimezoneSet", &message.base,
                        options, done, userdata, ret);
}

int settings_send(const struct settings *settings, enum setting setting, struct rpc_channel *channel,
                uint64_t deadline_usec, rpc_unary_done_t done, void *userdata,
                struct rpc_client_call **ret) {
        const struct rpc_client_options options = { .deadline_usec = deadline_usec };

        return setting == SETTING_LOCALE ? send_locale(settings, channel, &options, done, userdata, ret)
                                         : send_timezone(settings, channel, &options, done, userdata, ret);
}
