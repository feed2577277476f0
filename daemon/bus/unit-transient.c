/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit-transient.h"
#include "text.h"
#include "units-internal.h"

#include <signal.h>
#include <syslog.h>

/* --- environment --- */

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* What systemd tells one process about itself: wrong for any other. */
static bool is_of_our_process(const char *assignment) {
        static const char *const ours[] = { "NOTIFY_SOCKET=", "LISTEN_PID=", "LISTEN_FDS=",
                "LISTEN_FDNAMES=", "WATCHDOG_PID=", "WATCHDOG_USEC=", "MAINPID=", "SYSTEMD_EXEC_PID=",
                "INVOCATION_ID=", "JOURNAL_STREAM=", "CREDENTIALS_DIRECTORY=", "RUNTIME_DIRECTORY=",
                "STATE_DIRECTORY=", "CACHE_DIRECTORY=", "LOGS_DIRECTORY=", "CONFIGURATION_DIRECTORY=",
                "MEMORY_PRESSURE_WATCH=", "MEMORY_PRESSURE_WRITE=", "FDSTORE=" };

        for (size_t i = 0; i < ELEMENTSOF(ours); i++)
                if (startswith(assignment, ours[i]))
                        return true;
        return false;
}

/* systemd refuses the whole unit for one variable that it does not like. */
static bool is_assignment(const char *s) {
        const char *value = strchr(s, '=');

        if (!value || value == s || is_digit(s[0]) || !text_is_utf8(s, strlen(s)))
                return false;
        for (const char *p = s; p < value; p++)
                if (!is_letter(*p) && !is_digit(*p))
                        return false;
        for (const char *p = value + 1; *p; p++)
                if (((unsigned char) *p < ' ' && *p != '\n' && *p != '\t') || *p == '\x7f')
                        return false;
        return true;
}

static int append_environment(sd_bus_message *m, char *const *environment) {
        int r;

        r = sd_bus_message_open_container(m, SD_BUS_TYPE_STRUCT, "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Environment");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_VARIANT, "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "s");
        for (; r >= 0 && *environment; environment++)
                if (is_assignment(*environment) && !is_of_our_process(*environment))
                        r = sd_bus_message_append(m, "s", *environment);
        for (size_t i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

/* --- command line --- */

/* systemd.service(5), "Command lines": "$$" is what stands for a "$". */
static int append_verbatim(sd_bus_message *m, const char *argument) {
        _cleanup_(freep) char *escaped = NULL;
        size_t n = 0;

        escaped = malloc(2 * strlen(argument) + 1);
        if (!escaped)
                return -ENOMEM;
        for (; *argument; argument++) {
                if (*argument == '$')
                        escaped[n++] = '$';
                escaped[n++] = *argument;
        }
        escaped[n] = '\0';
        return sd_bus_message_append(m, "s", escaped);
}

static int append_command_line(sd_bus_message *m, const struct unit_transient *transient) {
        int r;

        r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "s");
        for (char *const *word = transient->command; r >= 0 && *word; word++)
                r = sd_bus_message_append(m, "s", *word);
        for (size_t i = 0; r >= 0 && i < transient->n_arguments; i++)
                r = append_verbatim(m, transient->arguments[i]);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}

/* ExecStart, a(sasb): one command; that it fails is a failure. */
static int append_exec_start(sd_bus_message *m, const struct unit_transient *transient) {
        int r;

        r = sd_bus_message_open_container(m, SD_BUS_TYPE_STRUCT, "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "ExecStart");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_VARIANT, "a(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_STRUCT, "sasb");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", transient->command[0]);
        if (r >= 0)
                r = append_command_line(m, transient);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", false);
        for (size_t i = 0; r >= 0 && i < 4; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

/* --- helpers --- */

/* Its socket is all that it has to do with the world. That one of its processes is killed for the memory
 * that it takes is for the helper to tell. */
static int append_helper(sd_bus_message *m, int socket) {
        return sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "StandardInputFileDescriptor", "h",
                        socket, "StandardOutput", "s", "null", "StandardError", "s", "null", "KillSignal",
                        "i", (int32_t) SIGKILL, "OOMPolicy", "s", "continue", "LogLevelMax", "i",
                        (int32_t) LOG_NOTICE);
}

/* --- all of it --- */

int unit_transient_append(sd_bus_message *m, const char *name, const struct unit_transient *transient) {
        int r;

        r = sd_bus_message_append(m, "ss", name, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)", "Description", "s", transient->description,
                                "Type", "s", "exec", "CollectMode", "s", "inactive-or-failed");
        if (r >= 0)
                r = append_exec_start(m, transient);
        if (r >= 0 && transient->environment)
                r = append_environment(m, transient->environment);
        if (r >= 0 && transient->helper_socket)
                r = append_helper(m, *transient->helper_socket);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        return sd_bus_message_append(m, "a(sa(sv))", 0); /* no units beside it */
}
