/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "locale-name.h"

#include <criterion/criterion.h>

static void expect(bool (*is_valid)(const char *s), const char *const *names, bool valid) {
        for (; *names; names++)
                cr_assert_eq(is_valid(*names), valid, "\"%s\"", *names);
}

Test(locale_name, locales) {
        static const char *const yes[] = { "C", "POSIX", "C.UTF-8", "POSIX.utf8", "de", "de_DE", "ast_ES",
                "de_DE.UTF-8", "de_DE@euro", "de_DE.UTF-8@euro", "de_DE@euro.ISO-8859-15", "sr@latin",
                NULL };
        static const char *const no[] = { "", "D", "CC", "C_DE", "C@euro", "POSIX@euro", "C.", "C.UTF-8.x",
                "d", "deut", "DE", "de_", "de_de", "de_DEU", "de_DE.", "de_DE@", "de_DE.UTF-8.UTF-8",
                "de_DE@a@b", "de_DE.UTF-8@", "de_DE UTF-8", "de_DE.UTF-8\n", "de_DE.UTF_8", "../de", "de/DE",
                "de_DE=x", NULL };

        expect(locale_name_is_valid, yes, true);
        expect(locale_name_is_valid, no, false);
}

Test(locale_name, time_zones) {
        static const char *const yes[] = { "UTC", "GMT", "CET", "Zulu", "Europe/Helsinki", "Etc/GMT+1",
                "Etc/GMT-14", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "EST5EDT", NULL };
        static const char *const no[] = { "", "/", "utc", "Europe/", "/Europe", "Europe//Helsinki",
                "Europe/helsinki", "Europe/../UTC", "../UTC", "Europe/Helsinki\n", "Europe/Hel sinki",
                "Europe/.Helsinki", "1UTC", "+UTC", NULL };

        expect(timezone_name_is_valid, yes, true);
        expect(timezone_name_is_valid, no, false);
}

Test(locale_name, both_have_an_end) {
        char name[LOCALE_NAME_MAX + 2] = "de_DE.";

        memset(name + 6, 'x', sizeof(name) - 7);
        cr_assert(!locale_name_is_valid(name));
        name[LOCALE_NAME_MAX] = '\0';
        cr_assert(locale_name_is_valid(name));

        memset(name, 'U', LOCALE_NAME_MAX + 1);
        name[TIMEZONE_NAME_MAX + 1] = '\0';
        cr_assert(!timezone_name_is_valid(name));
        name[TIMEZONE_NAME_MAX] = '\0';
        cr_assert(timezone_name_is_valid(name));
}
