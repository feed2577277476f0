/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal-text.h"

#include "text.h"

#define ELLIPSIS "\xe2\x80\xa6"
/* "\xHH" */
#define ESCAPE_BYTES 4

/* Length of the character at the front, or 0: that byte is none, or of one that a line has not. */
static size_t character_length(const char *s, size_t n, bool line) {
        unsigned char lead = (unsigned char) s[0];
        size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

        if (lead == '\0' || length > n || !text_is_utf8(s, length) || (line && text_hidden_length(s, n) > 0))
                return 0;
        return length;
}

static char *put_escape(char *to, unsigned char c) {
        static const char digits[] = "0123456789abcdef";

        *to++ = '\\';
        *to++ = 'x';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 0xF];
        return to;
}

/* Bytes that the text takes, without its end; of the n bytes at s, *ret_taken are in it. */
static size_t measure(const char *s, size_t n, size_t max, bool line, size_t *ret_taken) {
        size_t size = 0, i = 0;

        while (i < n) {
                size_t length = character_length(s + i, n - i, line);

                if (i + MAX(length, (size_t) 1) > max)
                        break;
                size += length ?: ESCAPE_BYTES;
                i += length ?: 1;
        }
        *ret_taken = i;
        return size;
}

static char *make_text(const char *s, size_t n, size_t max, bool line) {
        char *text, *to;
        size_t taken;

        text = to = malloc(measure(s, n, max, line, &taken) + sizeof(ELLIPSIS));
        if (!text)
                return NULL;
        for (size_t i = 0; i < taken;) {
                size_t length = character_length(s + i, n - i, line);

                if (length == 0) {
                        to = put_escape(to, (unsigned char) s[i++]);
                        continue;
                }
                memcpy(to, s + i, length);
                to += length;
                i += length;
        }
        memcpy(to, ELLIPSIS, sizeof(ELLIPSIS));
        if (taken == n)
                *to = '\0';
        return text;
}

char *journal_text(const void *bytes, size_t n, size_t max) {
        return make_text(bytes, n, max, false);
}

char *journal_line(const char *s, size_t max) {
        return make_text(s, strlen(s), max, true);
}
