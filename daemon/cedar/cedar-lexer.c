/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-lexer.h"

static bool is_word_start(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static size_t word_length(const char *s, size_t n) {
        size_t i = 0;

        while (i < n && (is_word_start(s[i]) || (i > 0 && is_digit(s[i]))))
                i++;
        return i;
}

/* How many bytes of a blank begin there: what Unicode has under White_Space is one, as it is to Cedar's own.
 */
static size_t blank_length(const char *s, size_t n) {
        static const char *const blanks[] = { "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\xA8",
                "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80" };

        if (*s == ' ' || (*s >= '\t' && *s <= '\r'))
                return 1;
        /* U+2000 to U+200A */
        if (n >= 3 && memcmp(s, "\xE2\x80", 2) == 0 && (uint8_t) s[2] >= 0x80 && (uint8_t) s[2] <= 0x8A)
                return 3;
        for (size_t i = 0; (uint8_t) *s >= 0xC2 && i < ELEMENTSOF(blanks); i++)
                if (n >= strlen(blanks[i]) && memcmp(s, blanks[i], strlen(blanks[i])) == 0)
                        return strlen(blanks[i]);
        return 0;
}

/* Blanks, and comments from // to the end of the line. */
static void skip(struct cedar_lexer *lexer) {
        while (lexer->at < lexer->size) {
                const char *p = lexer->text + lexer->at;
                size_t blank = blank_length(p, lexer->size - lexer->at);

                if (blank > 0)
                        lexer->at += blank;
                else if (lexer->size - lexer->at >= 2 && p[0] == '/' && p[1] == '/')
                        while (lexer->at < lexer->size && lexer->text[lexer->at] != '\r' &&
                                        lexer->text[lexer->at] != '\n')
                                lexer->at++;
                else
                        return;
        }
}

/* Up to and with the closing quote; 0: there is none. */
static size_t string_length(const char *s, size_t n) {
        for (size_t i = 1; i < n; i++) {
                if (s[i] == '"')
                        return i + 1;
                if (s[i] == '\\' && (++i == n || s[i] == '\n'))
                        return 0;
        }
        return 0;
}

static size_t symbol_length(const char *s, size_t n) {
        static const char *const symbols[] = { "==", "!=", "<=", ">=", "&&", "||", "::" };

        for (size_t i = 0; n >= 2 && i < ELEMENTSOF(symbols); i++)
                if (memcmp(s, symbols[i], 2) == 0)
                        return 2;
        return *s != '\0' && strchr("@.,;:(){}[]<>+-*/%!=", *s) ? 1 : 0;
}

struct cedar_token cedar_lexer_next(struct cedar_lexer *lexer) {
        struct cedar_token token = { .kind = CEDAR_TOKEN_END };
        const char *s;
        size_t n, left;

        skip(lexer);
        s = lexer->text + lexer->at;
        left = lexer->size - lexer->at;
        token.offset = (uint32_t) lexer->at;
        if (left == 0)
                return token;

        if ((n = word_length(s, left)) > 0)
                token = (struct cedar_token){ CEDAR_TOKEN_WORD, { s, n }, token.offset, (uint32_t) n };
        else if (is_digit(*s)) {
                while (n < left && is_digit(s[n]))
                        n++;
                token = (struct cedar_token){ CEDAR_TOKEN_NUMBER, { s, n }, token.offset, (uint32_t) n };
        } else if (*s == '"') {
                n = string_length(s, left);
                if (n > 0)
                        token = (struct cedar_token){ CEDAR_TOKEN_STRING, { s + 1, n - 2 }, token.offset,
                                (uint32_t) n };
                else
                        lexer->problem = "a string without an end";
        } else if (*s == '?' && (n = word_length(s + 1, left - 1)) > 0) {
                token = (struct cedar_token){ CEDAR_TOKEN_SLOT, { s + 1, n }, token.offset,
                        (uint32_t) n + 1 };
                n++;
        } else if ((n = symbol_length(s, left)) > 0)
                token = (struct cedar_token){ CEDAR_TOKEN_SYMBOL, { s, n }, token.offset, (uint32_t) n };
        else
                lexer->problem = "a character that has no meaning here";

        if (n == 0) {
                token.kind = CEDAR_TOKEN_BAD;
                /* The whole of a character. */
                for (n = 1; n < left && ((uint8_t) s[n] & 0xC0) == 0x80; n++)
                        ;
                token.text = (struct cedar_text){ s, n };
                token.length = (uint32_t) n;
                n = 0;
        }
        lexer->at += n;
        return token;
}

void cedar_text_position(const char *text, size_t offset, unsigned *ret_line, unsigned *ret_column) {
        unsigned line = 1, column = 1;

        for (size_t i = 0; i < offset; i++)
                if (text[i] == '\n') {
                        line++;
                        column = 1;
                } else
                        column += ((uint8_t) text[i] & 0xC0) != 0x80;
        *ret_line = line;
        *ret_column = column;
}

/* ---- escapes ---- */

static int hex_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

static char *put_utf8(char *out, uint32_t c) {
        if (c < 0x80)
                *out++ = (char) c;
        else if (c < 0x800) {
                *out++ = (char) (0xC0 | c >> 6);
                *out++ = (char) (0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
                *out++ = (char) (0xE0 | c >> 12);
                *out++ = (char) (0x80 | (c >> 6 & 0x3F));
                *out++ = (char) (0x80 | (c & 0x3F));
        } else {
                *out++ = (char) (0xF0 | c >> 18);
                *out++ = (char) (0x80 | (c >> 12 & 0x3F));
                *out++ = (char) (0x80 | (c >> 6 & 0x3F));
                *out++ = (char) (0x80 | (c & 0x3F));
        }
        return out;
}

/* \xHH, of ASCII. s is behind the x; the digits' number, or 0. */
static size_t read_hex(const char *s, size_t n, uint32_t *ret) {
        int high = n > 0 ? hex_value(s[0]) : -1, low = n > 1 ? hex_value(s[1]) : -1;

        if (high < 0 || high > 7 || low < 0)
                return 0;
        *ret = (uint32_t) (high * 16 + low);
        return 2;
}

/* \u{…}: one to six hexadecimal digits, between which '_' may stand. s is behind the u; the length, or 0. */
static size_t read_unicode(const char *s, size_t n, uint32_t *ret) {
        unsigned digits = 0;
        uint32_t c = 0;
        size_t i;

        if (n < 3 || s[0] != '{' || s[1] == '_')
                return 0;
        for (i = 1; i < n && s[i] != '}'; i++) {
                int value = hex_value(s[i]);

                if (s[i] == '_')
                        continue;
                if (value < 0 || ++digits > 6)
                        return 0;
                c = c << 4 | (uint32_t) value;
        }
        if (i == n || digits == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
                return 0;
        *ret = c;
        return i + 1;
}

/* s is behind the backslash. How many bytes of it the escape takes, or 0. */
static size_t read_escape(const char *s, size_t n, bool pattern, uint32_t *ret) {
        static const char from[] = "nrt\\0'\"", to[] = "\n\r\t\\\0'\"";
        const char *simple;
        size_t k;

        if (n == 0)
                return 0;
        if (*s == 'x') {
                k = read_hex(s + 1, n - 1, ret);
                return k > 0 ? k + 1 : 0;
        }
        if (*s == 'u') {
                k = read_unicode(s + 1, n - 1, ret);
                return k > 0 ? k + 1 : 0;
        }
        if (*s == '*' && pattern) {
                *ret = '*';
                return 1;
        }
        simple = *s != '\0' ? strchr(from, *s) : NULL;
        if (!simple)
                return 0;
        *ret = (unsigned char) to[simple - from];
        return 1;
}

int cedar_unescape(struct arena *arena, struct cedar_text raw, struct cedar_text *ret, uint8_t **stars,
                size_t *ret_bad) {
        /* An escape is never shorter than what it stands for. */
        char *text = arena_alloc(arena, raw.n + 1), *out = text;
        size_t i = 0;

        if (stars)
                *stars = arena_alloc0(arena, raw.n + 1);
        if (!text || (stars && !*stars))
                return -ENOMEM;
        while (i < raw.n) {
                uint32_t c = (unsigned char) raw.s[i];
                bool escaped = raw.s[i] == '\\';
                size_t k = 0;

                *ret_bad = i++;
                if (escaped) {
                        k = read_escape(raw.s + i, raw.n - i, stars, &c);
                        if (k == 0)
                                return -EINVAL;
                }
                /* As in Cedar's own: a star that is written as \x2a is a wildcard. */
                if (stars && c == '*' && !(escaped && raw.s[i] == '*'))
                        (*stars)[out - text] = 1;
                if (!escaped && c == '\r')
                        return -EINVAL;
                if (escaped)
                        out = put_utf8(out, c);
                else
                        *out++ = (char) c;
                i += k;
        }
        *out = '\0';
        *ret = (struct cedar_text){ text, (size_t) (out - text) };
        return 0;
}
