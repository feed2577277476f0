/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json-text.h"
#include "text.h"

#include <strings.h>

/* A configuration is a few KiB; a megabyte is a mistake. */
#define JSON_TEXT_MAX (1024 * 1024)

int json_text_load(struct json_text *json, const char *path, char **ret_error) {
        json_error_t error;
        int r;

        *json = JSON_TEXT_NULL;
        *ret_error = NULL;
        r = text_read_file(path, JSON_TEXT_MAX, &json->text, &json->size);
        if (r < 0) {
                *ret_error = text_printf("%s: %s", path, strerror(-r));
                return r;
        }
        json->path = strdup(path);
        json->root = json_loadb(json->text, json->size, JSON_REJECT_DUPLICATES, &error);
        if (!json->path || !json->root) {
                *ret_error = text_printf("%s:%i:%i: %s", path, error.line, error.column, error.text);
                json_text_clear(json);
                return -EINVAL;
        }
        return 0;
}

void json_text_clear(struct json_text *json) {
        free(json->path);
        free(json->text);
        if (json->root)
                json_decref(json->root);
        *json = JSON_TEXT_NULL;
}

json_t *json_get_nocase(const json_t *object, const char *key) {
        const char *k;
        json_t *value, *exact;

        exact = json_object_get(object, key);
        if (exact)
                return exact;
        json_object_foreach((json_t *) object, k, value) if (strcasecmp(k, key) == 0) return value;
        return NULL;
}

/* The functions below walk text that jansson has accepted: they need not check it again, only stay inside.
 */
struct cursor {
        const char *at, *end;
};

static void skip_space(struct cursor *c) {
        while (c->at < c->end && strchr(" \t\r\n", *c->at))
                c->at++;
}

static bool skip_char(struct cursor *c, char wanted) {
        skip_space(c);
        if (c->at >= c->end || *c->at != wanted)
                return false;
        c->at++;
        return true;
}

/* Past a string; begin and n, when given, are what stands between the quotes, not unescaped. */
static void skip_string(struct cursor *c, const char **begin, size_t *n) {
        const char *start;

        if (!skip_char(c, '"'))
                return;
        start = c->at;
        while (c->at < c->end && *c->at != '"')
                c->at += *c->at == '\\' && c->end - c->at > 1 ? 2 : 1;
        if (begin) {
                *begin = start;
                *n = (size_t) (c->at - start);
        }
        if (c->at < c->end)
                c->at++;
}

static void skip_value(struct cursor *c) {
        unsigned depth = 0;

        do {
                skip_space(c);
                if (c->at >= c->end)
                        return;
                if (*c->at == '"')
                        skip_string(c, NULL, NULL);
                else if (*c->at == '{' || *c->at == '[') {
                        depth++;
                        c->at++;
                } else if (*c->at == '}' || *c->at == ']') {
                        depth--;
                        c->at++;
                } else if (*c->at == ',' || *c->at == ':')
                        c->at++;
                else
                        while (c->at < c->end && !strchr(" \t\r\n,:]}", *c->at))
                                c->at++;
        } while (depth > 0);
}

static bool enter_key(struct cursor *c, const char *key, size_t n) {
        if (!skip_char(c, '{'))
                return false;
        while (!skip_char(c, '}')) {
                const char *k = NULL;
                size_t k_n = 0;

                if (c->at >= c->end)
                        return false;
                skip_string(c, &k, &k_n);
                if (!skip_char(c, ':'))
                        return false;
                skip_space(c);
                if (k_n == n && strncasecmp(k, key, n) == 0)
                        return true;
                skip_value(c);
                (void) skip_char(c, ',');
        }
        return false;
}

static bool enter_index(struct cursor *c, unsigned long index) {
        if (!skip_char(c, '['))
                return false;
        for (unsigned long i = 0;; i++) {
                skip_space(c);
                if (c->at >= c->end || *c->at == ']')
                        return false;
                if (i == index)
                        return true;
                skip_value(c);
                (void) skip_char(c, ',');
        }
}

unsigned json_text_line(const struct json_text *json, const char *place) {
        struct cursor c = { .at = json->text, .end = json->text + json->size };
        unsigned line = 1;

        skip_space(&c);
        while (*place) {
                if (*place == '[') {
                        char *after;
                        unsigned long index = strtoul(place + 1, &after, 10);

                        if (*after != ']' || !enter_index(&c, index))
                                return 0;
                        place = after + 1;
                } else {
                        size_t n;

                        place += *place == '.';
                        n = strcspn(place, ".[");
                        if (n == 0 || !enter_key(&c, place, n))
                                return 0;
                        place += n;
                }
        }
        for (const char *p = json->text; p < c.at; p++)
                line += *p == '\n';
        return line;
}
