/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What peers ask to start, and with which arguments. */
#include "fuzz.h"

#include "applications.h"
#include "text.h"

/* What passes for a kind is safe to be handed to a program, and to a shell by it: but for a path, which is
 * there. */
static void check_plain(const char *text, bool is_url) {
        for (const char *p = text; *p; p++)
                must(*p > ' ' && *p < 0x7F && !strchr(";|`$<>\"'\\(){}*!^", *p),
                                "an argument has no shell characters");
        must(is_url || !strpbrk(text, "&?#%:/@[]"), "a flag is plain");
}

static void check_file(const char *path) {
        char *directories[] = { (char *) "/usr/share", (char *) "/proc/self", NULL };

        if (application_argument_check_file(path, directories) < 0)
                return;
        must(application_path_is_clean(path), "a file's path is clean");
        must(startswith(path, "/usr/share") || startswith(path, "/proc/self"), "a file is where it may be");
}

static void check_unit(const char *name) {
        struct application list[] = { { .name = (char *) "a" }, { .name = (char *) "a-b" } };
        const struct applications applications = { .list = list, .n = ELEMENTSOF(list) };
        const struct application *application = applications_find_unit(&applications, name);

        must(application || !applications_find_instance(&applications, name), "an instance is a unit");
        if (!application)
                return;
        must(text_is_unit_name(name) && endswith(name, ".service"), "an instance is a service");
        must(startswith(name, application->name) && name[strlen(application->name)] == '@',
                        "an instance is of its application");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *) data, size);

        if (application_argument_is_flag(text)) {
                must(text[0] == '-' && text[1] != '\0', "a flag begins like one");
                check_plain(text, false);
        }
        if (application_argument_is_url(text)) {
                must(strchr(text, ':') && text[0] != '-' && text[0] != '/', "an URL begins like one");
                check_plain(text, true);
        }
        check_file(text);
        check_unit(text);
        return 0;
}
