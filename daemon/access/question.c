/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "question.h"

#include "cedar-json.h"
#include "cedar-parser.h"
#include "context.h"
#include "text.h"

int access_read_uid(struct arena *arena, const char *what, const char *type, struct cedar_text text,
                const struct cedar_uid **ret, char **ret_error) {
        if (!memmem(text.s, text.n, "::", 2)) {
                text = cedar_text_copy(arena, text);
                *ret = text.s ? cedar_uid_new(arena, cedar_text_of(type), text) : NULL;
                return *ret ? 0 : -ENOMEM;
        }
        return cedar_parse_uid(arena, what, text, ret, ret_error);
}

static int fail(char **ret_error, int error, const char *what, const char *wrong) {
        *ret_error = text_printf("%s: %s", what, wrong);
        return *ret_error ? error : -ENOMEM;
}

static int read_name(struct arena *arena, const char *what, const char *type, const char *name,
                const struct cedar_uid **ret, char **ret_error) {
        if (isempty(name))
                return fail(ret_error, -EINVAL, what, "is missing");
        if (strlen(name) > ACCESS_NAME_BYTES_MAX)
                return fail(ret_error, -E2BIG, what, "is longer than any name");
        return access_read_uid(arena, what, type, cedar_text_of(name), ret, ret_error);
}

/* Whether it has no more values than a call's may have, and is no deeper: *n of them are left. */
static bool is_bounded(const json_t *json, unsigned depth, size_t *n) {
        const char *key;
        json_t *value;
        size_t i;

        if (*n == 0 || depth > ACCESS_CONTEXT_DEPTH_MAX)
                return false;
        --*n;
        json_object_foreach((json_t *) json, key, value) {
                if (!is_bounded(value, depth + 1, n))
                        return false;
        }
        json_array_foreach(json, i, value) {
                if (!is_bounded(value, depth + 1, n))
                        return false;
        }
        return true;
}

static int read_context(
                struct arena *arena, const char *text, const struct cedar_record **ret, char **ret_error) {
        static const struct cedar_record empty = {};
        struct cedar_json_error error = { .name = "Context" };
        size_t n = ACCESS_CONTEXT_VALUES_MAX;
        json_t *json = NULL;
        int r;

        *ret = &empty;
        if (isempty(text))
                return 0;
        r = cedar_json_load(&json, text, strlen(text), ACCESS_QUESTION_BYTES_MAX, &error);
        if (r == 0 && !is_bounded(json, 0, &n))
                r = fail(&error.message, -E2BIG, error.name,
                                "has more values, or is deeper, than any call's");
        if (r == 0)
                r = cedar_json_context(arena, json, ret, &error);
        json_decref(json);
        *ret_error = error.message;
        return r;
}

int access_read_question(struct arena *arena, const Access__DecideRequest *question,
                struct cedar_request *ret, char **ret_error) {
        int r;

        *ret_error = NULL;
        r = read_name(arena, "Principal", ACCESS_PRINCIPAL, question->principal, &ret->principal, ret_error);
        if (r == 0)
                r = read_name(arena, "Action", ACCESS_ACTION, question->action, &ret->action, ret_error);
        if (r == 0)
                r = read_name(arena, "Resource", ACCESS_RESOURCE, question->resource, &ret->resource,
                                ret_error);
        return r < 0 ? r : read_context(arena, question->context, &ret->context, ret_error);
}

int access_question_set_service(
                struct arena *arena, struct cedar_text service, struct cedar_request *request) {
        const struct cedar_record *context = request->context;
        struct cedar_field *fields;
        struct cedar_value value;

        if (cedar_record_get(context, CEDAR_TEXT("service")))
                return 0;
        fields = arena_alloc(arena, (context->n + 1) * sizeof(*fields));
        if (!fields)
                return -ENOMEM;
        memcpy(fields, context->fields, context->n * sizeof(*fields));
        fields[context->n] =
                        (struct cedar_field){ .key = CEDAR_TEXT("service"), .value = cedar_string(service) };
        if (cedar_record_new(arena, fields, context->n + 1, &value) < 0)
                return -ENOMEM;
        request->context = value.record;
        return 0;
}
