/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-json.h"

#include "cedar-eval.h"
#include "cedar-extension.h"
#include "cedar-node.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

int cedar_json_fail(struct cedar_json_error *error, const char *format, ...) {
        _cleanup_(freep) char *message = NULL;
        va_list ap;

        if (error->message)
                return -EINVAL;
        va_start(ap, format);
        message = text_vprintf(format, ap);
        va_end(ap);
        error->message = message ? text_printf("%s: %s%s%s", error->name, strempty(error->where),
                                                   error->where ? ": " : "", message)
                                 : NULL;
        return error->message ? -EINVAL : -ENOMEM;
}

/*
 * Texts of Cedar may hold NUL, keys as well, which jansson does not take. So NUL is written as a character
 * that nobody may use for text (Unicode, "Noncharacters") and '0', and that character as itself and '1'. The
 * texts are put right where they are copied, in reveal().
 */
#define STAND_IN "\xF4\x8F\xBF\xBF" /* U+10FFFF */

static bool is_escape(const char *s, size_t n, const char *digits) {
        return n >= 6 && s[0] == '\\' && s[1] == 'u' && strncasecmp(s + 2, digits, 4) == 0;
}

/* What begins at s and is to be written otherwise: how many bytes it has, else 0; *ret_mark is what is put
 * behind the stand-in. */
static size_t find_hidden(const char *s, size_t n, char *ret_mark) {
        *ret_mark = is_escape(s, n, "0000") ? '0' : '1';
        if (*ret_mark == '0')
                return 6;
        if (n >= 4 && memcmp(s, STAND_IN, 4) == 0)
                return 4;
        return is_escape(s, n, "dbff") && is_escape(s + 6, n - 6, "dfff") ? 12 : 0;
}

static char *hide(const char *json, size_t size, size_t *ret_size) {
        char *hidden = malloc(size + size / 4 + 1), *out = hidden;
        size_t i = 0;

        while (hidden && i < size) {
                char mark;
                size_t n = find_hidden(json + i, size - i, &mark);

                if (n > 0) {
                        memcpy(out, STAND_IN, 4);
                        out[4] = mark;
                        out += 5;
                } else {
                        n = json[i] == '\\' && i + 1 < size ? 2 : 1;
                        memcpy(out, json + i, n);
                        out += n;
                }
                i += n;
        }
        *ret_size = (size_t) (out - hidden);
        return hidden;
}

static struct cedar_text reveal(struct arena *arena, const char *s, size_t n) {
        char *text = arena_alloc(arena, n + 1), *out = text;

        for (size_t i = 0; text && i < n;) {
                if (n - i >= 5 && memcmp(s + i, STAND_IN, 4) == 0) {
                        memcpy(out, s + i, 4);
                        if (s[i + 4] == '0')
                                *out = '\0';
                        out += s[i + 4] == '0' ? 1 : 4;
                        i += 5;
                } else
                        *out++ = s[i++];
        }
        if (text)
                *out = '\0';
        return (struct cedar_text){ text, (size_t) (out - text) };
}

int cedar_json_load(
                json_t **ret, const char *json, size_t size, size_t max, struct cedar_json_error *error) {
        _cleanup_(freep) char *hidden = NULL;
        json_error_t problem;

        if (size > max) {
                (void) cedar_json_fail(error, "more than %zu bytes", max);
                return -E2BIG;
        }
        hidden = hide(json, size, &size);
        if (!hidden)
                return -ENOMEM;
        *ret = json_loadb(hidden, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
        if (*ret)
                return 0;
        error->message =
                        text_printf("%s:%i:%i: %s", error->name, problem.line, problem.column, problem.text);
        return error->message ? -EINVAL : -ENOMEM;
}

int cedar_json_text(struct arena *arena, const json_t *json, struct cedar_text *ret) {
        *ret = reveal(arena, json_string_value(json), json_string_length(json));
        return ret->s ? 0 : -ENOMEM;
}

int cedar_json_key(struct arena *arena, const char *key, struct cedar_text *ret) {
        *ret = reveal(arena, key, strlen(key));
        return ret->s ? 0 : -ENOMEM;
}

int cedar_json_uid(struct arena *arena, const json_t *json, const char *what, const struct cedar_uid **ret,
                struct cedar_json_error *error) {
        const json_t *inner = json_object_get(json, "__entity"), *type, *id;
        struct cedar_text type_text, id_text;
        int r;

        if (json_is_string(json_object_get(inner, "type")) && json_is_string(json_object_get(inner, "id")))
                json = inner;
        type = json_object_get(json, "type");
        id = json_object_get(json, "id");
        if (!json_is_string(type) || !json_is_string(id))
                return cedar_json_fail(error, "%s is not {\"type\": \"…\", \"id\": \"…\"}", what);
        r = cedar_json_text(arena, type, &type_text);
        if (r == 0)
                r = cedar_json_text(arena, id, &id_text);
        if (r < 0)
                return r;
        if (!cedar_is_type_name(type_text))
                return cedar_json_fail(error, "%s has a type that is no name: \"%s\"", what, type_text.s);
        *ret = cedar_uid_new(arena, type_text, id_text);
        return *ret ? 0 : -ENOMEM;
}

static int read_value(struct arena *arena, const json_t *json, unsigned depth, struct cedar_value *ret,
                struct cedar_json_error *error);

/* What a method is of, and its argument. */
#define ARGUMENTS_MAX 2U

/* A function of an extension type, or a method, to what it is written behind and its argument. */
static int apply(struct arena *arena, struct cedar_text name, const struct cedar_value *arguments, size_t n,
                struct cedar_value *ret, struct cedar_json_error *error) {
        struct cedar_node left = { .op = CEDAR_OP_LITERAL, .literal = arguments[0] },
                          right = { .op = CEDAR_OP_LITERAL, .literal = arguments[1] },
                          call = { .op = CEDAR_OP_METHOD, .left = &left, .right = n > 1 ? &right : NULL };
        struct cedar_evaluation e = { .arena = arena };
        size_t wanted = 1;

        if (cedar_function_find(name, &call.function) == 0)
                call.op = CEDAR_OP_CALL;
        else if (cedar_method_find(name, &call.method) == 0 && cedar_method_is_extension(call.method))
                wanted += cedar_method_arguments(call.method);
        else
                return cedar_json_fail(error,
                                "__extn has no \"fn\" that is ip, decimal, datetime, duration or one of "
                                "their methods");
        if (n != wanted)
                return cedar_json_fail(
                                error, "__extn of %s takes %zu in \"args\", not %zu", name.s, wanted, n);
        if (cedar_evaluate(&e, &call, ret))
                return 0;
        return e.starved ? -ENOMEM : cedar_json_fail(error, "__extn: %s", e.failure);
}

/* {"fn": "ip", "arg": "…"}, or {"fn": …, "args": […]}, which other calls may be inside of: newer writers
 * have a datetime as an offset from another one. */
static int read_extension(struct arena *arena, const json_t *json, unsigned depth, struct cedar_value *ret,
                struct cedar_json_error *error) {
        const json_t *argument = json_object_get(json, "arg"), *list = json_object_get(json, "args");
        struct cedar_value values[ARGUMENTS_MAX] = {};
        size_t n = argument ? 1 : json_array_size(list);
        struct cedar_text name;
        int r = cedar_json_text(arena, json_object_get(json, "fn"), &name);

        if (r == 0 && n > ARGUMENTS_MAX)
                return cedar_json_fail(error, "__extn has more than %u \"args\"", ARGUMENTS_MAX);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = read_value(arena, argument ?: json_array_get(list, i), depth + 1, &values[i], error);
        return r < 0 ? r : apply(arena, name, values, n, ret, error);
}

static int read_record(struct arena *arena, const json_t *json, unsigned depth, struct cedar_value *ret,
                struct cedar_json_error *error) {
        size_t n = json_object_size(json), i = 0;
        struct cedar_field *fields = arena_alloc(arena, n * sizeof(*fields));
        const char *key;
        json_t *value;
        int r;

        if (!fields)
                return -ENOMEM;
        json_object_foreach((json_t *) json, key, value) {
                r = cedar_json_key(arena, key, &fields[i].key);
                if (r == 0)
                        r = read_value(arena, value, depth + 1, &fields[i].value, error);
                if (r < 0)
                        return r;
                i++;
        }
        return cedar_record_new(arena, fields, n, ret);
}

static int read_set(struct arena *arena, const json_t *json, unsigned depth, struct cedar_value *ret,
                struct cedar_json_error *error) {
        size_t n = json_array_size(json);
        struct cedar_value *items = arena_alloc(arena, n * sizeof(*items));
        int r;

        if (!items)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = read_value(arena, json_array_get(json, i), depth + 1, &items[i], error);
                if (r < 0)
                        return r;
        }
        return cedar_set_new(arena, items, n, ret);
}

static int read_object(struct arena *arena, const json_t *json, unsigned depth, struct cedar_value *ret,
                struct cedar_json_error *error) {
        const json_t *extension = json_object_get(json, "__extn"),
                     *uid_json = json_object_get(json, "__entity");
        const struct cedar_uid *uid;
        int r;

        /* What only looks like one of these is a record, to Cedar's own as well. */
        if (json_object_size(json) != 1)
                return read_record(arena, json, depth, ret, error);
        if (json_is_string(json_object_get(uid_json, "type")) &&
                        json_is_string(json_object_get(uid_json, "id"))) {
                r = cedar_json_uid(arena, json, "__entity", &uid, error);
                if (r == 0)
                        *ret = cedar_entity(uid);
                return r;
        }
        if (json_is_string(json_object_get(extension, "fn")) &&
                        (json_object_get(extension, "arg") ||
                                        json_is_array(json_object_get(extension, "args"))))
                return read_extension(arena, extension, depth, ret, error);
        if (json_is_string(json_object_get(json, "__expr")))
                return cedar_json_fail(error, "__expr is not taken: __entity and __extn are");
        return read_record(arena, json, depth, ret, error);
}

static int read_value(struct arena *arena, const json_t *json, unsigned depth, struct cedar_value *ret,
                struct cedar_json_error *error) {
        struct cedar_text text;
        int r;

        if (depth > CEDAR_JSON_DEPTH_MAX)
                return cedar_json_fail(error, "values are inside of each other more than %d deep",
                                CEDAR_JSON_DEPTH_MAX);
        switch (json_typeof(json)) {
        case JSON_TRUE:
        case JSON_FALSE:
                *ret = cedar_bool(json_is_true(json));
                return 0;
        case JSON_INTEGER:
                *ret = cedar_long(json_integer_value(json));
                return 0;
        case JSON_STRING:
                r = cedar_json_text(arena, json, &text);
                *ret = cedar_string(text);
                return r;
        case JSON_ARRAY:
                return read_set(arena, json, depth, ret, error);
        case JSON_OBJECT:
                return read_object(arena, json, depth, ret, error);
        case JSON_REAL:
                return cedar_json_fail(error, "%g is no value of Cedar's: it has no fractions but decimal",
                                json_real_value(json));
        default:
                return cedar_json_fail(error, "null is no value of Cedar's");
        }
}

int cedar_json_value(struct arena *arena, const json_t *json, struct cedar_value *ret,
                struct cedar_json_error *error) {
        return read_value(arena, json, 0, ret, error);
}

int cedar_json_record(struct arena *arena, const json_t *json, const struct cedar_record **ret,
                struct cedar_json_error *error) {
        struct cedar_value value;
        int r;

        if (!json_is_object(json))
                return cedar_json_fail(error, "an object is expected");
        r = read_record(arena, json, 0, &value, error);
        if (r == 0)
                *ret = value.record;
        return r;
}

int cedar_json_context(struct arena *arena, const json_t *json, const struct cedar_record **ret,
                struct cedar_json_error *error) {
        struct cedar_value value;
        int r;

        if (!json_is_object(json))
                return cedar_json_fail(error, "an object is expected");
        r = cedar_json_value(arena, json, &value, error);
        if (r == 0 && value.kind != CEDAR_RECORD)
                return cedar_json_fail(error, "a record is expected, not %s", cedar_kind_name(value.kind));
        if (r == 0)
                *ret = value.record;
        return r;
}
