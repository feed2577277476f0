/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "applications.h"
#include "config-read.h"
#include "text.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* --- the manifest --- */

/* Reads the text as the list of applications; *ret_error begins with the line. */
static int load(struct applications *applications, const char *list, char **ret_error) {
        static const char *const top_keys[] = { "applications", NULL };
        _cleanup_(config_reader_clear) struct config_reader reader = CONFIG_READER_NULL;
        _cleanup_(freep) char *text = text_printf("{ \"applications\":\n%s }\n", list);
        struct config_section top;
        _cleanup_(closep) int fd = -1;
        char path[64];
        int r;

        fd = memfd_create("agent.json", MFD_CLOEXEC);
        cr_assert(fd >= 0);
        cr_assert_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
        snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        cr_assert_eq(config_reader_open(&reader, path), 0, "%s: %s", list, reader.error);
        cr_assert_eq(config_read_section(&reader, NULL, NULL, top_keys, &top), 1);
        r = applications_read(applications, &reader, &top);
        *ret_error = reader.error ? strdup(reader.error + strlen(path)) : NULL;
        return r;
}

Test(applications, a_manifest_is_read) {
        _cleanup_(applications_clear) struct applications applications = {};
        _cleanup_(freep) char *error = NULL;
        const struct application *browser, *viewer;

        cr_assert_eq(load(&applications,
                                     "[ { \"name\": \"browser\", \"command\": \" /bin/browser  --new-window "
                                     "\", "
                                     "\"args\": [ \"flag\", \"url\" ], \"directories\": [] },\n"
                                     "{ \"Name\": \"pdf-viewer_2\", \"COMMAND\": \"viewer\", \"args\": [ "
                                     "\"file\" ], "
                                     "\"directories\": [ \"/home/user/Unsafe share\", \"/\" ] },\n"
                                     "{ \"name\": \"bare\", \"command\": \"true\", \"args\": null } ]",
                                     &error),
                        0, "%s", error);
        cr_assert_eq(applications.n, 3);
        browser = &applications.list[0];
        cr_assert_str_eq(browser->name, "browser");
        cr_assert_str_eq(browser->command[0], "/bin/browser");
        cr_assert_str_eq(browser->command[1], "--new-window");
        cr_assert_null(browser->command[2]);
        cr_assert_eq(browser->arguments, APPLICATION_FLAG | APPLICATION_URL);
        viewer = &applications.list[1];
        cr_assert_eq(viewer->arguments, APPLICATION_FILE);
        cr_assert_str_eq(viewer->directories[0], "/home/user/Unsafe share");
        cr_assert_eq(applications.list[2].arguments, 0);
}

Test(applications, none_at_all) {
        static const char *const none[] = { "null", "[]" };

        for (size_t i = 0; i < ELEMENTSOF(none); i++) {
                _cleanup_(applications_clear) struct applications applications = {};
                _cleanup_(freep) char *error = NULL;

                cr_assert_eq(load(&applications, none[i], &error), 0);
                cr_assert_eq(applications.n, 0);
        }
}

Test(applications, what_is_wrong_is_named) {
        static const struct {
                const char *list, *error;
        } cases[] = {
                { "{}", ":2: applications: is an object, must be a list, [ … ], or null" },
                { "[ 1 ]", ":2: applications[0]: is a number, must be an object, { … }" },
                { "[ { \"command\": \"x\" } ]",
                                ":2: applications[0].name: is missing, must be a name of letters, digits, "
                                "\"_\" "
                                "and \"-\"" },
                { "[ {\n\"name\": \"a b\", \"command\": \"x\" } ]",
                                ":3: applications[0].name: is \"a b\", must be a name of letters, digits, "
                                "\"_\" "
                                "and \"-\"" },
                { "[ { \"name\": \"\", \"command\": \"x\" } ]",
                                ":2: applications[0].name: is \"\", must be a name of letters, digits, "
                                "\"_\" and "
                                "\"-\"" },
                { "[ { \"name\": \"a\", \"command\": \"x\" },\n { \"name\": \"a\", \"command\": \"y\" } ]",
                                ":3: applications[1].name: is \"a\", which is the name of applications[0], "
                                "must "
                                "be unique" },
                { "[ { \"name\": \"a\" } ]",
                                ":2: applications[0].command: is missing, must be a program with its first "
                                "arguments, separated by spaces" },
                { "[ { \"name\": \"a\", \"command\": \"  \" } ]",
                                ":2: applications[0].command: is empty, must be a program with its first "
                                "arguments, separated by spaces" },
                { "[ { \"name\": \"a\", \"command\": \"x\",\n\"args\": [ \"flag\", \"path\" ] } ]",
                                ":3: applications[0].args[1]: is \"path\", must be \"flag\", \"url\" or "
                                "\"file\"" },
                { "[ { \"name\": \"a\", \"command\": \"x\", \"args\": [ \"file\" ] } ]",
                                ":2: applications[0].directories: names none, must name those from which "
                                "files "
                                "may be given, as args has \"file\"" },
                { "[ { \"name\": \"a\", \"command\": \"x\", \"args\": [ \"file\" ], \"directories\": [] } ]",
                                ":2: applications[0].directories: names none, must name those from which "
                                "files "
                                "may be given, as args has \"file\"" },
                { "[ { \"name\": \"a\", \"command\": \"x\", \"args\": [ \"url\" ],\n\"directories\": [ "
                  "\"/tmp\" ] "
                  "} ]",
                                ":3: applications[0].directories: names some, must be empty where args does "
                                "not "
                                "have \"file\"" },
                { "[ { \"name\": \"a\", \"command\": \"x\", \"args\": [ \"file\" ], \"directories\": [ "
                  "\"/tmp/../etc\" ] } ]",
                                ":2: applications[0].directories[0]: is \"/tmp/../etc\", must be an "
                                "absolute path "
                                "without \"//\", \".\" and \"..\", and without a \"/\" at its end" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(applications_clear) struct applications applications = {};
                _cleanup_(freep) char *error = NULL;

                cr_expect_eq(load(&applications, cases[i].list, &error), -EINVAL, "%s", cases[i].list);
                cr_expect_str_eq(strempty(error), cases[i].error);
                cr_expect_eq(applications.n, 0);
        }
}

Test(applications, too_many) {
        _cleanup_(applications_clear) struct applications applications = {};
        _cleanup_(freep) char *error = NULL, *list = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&list, &size);
        for (unsigned i = 0; i <= APPLICATIONS_MAX; i++)
                fprintf(f, "%s{ \"name\": \"a%u\", \"command\": \"x\" }", i == 0 ? "[ " : ", ", i);
        fprintf(f, " ]");
        fclose(f);
        cr_assert_eq(load(&applications, list, &error), -EINVAL);
        cr_assert_str_eq(error, ":2: applications: has too many entries, must have at most 64");
}

Test(applications, units_of_applications) {
        _cleanup_(applications_clear) struct applications applications = {};
        _cleanup_(freep) char *error = NULL;
        static const char *const units[] = { "a@0.service", "a@17.service" };
        static const char *const startable[] = { "a@x.service", "a@-_Z9.service", "a-b@1x.service" };
        static const char *const others[] = { "", "a", "a@", "a@.service", "a@0", "a@0.socket", "@0.service",
                "c@0.service", "a@0.service ", "a@0@0.service", "a@0.0.service", "A@0.service",
                "aa@0.service", "../a@0.service", "a@0.service.service", "a@\xc3\xa9.service" };

        cr_assert_eq(load(&applications,
                                     "[ { \"name\": \"a\", \"command\": \"x\" }, { \"name\": \"a-b\", "
                                     "\"command\": "
                                     "\"x\" } ]",
                                     &error),
                        0);
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                cr_expect_eq(applications_find_instance(&applications, units[i]), &applications.list[0]);
                cr_expect_eq(applications_find_unit(&applications, units[i]), &applications.list[0]);
        }
        for (size_t i = 0; i < ELEMENTSOF(startable); i++) {
                cr_expect_null(applications_find_instance(&applications, startable[i]), "%s", startable[i]);
                cr_expect_not_null(applications_find_unit(&applications, startable[i]), "%s", startable[i]);
        }
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                cr_expect_null(applications_find_unit(&applications, others[i]), "%s", others[i]);
        cr_expect(application_unit_is_sibling("a@0.service", "a@1.service"));
        cr_expect_not(application_unit_is_sibling("a@0.service", "aa@0.service"));
        cr_expect_not(application_unit_is_sibling("a", "a"));
}

/* --- flags and URLs --- */

Test(application_args, flags) {
        static const char *const good[] = { "-x", "--xyz", "-9", "--new-window", "--a_b-C", "-xyz" };
        static const char *const bad[] = { "", "-", "--", "---x", "x", "-x=1", "--x y", "-x;", "--x\n", "-é",
                "-$x", "--_x", " -x", "-x/" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                cr_expect(application_argument_is_flag(good[i]), "%s", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_expect_not(application_argument_is_flag(bad[i]), "%s", bad[i]);
}

Test(application_args, urls) {
        static const char *const good[] = { "http://example.com", "https://example.com/",
                "HTTPS://Example.COM:8443/a", "https://example.com/search?q=a+b%20c&hl=en#top",
                "http://10.0.0.1:80?x", "http://[::1]:8080/", "https://example.com/@user/~x",
                "https://localhost", "element://vector/webapp/", "element:/room",
                "io.element.desktop:/vector/webapp/?token=x&y=1", "http://example.com:/" };
        static const char *const bad[] = { "", "http", "http:", "http:/", "http://", "http:///x",
                "https:example.com", "ftp://example.com", "file:///etc/passwd", "javascript:alert",
                "element:", "io.element.desktop:", "http://user@example.com",
                "http://user:pass@example.com/", "http://example.com@evil.com", "element://user@room",
                "http://example.com:80x/", "http://example.com:80@evil", "http://exam ple.com",
                "http://example.com/a b", "http://example.com/;reboot", "http://example.com/`reboot`",
                "http://example.com/$(reboot)", "http://example.com/$HOME", "http://example.com/a|b",
                "http://example.com/a&b", "http://example.com/<x>", "http://example.com/\"",
                "http://example.com/'", "http://example.com/\\", "http://example.com/*",
                "http://example.com/!x", "http://example.com/{x}", "http://example.com/%",
                "http://example.com/%2", "http://example.com/%zz", "http://example.com/\n",
                "http://example.com/#a#b", "http://[::1", "http://[]", "http://[x]/",
                "http://ex\xc3\xa9mple.com", " http://example.com", "//example.com", "xhttp://example.com",
                "http://example.com/?a;b", "http://example.com/#a&b", "http://-x@y" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                cr_expect(application_argument_is_url(good[i]), "%s", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_expect_not(application_argument_is_url(bad[i]), "%s", bad[i]);
}

/* --- files --- */

Test(application_args, clean_paths) {
        static const char *const good[] = { "/", "/a", "/a/b.c", "/...", "/.a", "/a/..b", "/a b/\xc3\xa9" };
        static const char *const bad[] = { "", "a", "./a", "//", "/a/", "//a", "/a//b", "/.", "/..", "/a/.",
                "/a/../b", "/../a", "/a\n", "/\x7f", "~/a" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                cr_expect(application_path_is_clean(good[i]), "%s", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_expect_not(application_path_is_clean(bad[i]), "%s", bad[i]);
}

static char top[] = "/tmp/test-applications-XXXXXX";

static void make_files(void) {
        _cleanup_(closep) int fd = -1;

        cr_assert_not_null(mkdtemp(top));
        fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert(fd >= 0);
        cr_assert_eq(mkdirat(fd, "share", 0700) | mkdirat(fd, "share/sub", 0700) |
                                        mkdirat(fd, "sharefoo", 0700) | mkdirat(fd, "other", 0700) |
                                        mkfifoat(fd, "share/pipe", 0600) |
                                        symlinkat("../other/secret", fd, "share/out") |
                                        symlinkat("/etc/passwd", fd, "share/absolute") |
                                        symlinkat("../other", fd, "share/outdir") |
                                        symlinkat("sub/file", fd, "share/inside") |
                                        symlinkat("nowhere", fd, "share/dangling"),
                        0);
        close(openat(fd, "share/sub/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        close(openat(fd, "sharefoo/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        close(openat(fd, "other/secret", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void remove_files(void) {
        _cleanup_(freep) char *command = text_printf("rm -rf %s", top);

        cr_assert_eq(system(command), 0);
}

Test(application_args, files, .init = make_files, .fini = remove_files) {
        static const struct {
                const char *path;
                int result;
        } cases[] = {
                { "share/sub/file", 0 },
                { "share/sub", 0 },
                { "share", 0 },
                { "share/inside", 0 },
                { "share/none", -ENOENT },
                { "share/dangling", -ENOENT },
                { "share/sub/file/x", -ENOTDIR },
                { "share/pipe", -EBADF },
                { "share/out", -EACCES },
                { "share/outdir/secret", -EACCES },
                { "share/absolute", -EACCES },
                { "sharefoo/file", -EACCES },
                { "sharefoo", -EACCES },
                { "other/secret", -EACCES },
                { "share/../other/secret", -EINVAL },
                { "share//sub/file", -EINVAL },
                { "share/", -EINVAL },
        };
        _cleanup_(freep) char *share = text_printf("%s/share", top), *empty = text_printf("%s/none", top);
        char *directories[] = { empty, share, NULL };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *path = text_printf("%s/%s", top, cases[i].path);

                cr_expect_eq(application_argument_check_file(path, directories), cases[i].result, "%s: %s",
                                path, strerror(-application_argument_check_file(path, directories)));
        }
        cr_expect_eq(application_argument_check_file("sub/file", directories), -EINVAL);
        cr_expect_eq(application_argument_check_file("/etc/passwd", directories), -EACCES);
}

Test(application_args, the_root_directory_permits_all_files) {
        char *directories[] = { (char *) "/", NULL };

        cr_expect_eq(application_argument_check_file("/etc/passwd", directories), 0);
        cr_expect_eq(application_argument_check_file("/", directories), 0);
        cr_expect_eq(application_argument_check_file("/dev/null", directories), -EBADF);
        /* A magic link leads wherever a process has something open. */
        cr_expect_lt(application_argument_check_file("/proc/self/exe", directories), 0);
}

Test(application_args, each_kind_must_be_permitted) {
        static const struct {
                const char *argument;
                unsigned kind;
        } cases[] = {
                { "-x", APPLICATION_FLAG },
                { "https://example.com", APPLICATION_URL },
                { "/etc/passwd", APPLICATION_FILE },
        };
        char *directories[] = { (char *) "/etc", NULL };
        char *long_one = malloc(APPLICATION_ARGUMENT_MAX + 1);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (unsigned kinds = 0; kinds < 8; kinds++) {
                        const char *refusal =
                                        application_argument_refusal(cases[i].argument, kinds, directories);

                        cr_expect_eq(!refusal, (kinds & cases[i].kind) != 0, "%s with %u: %s",
                                        cases[i].argument, kinds, strempty(refusal));
                }
        cr_expect_not_null(application_argument_refusal("", 7, directories));
        cr_expect_not_null(application_argument_refusal("word", 7, directories));
        memset(long_one, 'x', APPLICATION_ARGUMENT_MAX);
        memcpy(long_one, "https://", 8);
        long_one[APPLICATION_ARGUMENT_MAX] = '\0';
        cr_expect_not_null(application_argument_refusal(long_one, 7, directories));
        long_one[APPLICATION_ARGUMENT_MAX - 1] = '\0';
        cr_expect_null(application_argument_refusal(long_one, 7, directories));
        free(long_one);
}
