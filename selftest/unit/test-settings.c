/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locale and time zone of the fleet, in their files. */
#include "settings.h"

#include "log.h"
#include "text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>

static char directory[] = "/tmp/test-settings-XXXXXX";

static const char *place(const char *name) {
        static char text[256];

        snprintf(text, sizeof(text), "%s/%s", directory, name);
        return text;
}

static void set_up(void) {
        log_set_max_level(LOG_CRIT);
        cr_assert_not_null(mkdtemp(directory));
}

static void tear_down(void) {
        (void) unlink(place(SETTINGS_LOCALE_FILE));
        (void) unlink(place(SETTINGS_TIMEZONE_FILE));
        cr_assert_eq(rmdir(directory), 0, "nothing else is left behind");
}

TestSuite(settings, .init = set_up, .fini = tear_down);

static void write_file(const char *name, const char *text) {
        FILE *file = fopen(place(name), "w");

        cr_assert_not_null(file);
        cr_assert_geq(fputs(text, file), 0);
        cr_assert_eq(fclose(file), 0);
}

static void expect_file(const char *name, const char *text) {
        struct stat st;
        char *found;

        cr_assert_eq(text_read_file(place(name), 4096, &found, NULL), 0);
        cr_assert_str_eq(found, text);
        cr_assert_eq(stat(place(name), &st), 0);
        cr_assert_eq(st.st_mode & 0777, 0644, "everybody may read it");
        free(found);
}

static int set_locale(struct settings *settings, Locale__LocaleMacroKey key, const char *value) {
        Locale__LocaleAssignment assignment = LOCALE__LOCALE_ASSIGNMENT__INIT, *list[] = { &assignment };
        Admin__LocaleRequest request = ADMIN__LOCALE_REQUEST__INIT;

        assignment.key = key;
        assignment.value = (char *) value;
        request.assignments = list;
        request.n_assignments = 1;
        cr_assert_null(settings_check_locale(&request));
        return settings_set_locale(settings, &request);
}

Test(settings, nothing_is_set_at_first) {
        struct settings *settings;

        cr_assert_eq(settings_new(&settings, directory), 0);
        cr_assert_eq(settings_has(settings, SETTING_LOCALE),
                        access("/etc/" SETTINGS_LOCALE_FILE, F_OK) == 0);
        cr_assert_eq(settings_has(settings, SETTING_TIMEZONE),
                        access("/etc/" SETTINGS_TIMEZONE_FILE, F_OK) == 0);
        settings_free(settings);
}

Test(settings, they_last) {
        Admin__TimezoneRequest zone = ADMIN__TIMEZONE_REQUEST__INIT;
        struct settings *settings;
        char list[64];
        mode_t mask;

        mask = umask(0077);
        write_file(SETTINGS_LOCALE_FILE, "");
        write_file(SETTINGS_TIMEZONE_FILE, "");
        snprintf(list, sizeof(list), "%s:/nowhere", directory);
        cr_assert_eq(settings_new(&settings, list), 0);
        cr_assert(!settings_has(settings, SETTING_LOCALE) && !settings_has(settings, SETTING_TIMEZONE));
        cr_assert_eq(set_locale(settings, LOCALE__LOCALE_MACRO_KEY__LANG, "de_DE.UTF-8"), 0);
        cr_assert_eq(set_locale(settings, LOCALE__LOCALE_MACRO_KEY__LC_ALL, "C"), 0);
        expect_file(SETTINGS_LOCALE_FILE, "LANG=de_DE.UTF-8\nLC_ALL=C\n");
        zone.timezone = (char *) "Europe/Helsinki";
        cr_assert_eq(settings_set_timezone(settings, &zone), 0);
        expect_file(SETTINGS_TIMEZONE_FILE, "Europe/Helsinki\n");
        settings_free(settings);

        cr_assert_eq(settings_new(&settings, directory), 0);
        cr_assert(settings_has(settings, SETTING_LOCALE) && settings_has(settings, SETTING_TIMEZONE));
        cr_assert_eq(set_locale(settings, LOCALE__LOCALE_MACRO_KEY__LC_TIME, "en_GB"), 0);
        expect_file(SETTINGS_LOCALE_FILE, "LANG=de_DE.UTF-8\nLC_TIME=en_GB\n");
        settings_free(settings);
        umask(mask);
}

Test(settings, what_somebody_wrote_by_hand) {
        struct settings *settings;

        write_file(SETTINGS_LOCALE_FILE,
                        "# ours\n\nLANG=fi_FI.UTF-8\nLC_TIME\nLC_TIME=\nLC_FOO=C\nLC_NAME=a b\nLC_PAPER=C");
        write_file(SETTINGS_TIMEZONE_FILE, "Asia/Tokyo \n# far\n");
        cr_assert_eq(settings_new(&settings, directory), 0);
        cr_assert(settings_has(settings, SETTING_TIMEZONE));
        cr_assert_eq(set_locale(settings, LOCALE__LOCALE_MACRO_KEY__LC_ALL, "C"), 0);
        expect_file(SETTINGS_LOCALE_FILE, "LANG=fi_FI.UTF-8\nLC_PAPER=C\nLC_ALL=C\n");
        settings_free(settings);
}

Test(settings, nonsense_counts_as_not_set) {
        struct settings *settings;

        write_file(SETTINGS_LOCALE_FILE, "=\n==\nLANG\x01=C\n");
        write_file(SETTINGS_TIMEZONE_FILE, "../../etc/passwd\n");
        cr_assert_eq(settings_new(&settings, directory), 0);
        cr_assert(!settings_has(settings, SETTING_LOCALE) && !settings_has(settings, SETTING_TIMEZONE));
        settings_free(settings);
}

Test(settings, what_cannot_be_stored_is_not_set) {
        struct settings *settings;

        write_file(SETTINGS_LOCALE_FILE, "LANG=C\n");
        write_file(SETTINGS_TIMEZONE_FILE, "");
        cr_assert_eq(settings_new(&settings, directory), 0);
        /* In the way of the new file, whoever we are. */
        cr_assert_eq(mkdir(place("." SETTINGS_LOCALE_FILE ".new"), 0755), 0);
        cr_assert_eq(set_locale(settings, LOCALE__LOCALE_MACRO_KEY__LANG, "POSIX"), -EISDIR);
        cr_assert_eq(rmdir(place("." SETTINGS_LOCALE_FILE ".new")), 0);
        expect_file(SETTINGS_LOCALE_FILE, "LANG=C\n");
        settings_free(settings);
}

static int set_timezone(struct settings *settings, const char *name) {
        Admin__TimezoneRequest request = ADMIN__TIMEZONE_REQUEST__INIT;

        request.timezone = (char *) name;
        return settings_set_timezone(settings, &request);
}

Test(settings, the_last_can_be_undone) {
        struct settings *settings;
        uint64_t first, second;

        write_file(SETTINGS_LOCALE_FILE, "LANG=C\n");
        write_file(SETTINGS_TIMEZONE_FILE, "");
        cr_assert_eq(settings_new(&settings, directory), 0);
        cr_assert_eq(settings_undo(settings, SETTING_TIMEZONE, settings_serial(settings, SETTING_TIMEZONE)),
                        -ESTALE);
        cr_assert_eq(set_timezone(settings, "Mars/Olympus_Mons"), 0);
        cr_assert_eq(set_locale(settings, LOCALE__LOCALE_MACRO_KEY__LC_TIME, "xx_XX"), 0);
        first = settings_serial(settings, SETTING_TIMEZONE);
        cr_assert_eq(settings_undo(settings, SETTING_TIMEZONE, first), 0);
        cr_assert_not(settings_has(settings, SETTING_TIMEZONE));
        cr_assert_neq(access(place(SETTINGS_TIMEZONE_FILE), F_OK), 0);
        cr_assert_eq(settings_undo(settings, SETTING_TIMEZONE, first), -ESTALE, "once");
        cr_assert_eq(settings_undo(settings, SETTING_LOCALE, settings_serial(settings, SETTING_LOCALE)), 0);
        expect_file(SETTINGS_LOCALE_FILE, "LANG=C\n");

        cr_assert_eq(set_timezone(settings, "Asia/Tokyo"), 0);
        first = settings_serial(settings, SETTING_TIMEZONE);
        cr_assert_eq(set_timezone(settings, "Mars/Olympus_Mons"), 0);
        second = settings_serial(settings, SETTING_TIMEZONE);
        settings_settle(settings, SETTING_TIMEZONE, first);
        cr_assert_eq(settings_undo(settings, SETTING_TIMEZONE, first), -ESTALE, "settled");
        expect_file(SETTINGS_TIMEZONE_FILE, "Mars/Olympus_Mons\n");
        cr_assert_eq(settings_undo(settings, SETTING_TIMEZONE, second), 0);
        expect_file(SETTINGS_TIMEZONE_FILE, "Asia/Tokyo\n");
        settings_free(settings);

        cr_assert_eq(settings_new(&settings, directory), 0);
        cr_assert(settings_has(settings, SETTING_TIMEZONE));
        settings_free(settings);
}

/* Stores the first, the second, the third; undoes and settles as letters say: A to C undo, a to c settle. */
static void expect_in_force(const char *ends, const char *expected) {
        static const char *const names[] = { "Asia/Tokyo", "Asia/Seoul", "Asia/Dubai" };
        uint64_t serials[ELEMENTSOF(names)];
        struct settings *settings;

        write_file(SETTINGS_TIMEZONE_FILE, "UTC\n");
        cr_assert_eq(settings_new(&settings, directory), 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                cr_assert_eq(set_timezone(settings, names[i]), 0);
                serials[i] = settings_serial(settings, SETTING_TIMEZONE);
        }
        for (const char *end = ends; *end; end++)
                if (*end >= 'a')
                        settings_settle(settings, SETTING_TIMEZONE, serials[*end - 'a']);
                else
                        (void) settings_undo(settings, SETTING_TIMEZONE, serials[*end - 'A']);
        expect_file(SETTINGS_TIMEZONE_FILE, expected);
        settings_free(settings);
}

Test(settings, overlapping_ones_are_undone_each_for_itself) {
        expect_in_force("ABC", "UTC\n");
        expect_in_force("CBA", "UTC\n");
        expect_in_force("BCA", "UTC\n");
        expect_in_force("ABc", "Asia/Dubai\n");
        expect_in_force("cAB", "Asia/Dubai\n");
        expect_in_force("CbA", "Asia/Seoul\n");
        expect_in_force("AbC", "Asia/Seoul\n");
        expect_in_force("CBa", "Asia/Tokyo\n");
        expect_in_force("aCB", "Asia/Tokyo\n");
        expect_in_force("CB", "Asia/Tokyo\n");
}

Test(settings, requests_that_make_no_sense) {
        Locale__LocaleAssignment a = LOCALE__LOCALE_ASSIGNMENT__INIT, b = a, *list[] = { &a, &b };
        Admin__TimezoneRequest zone = ADMIN__TIMEZONE_REQUEST__INIT;
        Admin__LocaleRequest request = ADMIN__LOCALE_REQUEST__INIT;

        cr_assert_not_null(settings_check_locale(&request), "no assignment");
        request.assignments = list;
        request.n_assignments = 2;
        a.value = b.value = (char *) "C";
        cr_assert_not_null(settings_check_locale(&request), "LANG twice");
        b.key = (Locale__LocaleMacroKey) 14;
        cr_assert_not_null(settings_check_locale(&request), "an unknown key");
        b.key = (Locale__LocaleMacroKey) -1;
        cr_assert_not_null(settings_check_locale(&request), "another one");
        b.key = LOCALE__LOCALE_MACRO_KEY__LC_ALL;
        cr_assert_null(settings_check_locale(&request));
        b.value = (char *) "";
        cr_assert_not_null(settings_check_locale(&request), "an empty value");
        cr_assert_not_null(settings_check_timezone(&zone), "no time zone");
}
