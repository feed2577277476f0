/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exec-start.h"

#include <paths.h>

/* Half of what the kernel takes (MAX_ARG_STRLEN is 128 KiB), far more than any command listed needs. */
#define ARGUMENTS_MAX  256
#define ARGUMENT_BYTES (64 * 1024)
#define VARIABLES_MAX  64

/* Those by which a program is made to run another are not. */
static bool is_harmless(const char *name) {
        static const char *const harmful[] = { "BASH_ENV", "ENV", "GCONV_PATH", "GETCONF_DIR",
                "GLIBC_TUNABLES", "HOSTALIASES", "IFS", "LOCALDOMAIN", "LOCPATH", "MALLOC_TRACE", "NLSPATH",
                "PATH", "PS4", "RESOLV_HOST_CONF", "SHELLOPTS", "TMPDIR", "TZDIR" };

        if (isempty(name) || strchr(name, '='))
                return false;
        if (startswith(name, "LD_") || startswith(name, "BASH_FUNC_") || startswith(name, "PYTHON") ||
                        startswith(name, "PERL"))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(harmful); i++)
                if (streq(name, harmful[i]))
                        return false;
        return true;
}

const char *exec_start_refusal(const Exec__StartCommand *start, char *const *commands) {
        bool listed = false;

        for (char *const *command = commands; command && *command; command++)
                listed = listed || streq(*command, start->command);
        if (!listed)
                return "the command is not among those that this agent runs (capabilities.exec.commands)";
        if (start->n_arguments > ARGUMENTS_MAX)
                return "too many arguments";
        for (size_t i = 0; i < start->n_arguments; i++)
                if (strlen(start->arguments[i]) > ARGUMENT_BYTES)
                        return "an argument is too long";
        if (start->n_envvars > VARIABLES_MAX)
                return "too many environment variables";
        for (size_t i = 0; i < start->n_envvars; i++)
                if (!is_harmless(start->envvars[i]->key) ||
                                strlen(start->envvars[i]->value) > ARGUMENT_BYTES)
                        return "an environment variable is not allowed: it would change what is run";
        if (start->working_directory_presence_case ==
                                        EXEC__START_COMMAND__WORKING_DIRECTORY_PRESENCE_WORKING_DIRECTORY &&
                        start->workingdirectory[0] != '/')
                return "the working directory must be an absolute path";
        if (start->role_presence_case == EXEC__START_COMMAND__ROLE_PRESENCE_ROLE && !isempty(start->role))
                return "roles are not supported here";
        return NULL;
}

char **exec_start_argv(const Exec__StartCommand *start, struct arena *arena) {
        char **argv = arena_alloc0(arena, (start->n_arguments + 2) * sizeof(*argv));

        if (!argv)
                return NULL;
        argv[0] = start->command;
        for (size_t i = 0; i < start->n_arguments; i++)
                argv[i + 1] = start->arguments[i];
        return argv;
}

char **exec_start_environment(const Exec__StartCommand *start, struct arena *arena) {
        char **environment = arena_alloc0(arena, (start->n_envvars + 2) * sizeof(*environment));
        const char *path = getenv("PATH") ?: _PATH_STDPATH;
        size_t n = 0;

        if (!environment)
                return NULL;
        for (size_t i = 0; i <= start->n_envvars; i++) {
                const char *key = i == 0 ? "PATH" : start->envvars[i - 1]->key;
                const char *value = i == 0 ? path : start->envvars[i - 1]->value;
                char *variable = arena_alloc(arena, strlen(key) + strlen(value) + 2);

                if (!variable)
                        return NULL;
                (void) stpcpy(stpcpy(stpcpy(variable, key), "="), value);
                environment[n++] = variable;
        }
        return environment;
}
