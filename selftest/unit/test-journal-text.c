/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "journal-text.h"

#include <criterion/criterion.h>

static void check(const char *bytes, size_t n, size_t max, const char *expected) {
        _cleanup_(freep) char *text = journal_text(bytes, n, max);

        cr_expect_str_eq(text, expected);
}

#define CHECK(bytes, max, expected) check(bytes, sizeof(bytes) - 1, max, expected)

Test(journal_text, text_stays_as_it_is) {
        CHECK("", 10, "");
        CHECK("Started demo.", 100, "Started demo.");
        CHECK("two\nlines\t\x1b[0m", 100, "two\nlines\t\x1b[0m");
        CHECK("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 100, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
}

Test(journal_text, what_is_no_text_is_shown_byte_by_byte) {
        CHECK("a\0b", 10, "a\\x00b");
        CHECK("\xff\xfe", 10, "\\xff\\xfe");
        CHECK("\xc3", 10, "\\xc3");
        CHECK("\xc3(", 10, "\\xc3(");
        CHECK("\xa9\xc3\xa9", 10, "\\xa9\xc3\xa9");
        /* overlong, a surrogate, past the last character: RFC 3629, 3 */
        CHECK("\xc0\xaf", 10, "\\xc0\\xaf");
        CHECK("\xed\xa0\x80", 10, "\\xed\\xa0\\x80");
        CHECK("\xf4\x90\x80\x80", 10, "\\xf4\\x90\\x80\\x80");
        CHECK("\xe2\x82", 10, "\\xe2\\x82");
}

Test(journal_text, what_is_too_long_is_cut_between_characters) {
        CHECK("abcdef", 6, "abcdef");
        CHECK("abcdef", 5, "abcde\xe2\x80\xa6");
        CHECK("abcdef", 0, "\xe2\x80\xa6");
        CHECK("ab\xe2\x82\xac", 5, "ab\xe2\x82\xac");
        CHECK("ab\xe2\x82\xac", 4, "ab\xe2\x80\xa6");
        CHECK("\xff\xff\xff", 2, "\\xff\\xff\xe2\x80\xa6");
}

static void check_line(const char *s, size_t max, const char *expected) {
        _cleanup_(freep) char *line = journal_line(s, max);

        cr_expect_str_eq(line, expected);
}

Test(journal_text, a_line_is_one_and_obeyed_by_no_terminal) {
        check_line("caf\xc3\xa9 \xe2\x82\xac", 100, "caf\xc3\xa9 \xe2\x82\xac");
        check_line("two\nlines\t\x1b[0m\x7f", 100, "two\\x0alines\\x09\\x1b[0m\\x7f");
        check_line("\xc2\x9b"
                   "2J \xe2\x80\xae",
                        100, "\\xc2\\x9b2J \\xe2\\x80\\xae");
        check_line("\n\n\n", 2, "\\x0a\\x0a\xe2\x80\xa6");
}
