/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-services.h"

#include "exec-variable.h"
#include "text.h"

#include <limits.h>
#include <net/if.h>

#define ALLOWED_INTERFACE "the name of a network interface, such as \"wlp0s5f0\", or \"\" for the first"
#define ALLOWED_DIRECTORY "the absolute path of a directory with sockets, such as \"/run/notifier\""
#define ALLOWED_VARIABLE  "names of environment variables, such as \"TZ\", or beginnings, such as \"LC_*\""

/* Of capabilities.exec: a handful. */
#define COMMANDS_MAX  64
#define VARIABLES_MAX 256

/* As the kernel takes them (netdevice(7)). */
static bool is_interface(const char *s) {
        return strlen(s) < IF_NAMESIZE && !strpbrk(s, "/: \t\n") && !streq(s, ".") && !streq(s, "..");
}

static bool is_absolute(const char *s) {
        return s[0] == '/';
}

static int check(struct config_reader *reader, const struct config_section *section, const char *key,
                const char *value, bool (*is_valid)(const char *s), const char *allowed) {
        _cleanup_(freep) char *shown = NULL;

        if (is_valid(value))
                return 0;
        shown = text_escape(value, strlen(value), 64);
        return config_reader_fail(reader, section, key, "is \"%s\", must be %s", strempty(shown), allowed);
}

static int read_wifi(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        static const char *const known[] = { "enable", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, capabilities, "wifi", known, &section);
        return r < 0 ? r : config_read_bool(reader, &section, "enable", &config->wifi);
}

static int read_ctap(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        static const char *const known[] = { "enable", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, capabilities, "ctap", known, &section);
        return r < 0 ? r : config_read_bool(reader, &section, "enable", &config->ctap);
}

static int read_hwid(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        static const char *const known[] = { "enable", "interface", NULL };
        _cleanup_(freep) char *interface = NULL;
        struct config_section section;
        int r;

        r = config_read_section(reader, capabilities, "hwid", known, &section);
        if (r < 0)
                return r;
        r = config_read_bool(reader, &section, "enable", &config->hwid.enable);
        if (r < 0)
                return r;
        r = config_read_string(reader, &section, "interface", ALLOWED_INTERFACE, &interface);
        if (r < 0 || isempty(interface))
                return r;
        config->hwid.interface = TAKE_PTR(interface);
        return check(reader, &section, "interface", config->hwid.interface, is_interface, ALLOWED_INTERFACE);
}

static int read_notifier(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        static const char *const known[] = { "enable", "socket", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, capabilities, "notifier", known, &section);
        if (r < 0)
                return r;
        r = config_read_bool(reader, &section, "enable", &config->notifier.enable);
        if (r < 0 || !config->notifier.enable)
                return r;
        r = config_read_string(reader, &section, "socket", ALLOWED_DIRECTORY, &config->notifier.directory);
        if (r < 0)
                return r;
        if (r == 0)
                return config_reader_fail(
                                reader, &section, "socket", "is missing, must be " ALLOWED_DIRECTORY);
        return check(reader, &section, "socket", config->notifier.directory, is_absolute, ALLOWED_DIRECTORY);
}

static int read_logs(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        static const char *const known[] = { "enable", "wholeJournal", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, capabilities, "logs", known, &section);
        if (r < 0)
                return r;
        /* Who may restart a unit may know why. */
        config->logs.enable = true;
        r = config_read_bool(reader, &section, "enable", &config->logs.enable);
        if (r < 0)
                return r;
        return config_read_bool(reader, &section, "wholeJournal", &config->logs.whole_journal);
}

/* A program's name, or its path. */
static bool is_command(const char *s) {
        return s[0] != '\0' && strlen(s) < PATH_MAX && (s[0] == '/' || !strchr(s, '/')) &&
                        !strstr(s, "/../");
}

/* What may be run where it is not said. */
static int set_usual_commands(struct config *config) {
        static const char *const usual[] = { "ota-update", "uptime" };

        config->exec.commands = calloc(ELEMENTSOF(usual) + 1, sizeof(char *));
        if (!config->exec.commands)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(usual); i++) {
                config->exec.commands[i] = strdup(usual[i]);
                if (!config->exec.commands[i])
                        return -ENOMEM;
        }
        return 0;
}

static int read_exec(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        static const char *const known[] = { "enable", "commands", "environment", NULL };
        struct config_section section;
        bool enable = false;
        int r;

        r = config_read_section(reader, capabilities, "exec", known, &section);
        if (r < 0)
                return r;
        r = config_read_bool(reader, &section, "enable", &enable);
        if (r < 0)
                return r;
        r = config_read_strings(reader, &section, "environment", ALLOWED_VARIABLE, exec_variable_is_pattern,
                        VARIABLES_MAX, &config->exec.variables);
        if (r < 0)
                return r;
        r = config_read_strings(reader, &section, "commands", "names or absolute paths of programs",
                        is_command, COMMANDS_MAX, &config->exec.commands);
        if (r < 0)
                return r;
        if (enable)
                return r == 0 ? set_usual_commands(config) : 0;
        config->exec.commands = config_strings_free(config->exec.commands);
        return 0;
}

int config_read_services(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        int r;

        r = read_exec(reader, capabilities, config);
        if (r >= 0)
                r = read_wifi(reader, capabilities, config);
        if (r >= 0)
                r = read_ctap(reader, capabilities, config);
        if (r >= 0)
                r = read_hwid(reader, capabilities, config);
        if (r >= 0)
                r = read_notifier(reader, capabilities, config);
        if (r >= 0)
                r = read_logs(reader, capabilities, config);
        return r < 0 ? r : 0;
}
