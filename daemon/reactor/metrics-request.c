/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics-request.h"

/* An empty line; a line may end without CR (RFC 9112, 2.2). */
static bool has_end(const char *data, size_t n) {
        for (size_t i = 0; i + 1 < n; i++)
                if (data[i] == '\n' &&
                                (data[i + 1] == '\n' ||
                                                (data[i + 1] == '\r' && i + 2 < n && data[i + 2] == '\n')))
                        return true;
        return false;
}

/* Takes the next word off the line, which ends at a blank or at the line's end; its length. */
static size_t next_word(const char **p, const char *end, const char **ret) {
        *ret = *p;
        while (*p < end && **p != ' ')
                (*p)++;
        if (*p < end) {
                (*p)++;
                return (size_t) (*p - *ret) - 1;
        }
        return (size_t) (*p - *ret);
}

static bool is(const char *word, size_t n, const char *text) {
        return n == strlen(text) && memcmp(word, text, n) == 0;
}

/* A method is a token (RFC 9110, 9.1); all that exist are upper-case letters. */
static bool is_method(const char *word, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (word[i] < 'A' || word[i] > 'Z')
                        return false;
        return n > 0;
}

/* "request-line" (RFC 9112, 3): method, target, version. What follows a "?" is not ours to understand. */
static enum metrics_request parse_line(const char *line, const char *end) {
        const char *method, *target, *version;
        size_t n_method, n_target, n_version;

        n_method = next_word(&line, end, &method);
        n_target = next_word(&line, end, &target);
        n_version = next_word(&line, end, &version);
        if (!is_method(method, n_method) || n_target == 0 || line < end ||
                        (!is(version, n_version, "HTTP/1.1") && !is(version, n_version, "HTTP/1.0")))
                return METRICS_REQUEST_BAD;
        for (size_t i = 0; i < n_target; i++)
                if (target[i] == '?')
                        n_target = i;
        if (!is(target, n_target, "/metrics") && !is(target, n_target, "/"))
                return METRICS_REQUEST_NOT_FOUND;
        if (is(method, n_method, "HEAD"))
                return METRICS_REQUEST_HEAD;
        return is(method, n_method, "GET") ? METRICS_REQUEST_GET : METRICS_REQUEST_NOT_ALLOWED;
}

enum metrics_request metrics_request_parse(const char *data, size_t n, bool at_end) {
        const char *end;

        if (n == 0)
                return at_end ? METRICS_REQUEST_PLAIN : METRICS_REQUEST_MORE;
        if (!has_end(data, n)) {
                if (n >= METRICS_REQUEST_MAX)
                        return METRICS_REQUEST_TOO_LARGE;
                return at_end ? METRICS_REQUEST_BAD : METRICS_REQUEST_MORE;
        }
        end = memchr(data, '\n', n);
        if (end > data && end[-1] == '\r')
                end--;
        return parse_line(data, end);
}

const char *metrics_request_status(enum metrics_request request) {
        switch (request) {
        case METRICS_REQUEST_GET:
        case METRICS_REQUEST_HEAD:
                return "200 OK";
        case METRICS_REQUEST_NOT_FOUND:
                return "404 Not Found";
        case METRICS_REQUEST_NOT_ALLOWED:
                return "405 Method Not Allowed";
        case METRICS_REQUEST_TOO_LARGE:
                return "431 Request Header Fields Too Large";
        default:
                return "400 Bad Request";
        }
}
