/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-read.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

/* So much of a wrong value is shown. */
#define SHOWN_VALUE_MAX 64

int config_reader_open(struct config_reader *reader, const char *path) {
        int r;

        *reader = CONFIG_READER_NULL;
        r = json_text_load(&reader->json, path, &reader->error);
        if (r < 0)
                return r;
        if (!json_is_object(reader->json.root)) {
                reader->error = text_printf("%s:1: must be a JSON object, { … }", path);
                return -EINVAL;
        }
        return 0;
}

void config_reader_clear(struct config_reader *reader) {
        json_text_clear(&reader->json);
        free(reader->error);
        for (size_t i = 0; i < reader->n_warnings; i++)
                free(reader->warnings[i]);
        *reader = CONFIG_READER_NULL;
}

/* What is too long to be named, a key that nobody knows, is named by what it is in. */
static void place_join(
                char place[static CONFIG_PLACE_MAX], const struct config_section *section, const char *key) {
        const char *outer = section ? section->place : "";
        int n;

        n = snprintf(place, CONFIG_PLACE_MAX, "%s%s%s", outer, isempty(outer) || !key ? "" : ".",
                        strempty(key));
        if (n < 0 || n >= CONFIG_PLACE_MAX)
                memcpy(place, outer, strlen(outer) + 1);
}

/* The line of place or, where there is none, of the nearest thing around it. */
static unsigned place_line(const struct config_reader *reader, const char *place) {
        char around[CONFIG_PLACE_MAX];
        unsigned line;

        snprintf(around, sizeof(around), "%s", place);
        while ((line = json_text_line(&reader->json, around)) == 0) {
                char *end = around;

                for (char *p = around; *p; p++)
                        if (*p == '.' || *p == '[')
                                end = p;
                *end = '\0';
        }
        return line;
}

static char *place_message(const struct config_reader *reader, const struct config_section *section,
                const char *key, const char *text) {
        char place[CONFIG_PLACE_MAX];

        place_join(place, section, key);
        return text_printf("%s:%u: %s: %s", reader->json.path, place_line(reader, place), place, text);
}

int config_reader_fail(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list ap;

        free(reader->error);
        va_start(ap, format);
        text = text_vprintf(format, ap);
        va_end(ap);
        reader->error = text ? place_message(reader, section, key, text) : NULL;
        return -EINVAL;
}

static bool is_known(const char *key, const char *const *known) {
        for (; *known; known++)
                if (strcasecmp(key, *known) == 0)
                        return true;
        return false;
}

/* A key of the file's own making: not more of it than is fit to be shown and looked up. */
static void warn_unknown(
                struct config_reader *reader, const struct config_section *section, const char *key) {
        _cleanup_(freep) char *shown = text_escape(key, strlen(key), SHOWN_VALUE_MAX);
        char *warning;

        if (!shown || reader->n_warnings == CONFIG_WARNINGS_MAX)
                return;
        warning = place_message(reader, section, shown, "is not known, ignored");
        if (warning)
                reader->warnings[reader->n_warnings++] = warning;
}

/* The field's value, or NULL where it is absent or null. */
static json_t *get(const struct config_section *section, const char *key) {
        json_t *value = section->object ? json_get_nocase(section->object, key) : NULL;

        return value && !json_is_null(value) ? value : NULL;
}

static const char *type_name(const json_t *value) {
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return "an object";
        case JSON_ARRAY:
                return "a list";
        case JSON_STRING:
                return "a text";
        case JSON_INTEGER:
        case JSON_REAL:
                return "a number";
        case JSON_TRUE:
                return "true";
        case JSON_FALSE:
                return "false";
        case JSON_NULL:
                return "null";
        }
        return "something else";
}

static int fail_type(struct config_reader *reader, const struct config_section *section, const char *key,
                const json_t *value, const char *allowed) {
        return config_reader_fail(reader, section, key, "is %s, must be %s", type_name(value), allowed);
}

/* Makes *ret the object that stands at parent.key; key NULL: the outermost one. */
static int enter(struct config_reader *reader, const struct config_section *parent, const char *key,
                const json_t *object, const char *const *known, struct config_section *ret) {
        json_t *value;
        const char *k;

        *ret = (struct config_section){};
        if (parent)
                place_join(ret->place, parent, key);
        if (!json_is_object(object))
                return fail_type(reader, parent, key, object, "an object, { … }");
        ret->object = object;
        json_object_foreach((json_t *) object, k, value) if (!is_known(k, known))
                        warn_unknown(reader, ret, k);
        return 1;
}

int config_read_section(struct config_reader *reader, const struct config_section *parent, const char *key,
                const char *const *known, struct config_section *ret) {
        json_t *object = parent ? get(parent, key) : reader->json.root;

        *ret = (struct config_section){};
        if (!object) {
                if (parent)
                        place_join(ret->place, parent, key);
                return 0;
        }
        return enter(reader, parent, key, object, known, ret);
}

int config_read_element(struct config_reader *reader, const struct config_section *parent, const char *key,
                size_t index, const char *const *known, struct config_section *ret) {
        json_t *list = get(parent, key), *object;
        char element[CONFIG_PLACE_MAX];

        if (!list)
                return 0;
        if (!json_is_array(list))
                return fail_type(reader, parent, key, list, "a list, [ … ], or null");
        object = json_array_get(list, index);
        if (!object)
                return 0;
        snprintf(element, sizeof(element), "%s[%zu]", key, index);
        return enter(reader, parent, element, object, known, ret);
}

int config_read_bool(struct config_reader *reader, const struct config_section *section, const char *key,
                bool *ret) {
        json_t *value = get(section, key);

        if (!value)
                return 0;
        if (!json_is_boolean(value))
                return fail_type(reader, section, key, value, "true or false");
        *ret = json_is_true(value);
        return 1;
}

int config_read_uint(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *allowed, uint32_t *ret) {
        json_t *value = get(section, key);
        json_int_t number;

        if (!value)
                return 0;
        if (!json_is_integer(value))
                return fail_type(reader, section, key, value, allowed);
        number = json_integer_value(value);
        if (number < 0 || number > UINT32_MAX)
                return config_reader_fail(reader, section, key, "is %" JSON_INTEGER_FORMAT ", must be %s",
                                number, allowed);
        *ret = (uint32_t) number;
        return 1;
}

int config_read_string(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *allowed, char **ret) {
        json_t *value = get(section, key);
        char *copy;

        if (!value)
                return 0;
        if (!json_is_string(value))
                return fail_type(reader, section, key, value, allowed);
        copy = strdup(json_string_value(value));
        if (!copy)
                return -ENOMEM;
        free(*ret);
        *ret = copy;
        return 1;
}

static int read_element(struct config_reader *reader, const struct config_section *section, const char *key,
                size_t index, const json_t *element, const char *allowed, bool (*is_valid)(const char *s),
                char **ret) {
        char place[CONFIG_PLACE_MAX];

        snprintf(place, sizeof(place), "%s[%zu]", key, index);
        if (!json_is_string(element))
                return fail_type(reader, section, place, element, allowed);
        if (!is_valid(json_string_value(element))) {
                _cleanup_(freep) char *shown = text_escape(
                                json_string_value(element), json_string_length(element), SHOWN_VALUE_MAX);

                return config_reader_fail(
                                reader, section, place, "is \"%s\", must be %s", strempty(shown), allowed);
        }
        *ret = strdup(json_string_value(element));
        return *ret ? 0 : -ENOMEM;
}

int config_read_strings(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *allowed, bool (*is_valid)(const char *s), size_t max, char ***ret) {
        _cleanup_(config_strings_freep) char **strings = NULL;
        json_t *list = get(section, key);
        size_t n;
        int r;

        if (!list)
                return 0;
        if (!json_is_array(list))
                return fail_type(reader, section, key, list, "a list, [ … ]");
        n = json_array_size(list);
        if (n > max)
                return config_reader_fail(
                                reader, section, key, "has %zu entries, must have at most %zu", n, max);
        strings = calloc(n + 1, sizeof(char *));
        if (!strings)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = read_element(reader, section, key, i, json_array_get(list, i), allowed, is_valid,
                                &strings[i]);
                if (r < 0)
                        return r;
        }
        config_strings_free(*ret);
        *ret = TAKE_PTR(strings);
        return 1;
}

char **config_strings_free(char **strings) {
        if (strings)
                for (char **s = strings; *s; s++)
                        free(*s);
        free(strings);
        return NULL;
}
