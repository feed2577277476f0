/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "status.h"

#include <criterion/criterion.h>

Test(status, every_code_has_its_name) {
        cr_assert_str_eq(rpc_code_name(RPC_OK), "OK");
        cr_assert_str_eq(rpc_code_name(RPC_NOT_FOUND), "NOT_FOUND");
        cr_assert_str_eq(rpc_code_name(RPC_UNAUTHENTICATED), "UNAUTHENTICATED");
        for (int code = 0; code < _RPC_CODE_MAX; code++)
                cr_assert(code == RPC_UNKNOWN || !streq(rpc_code_name((enum rpc_code) code), "UNKNOWN"));
}

Test(status, a_number_that_is_no_code_is_unknown) {
        cr_assert_str_eq(rpc_code_name(_RPC_CODE_MAX), "UNKNOWN");
        cr_assert_str_eq(rpc_code_name((enum rpc_code) - 1), "UNKNOWN");
}

static void check_message(const char *message, const char *encoded) {
        _cleanup_(freep) char *e = rpc_status_message_encode(message, SIZE_MAX);
        _cleanup_(freep) char *d = rpc_status_message_decode(encoded, strlen(encoded));

        cr_assert_str_eq(e, encoded);
        cr_assert_str_eq(d, message);
}

Test(status, messages_travel_percent_encoded) {
        check_message("", "");
        check_message("no unit \"x\" ~ here", "no unit \"x\" ~ here");
        check_message("100 %", "100 %25");
        check_message(" at both ends: ", "%20at both ends:%20");
        check_message(" ", "%20");
        check_message("zwei\nZeilen\t\x7f", "zwei%0AZeilen%09%7F");
        check_message("gr\xc3\xbc\xc3\x9f \xe2\x82\xac", "gr%C3%BC%C3%9F %E2%82%AC");
}

static void check_cut(const char *message, size_t max, const char *encoded) {
        _cleanup_(freep) char *e = rpc_status_message_encode(message, max);

        cr_assert_str_eq(e, encoded);
}

Test(status, long_messages_are_cut_between_characters) {
        check_cut("abcdef", 6, "abcdef");
        check_cut("abcdef", 5, "abcde");
        check_cut("abcdef", 0, "");
        check_cut("ab  cd", 4, "ab");
        check_cut("  cd", 4, "%20");
        check_cut("a%b", 3, "a");
        check_cut("a%b", 4, "a%25");
        check_cut("x\xe2\x82\xacy", 11, "x%E2%82%ACy");
        check_cut("x\xe2\x82\xacy", 10, "x%E2%82%AC");
        check_cut("x\xe2\x82\xacy", 9, "x");
        check_cut("\x80\x80", 3, "");
}

static void check_decode(const char *text, const char *message) {
        _cleanup_(freep) char *d = rpc_status_message_decode(text, strlen(text));

        cr_assert_str_eq(d, message);
}

Test(status, malformed_messages_are_kept_as_they_stand) {
        check_decode("%", "%");
        check_decode("%4", "%4");
        check_decode("%4g%41", "%4gA");
        check_decode("%e2%82%ac", "\xe2\x82\xac");
        check_decode("a%00b", "a%00b");
        /* decoding would not give UTF-8 */
        check_decode("%FF%41", "%FF%41");
        check_decode("\xff%41", "?%41");
}

Test(status, messages_need_no_terminator) {
        _cleanup_(freep) char *d = rpc_status_message_decode("%41%42", 5);

        cr_assert_str_eq(d, "A%4");
}

static void check_base64(const char *data, const char *plain, const char *padded) {
        _cleanup_(freep) char *e = rpc_base64_encode((const uint8_t *) data, strlen(data));

        cr_assert_str_eq(e, plain);
        for (int i = 0; i < 2; i++) {
                _cleanup_(freep) uint8_t *d = NULL;
                const char *text = i == 0 ? plain : padded;
                size_t n;

                cr_assert_eq(rpc_base64_decode(text, strlen(text), &d, &n), 0);
                cr_assert_eq(n, strlen(data));
                cr_assert_eq(memcmp(d, data, n), 0);
        }
}

/* RFC 4648, section 10 */
Test(status, base64_is_taken_with_and_without_padding) {
        check_base64("", "", "");
        check_base64("f", "Zg", "Zg==");
        check_base64("fo", "Zm8", "Zm8=");
        check_base64("foo", "Zm9v", "Zm9v");
        check_base64("foob", "Zm9vYg", "Zm9vYg==");
        check_base64("fooba", "Zm9vYmE", "Zm9vYmE=");
        check_base64("foobar", "Zm9vYmFy", "Zm9vYmFy");
        check_base64("\xfb\xff\xbf", "+/+/", "+/+/");
}

Test(status, base64_carries_every_byte) {
        _cleanup_(freep) char *e = NULL;
        _cleanup_(freep) uint8_t *d = NULL;
        uint8_t data[256];
        size_t n;

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) i;
        e = rpc_base64_encode(data, sizeof(data));
        cr_assert_eq(rpc_base64_decode(e, strlen(e), &d, &n), 0);
        cr_assert_eq(n, sizeof(data));
        cr_assert_eq(memcmp(d, data, n), 0);
}

Test(status, what_is_not_base64_is_refused) {
        static const char *const bad[] = {
                "A",
                "Zg=",
                "=",
                "==",
                "====",
                "Zg===",
                "Zm9vYg=",
                "Zm9=vYg=",
                "Zm 9",
                "Zm9-",
                "Zm9_",
                "Zm9v\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                uint8_t *d = NULL;
                size_t n;

                cr_assert_eq(rpc_base64_decode(bad[i], strlen(bad[i]), &d, &n), -EINVAL, "\"%s\"", bad[i]);
                cr_assert_null(d);
        }
}

/* The bytes are those that Google's protobuf makes of the same message. */
Test(status, debug_info_is_a_google_rpc_status) {
        static const char expected[] = "\x08\x05"
                                       "\x12\x07no unit"
                                       "\x1a\x3c"
                                       "\x0a\x28type.googleapis.com/google.rpc.DebugInfo"
                                       "\x12\x10"
                                       "\x0a\x05outer"
                                       "\x0a\x00"
                                       "\x12\x05inner";
        const char *entries[] = { "outer", "" };
        _cleanup_(freep) uint8_t *status = NULL;
        size_t n;

        status = rpc_status_debug_info(RPC_NOT_FOUND, "no unit", entries, ELEMENTSOF(entries), "inner", &n);
        cr_assert_eq(n, sizeof(expected) - 1);
        cr_assert_eq(memcmp(status, expected, n), 0);
}

Test(status, debug_info_of_long_texts_has_long_lengths) {
        _cleanup_(freep) uint8_t *status = NULL;
        char text[20001];
        size_t n;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        status = rpc_status_debug_info(RPC_INTERNAL, "", NULL, 0, text, &n);
        /* code, empty message, then 3 + 3 + 42 + 3 + 1 + 3 of headers: lengths over 16 383 take three bytes
         */
        cr_assert_eq(n, 2 + 2 + (1 + 3) + 42 + (1 + 3) + (1 + 3) + 20000);
        cr_assert_eq(memcmp(status + n - 20004, "\x12\xa0\x9c\x01xxxx", 8), 0);
}
