/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that peers send, and what of theirs we show. */
#include "fuzz.h"

#include "locale-name.h"
#include "text.h"

/* What names a locale or a time zone is safe in a file of KEY=value, and below a directory. */
static void check_path(const char *name) {
        must(strlen(name) > 0 && strlen(name) <= TIMEZONE_NAME_MAX && name[0] != '/', "a name has a length");
        must(!strstr(name, "..") && !strpbrk(name, "=\n \"'\\$"), "a name is plain");
}

/* What is a name is safe in a path, a log line and a D-Bus message. */
static void check_name(const char *name) {
        must(strlen(name) > 0 && strlen(name) <= 255, "a name has a length");
        for (const char *p = name; *p; p++)
                must(*p > 0x20 && *p < 0x7F && *p != '/', "a name is plain");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *) data, size), *escaped = NULL;
        uint64_t number;

        if (text_is_unit_name(text))
                check_name(text);
        if (text_is_host_name(text))
                check_name(text);
        if (locale_name_is_valid(text))
                check_path(text);
        if (timezone_name_is_valid(text))
                check_path(text);
        if (text_to_uint(text, 65535, &number) == 0)
                must(number <= 65535, "a number keeps its bound");

        (void) text_is_utf8((const char *) data, size);
        escaped = text_escape((const char *) data, size, 64);
        must(strlen(escaped) <= 64 * 4 + 3, "what is shown has a bound");
        for (const char *p = escaped; *p; p++)
                must((*p >= 0x20 && *p < 0x7F) || size > 64, "what is shown is printable");
        return 0;
}
