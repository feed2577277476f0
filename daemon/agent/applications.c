/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "applications.h"
#include "config-read.h"
#include "text.h"

/* The kinds of arguments are three; who repeats one is not wrong. */
#define KINDS_MAX       16
#define DIRECTORIES_MAX 64
#define COMMAND_MAX     4096 /* bytes */

#define NAME_CHARACTERS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define ALLOWED_NAME      "a name of letters, digits, \"_\" and \"-\""
#define ALLOWED_COMMAND   "a program with its first arguments, separated by spaces"
#define ALLOWED_KIND      "\"flag\", \"url\" or \"file\""
#define ALLOWED_DIRECTORY "an absolute path without \"//\", \".\" and \"..\", and without a \"/\" at its end"

static bool is_name(const char *s) {
        size_t n = strlen(s);

        return n > 0 && n <= APPLICATION_NAME_MAX && strspn(s, NAME_CHARACTERS) == n;
}

/* 0: no such kind. */
static unsigned kind_of(const char *s) {
        if (streq(s, "flag"))
                return APPLICATION_FLAG;
        if (streq(s, "url"))
                return APPLICATION_URL;
        return streq(s, "file") ? APPLICATION_FILE : 0;
}

static bool is_kind(const char *s) {
        return kind_of(s) != 0;
}

static int read_name(struct application *application, struct config_reader *reader,
                const struct config_section *section, const struct applications *before) {
        int r;

        r = config_read_string(reader, section, "name", ALLOWED_NAME, &application->name);
        if (r < 0)
                return r;
        if (r == 0)
                return config_reader_fail(reader, section, "name", "is missing, must be " ALLOWED_NAME);
        if (!is_name(application->name)) {
                _cleanup_(freep) char *shown = text_escape(application->name, strlen(application->name), 64);

                return config_reader_fail(reader, section, "name", "is \"%s\", must be " ALLOWED_NAME,
                                strempty(shown));
        }
        for (size_t i = 0; i < before->n; i++)
                if (streq(before->list[i].name, application->name))
                        return config_reader_fail(reader, section, "name",
                                        "is \"%s\", which is the name of applications[%zu], must be unique",
                                        application->name, i);
        return 0;
}

/* At each space; several of them are as good as one. */
static int split_command(const char *text, char ***ret) {
        _cleanup_(config_strings_freep) char **words = NULL;
        size_t n = 0;

        words = calloc(strlen(text) / 2 + 2, sizeof(char *));
        if (!words)
                return -ENOMEM;
        for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
                size_t length = strcspn(text, " ");

                words[n] = strndup(text, length);
                if (!words[n++])
                        return -ENOMEM;
                text += length;
        }
        *ret = TAKE_PTR(words);
        return 0;
}

static int read_command(struct application *application, struct config_reader *reader,
                const struct config_section *section) {
        _cleanup_(freep) char *text = NULL;
        int r;

        r = config_read_string(reader, section, "command", ALLOWED_COMMAND, &text);
        if (r < 0)
                return r;
        if (r == 0)
                return config_reader_fail(
                                reader, section, "command", "is missing, must be " ALLOWED_COMMAND);
        if (strlen(text) > COMMAND_MAX)
                return config_reader_fail(reader, section, "command", "has %zu bytes, must have at most %u",
                                strlen(text), COMMAND_MAX);
        r = split_command(text, &application->command);
        if (r < 0)
                return r;
        if (!application->command[0])
                return config_reader_fail(reader, section, "command", "is empty, must be " ALLOWED_COMMAND);
        return 0;
}

static int read_arguments(struct application *application, struct config_reader *reader,
                const struct config_section *section) {
        _cleanup_(config_strings_freep) char **kinds = NULL;
        bool takes_files;
        int r;

        r = config_read_strings(reader, section, "args", ALLOWED_KIND, is_kind, KINDS_MAX, &kinds);
        if (r < 0)
                return r;
        for (char **kind = kinds; kind && *kind; kind++)
                application->arguments |= kind_of(*kind);
        r = config_read_strings(reader, section, "directories", ALLOWED_DIRECTORY, application_path_is_clean,
                        DIRECTORIES_MAX, &application->directories);
        if (r < 0)
                return r;

        takes_files = application->arguments & APPLICATION_FILE;
        if (takes_files && (!application->directories || !application->directories[0]))
                return config_reader_fail(reader, section, "directories",
                                "names none, must name those from which files may be given, as args has "
                                "\"file\"");
        if (!takes_files && application->directories && application->directories[0])
                return config_reader_fail(reader, section, "directories",
                                "names some, must be empty where args does not have \"file\"");
        return 0;
}

static void application_clear(struct application *application) {
        free(application->name);
        config_strings_free(application->command);
        config_strings_free(application->directories);
}

/* 1; 0: there is no application of that index. */
static int read_application(struct applications *applications, struct config_reader *reader,
                const struct config_section *capabilities) {
        static const char *const known[] = { "name", "command", "args", "directories", NULL };
        struct application *application = &applications->list[applications->n];
        struct config_section section;
        int r;

        r = config_read_element(reader, capabilities, "applications", applications->n, known, &section);
        if (r <= 0)
                return r;
        if (applications->n == APPLICATIONS_MAX)
                return config_reader_fail(reader, capabilities, "applications",
                                "has too many entries, must have at most %u", APPLICATIONS_MAX);
        r = read_name(application, reader, &section, applications);
        if (r >= 0)
                r = read_command(application, reader, &section);
        if (r >= 0)
                r = read_arguments(application, reader, &section);
        if (r < 0) {
                application_clear(application);
                return r;
        }
        applications->n++;
        return 1;
}

int applications_read(struct applications *applications, struct config_reader *reader,
                const struct config_section *capabilities) {
        int r;

        *applications = (struct applications){};
        applications->list = calloc(APPLICATIONS_MAX + 1, sizeof(struct application));
        if (!applications->list)
                return -ENOMEM;
        do
                r = read_application(applications, reader, capabilities);
        while (r > 0);
        if (r < 0)
                applications_clear(applications);
        return r;
}

void applications_clear(struct applications *applications) {
        for (size_t i = 0; i < applications->n; i++)
                application_clear(&applications->list[i]);
        free(applications->list);
        *applications = (struct applications){};
}

/* --- units --- */

static const struct application *find(const struct applications *applications, const char *name, size_t n) {
        for (size_t i = 0; i < applications->n; i++)
                if (strlen(applications->list[i].name) == n &&
                                memcmp(applications->list[i].name, name, n) == 0)
                        return &applications->list[i];
        return NULL;
}

/* Of an application whose instance is of these characters. */
static const struct application *find_unit(
                const struct applications *applications, const char *unit, const char *characters) {
        size_t n = strspn(unit, NAME_CHARACTERS), m;

        if (unit[n] != '@' || !text_is_unit_name(unit))
                return NULL;
        m = strspn(unit + n + 1, characters);
        if (m == 0 || !streq(unit + n + 1 + m, ".service"))
                return NULL;
        return find(applications, unit, n);
}

const struct application *applications_find_unit(const struct applications *applications, const char *unit) {
        return find_unit(applications, unit, NAME_CHARACTERS);
}

const struct application *applications_find_instance(
                const struct applications *applications, const char *unit) {
        return find_unit(applications, unit, "0123456789");
}

bool application_unit_is_sibling(const char *a, const char *b) {
        size_t n = strcspn(a, "@");

        return a[n] == '@' && strncmp(a, b, n + 1) == 0;
}
