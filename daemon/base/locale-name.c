/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "locale-name.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Behind so many characters out of a set, or NULL where there are fewer than min or more than max. */
static const char *skip(const char *s, const char *set, size_t min, size_t max) {
        size_t n = strspn(s, set);

        return n >= min && n <= max ? s + n : NULL;
}

/* "_CC", if there is one. */
static const char *skip_territory(const char *s) {
        return s && *s == '_' ? skip(s + 1, UPPER, 2, 2) : s;
}

/* ".codeset", if there is one. */
static const char *skip_codeset(const char *s) {
        return s && *s == '.' ? skip(s + 1, LOWER UPPER DIGITS "-", 1, LOCALE_NAME_MAX) : s;
}

/* "@modifier", if there is one. */
static const char *skip_modifier(const char *s) {
        return s && *s == '@' ? skip(s + 1, LOWER UPPER DIGITS, 1, LOCALE_NAME_MAX) : s;
}

static bool is_end(const char *s) {
        return s && *s == '\0';
}

bool locale_name_is_valid(const char *s) {
        const char *plain = startswith(s, "POSIX") ?: startswith(s, "C"), *named;

        if (strlen(s) > LOCALE_NAME_MAX)
                return false;
        if (plain)
                return is_end(skip_codeset(plain));
        named = skip_territory(skip(s, LOWER, 2, 3));
        return is_end(skip_modifier(skip_codeset(named))) || is_end(skip_codeset(skip_modifier(named)));
}

bool timezone_name_is_valid(const char *s) {
        if (strlen(s) > TIMEZONE_NAME_MAX)
                return false;
        for (;;) {
                if (!skip(s, UPPER, 1, TIMEZONE_NAME_MAX))
                        return false;
                s = skip(s, LOWER UPPER DIGITS "_+-", 1, TIMEZONE_NAME_MAX);
                if (*s != '/')
                        return *s == '\0';
                s++;
        }
}
