/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

char *text_vprintf(const char *format, va_list ap) {
        char *s;

        if (vasprintf(&s, format, ap) < 0) {
                errno = ENOMEM;
                return NULL;
        }
        return s;
}

char *text_printf(const char *format, ...) {
        va_list ap;
        char *s;

        va_start(ap, format);
        s = text_vprintf(format, ap);
        va_end(ap);
        return s;
}

int text_to_uint(const char *s, uint64_t max, uint64_t *ret) {
        uint64_t value = 0;

        if (isempty(s))
                return -EINVAL;
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(value, 10, &value) ||
                                __builtin_add_overflow(value, (uint64_t) (*s - '0'), &value))
                        return -ERANGE;
        }
        if (value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int text_read_file(const char *path, size_t max, char **ret, size_t *ret_size) {
        _cleanup_(freep) char *data = NULL;
        _cleanup_(closep) int fd = -1;
        size_t n = 0, size = 0;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;

        for (;;) {
                ssize_t k;

                if (n == size) {
                        char *grown;

                        size = size ? size * 2 : 4096;
                        grown = realloc(data, size + 1);
                        if (!grown)
                                return -ENOMEM;
                        data = grown;
                }
                k = read(fd, data + n, size - n);
                if (k < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (k == 0)
                        break;
                n += (size_t) k;
                if (n > max)
                        return -E2BIG;
        }

        data[n] = '\0';
        *ret = TAKE_PTR(data);
        if (ret_size)
                *ret_size = n;
        return 0;
}

bool text_is_utf8(const char *s, size_t n) {
        const unsigned char *p = (const unsigned char *) s, *end = p + n;

        while (p < end) {
                uint32_t c, least;
                size_t more;

                if (*p < 0x80) {
                        p++;
                        continue;
                }
                if ((*p & 0xE0) == 0xC0) {
                        more = 1;
                        c = *p & 0x1F;
                        least = 0x80;
                } else if ((*p & 0xF0) == 0xE0) {
                        more = 2;
                        c = *p & 0x0F;
                        least = 0x800;
                } else if ((*p & 0xF8) == 0xF0) {
                        more = 3;
                        c = *p & 0x07;
                        least = 0x10000;
                } else
                        return false;
                if ((size_t) (end - p) <= more)
                        return false;
                for (size_t i = 1; i <= more; i++) {
                        if ((p[i] & 0xC0) != 0x80)
                                return false;
                        c = c << 6 | (p[i] & 0x3F);
                }
                if (c < least || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
                        return false;
                p += more + 1;
        }
        return true;
}

/* The character of two or three bytes, or 0. */
static uint32_t short_character(const unsigned char *p, size_t n, size_t *ret_length) {
        bool is_two = n >= 2 && (p[0] & 0xE0) == 0xC0, is_three = n >= 3 && (p[0] & 0xF0) == 0xE0;

        *ret_length = is_two ? 2 : 3;
        if (is_two)
                return (uint32_t) (p[0] & 0x1F) << 6 | (p[1] & 0x3F);
        return is_three ? (uint32_t) (p[0] & 0x0F) << 12 | (uint32_t) (p[1] & 0x3F) << 6 | (p[2] & 0x3F) : 0;
}

size_t text_hidden_length(const char *s, size_t n) {
        static const struct {
                uint32_t first, last;
        } hidden[] = {
                { 0x80, 0x9F },     /* C1: as ESC and a letter */
                { 0x061C, 0x061C }, /* ARABIC LETTER MARK */
                { 0x200E, 0x200F }, /* LEFT-TO-RIGHT and RIGHT-TO-LEFT MARK */
                { 0x202A, 0x202E }, /* embeddings, overrides and their end */
                { 0x2066, 0x2069 }, /* isolates and their end */
        };
        const unsigned char *p = (const unsigned char *) s;
        uint32_t c;
        size_t length;

        if (n > 0 && p[0] < 0x80)
                return p[0] < 0x20 || p[0] == 0x7F;
        c = short_character(p, n, &length);
        for (size_t i = 0; i < ELEMENTSOF(hidden); i++)
                if (c >= hidden[i].first && c <= hidden[i].last)
                        return length;
        return 0;
}

size_t text_unfinished_length(const char *s, size_t n) {
        for (size_t back = 1; back <= MIN(n, (size_t) 3); back++) {
                unsigned char c = (unsigned char) s[n - back];

                if ((c & 0xC0) == 0x80)
                        continue;
                return (c >= 0xF0 && back < 4) || (c >= 0xE0 && back < 3) || (c >= 0xC0 && back < 2) ? back
                                                                                                     : 0;
        }
        return 0;
}

char *text_escape(const char *s, size_t n, size_t max) {
        static const char ellipsis[] = "\xe2\x80\xa6";
        size_t shown = MIN(n, max);
        char *out, *p;

        out = p = malloc(shown * 4 + sizeof(ellipsis));
        if (!out)
                return NULL;
        for (size_t i = 0; i < shown; i++) {
                unsigned char c = (unsigned char) s[i];

                if (c >= 0x20 && c < 0x7F)
                        *p++ = (char) c;
                else
                        p += sprintf(p, "\\x%02x", c);
        }
        if (shown < n)
                memcpy(p, ellipsis, sizeof(ellipsis));
        else
                *p = '\0';
        return out;
}

static bool is_alphanumeric(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool text_is_unit_name(const char *s) {
        static const char *const suffixes[] = {
                ".service",
                ".socket",
                ".target",
                ".device",
                ".mount",
                ".automount",
                ".swap",
                ".timer",
                ".path",
                ".slice",
                ".scope",
        };
        size_t n = strlen(s);
        bool known = false;

        if (n > 255)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                known = known || (endswith(s, suffixes[i]) && n > strlen(suffixes[i]));
        if (!known || s[0] == '@')
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_alphanumeric(s[i]) && !strchr(":-_.\\@", s[i]))
                        return false;
        return true;
}

bool text_is_host_name(const char *s) {
        size_t n = strlen(s);

        if (n == 0 || n > 253 || !is_alphanumeric(s[0]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_alphanumeric(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-')
                        return false;
        return true;
}
