/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exec-start.h"

#include "exec-variable.h"
#include "text.h"

#include <paths.h>

/* Half of what the kernel takes (MAX_ARG_STRLEN is 128 KiB), far more than any command listed needs. */
#define ARGUMENTS_MAX  256
#define ARGUMENT_BYTES (64 * 1024)
#define VARIABLES_MAX  64

static const char *variable_refusal(
                const struct config *config, const char *name, const char *value, struct arena *arena) {
        _cleanup_(freep) char *shown = NULL, *text = NULL;

        if (strlen(name) + strlen(value) > ARGUMENT_BYTES)
                return "an environment variable is too long";
        if (exec_variable_is_permitted(name, value, config->exec.variables))
                return NULL;
        shown = text_escape(name, strlen(name), 64);
        text = text_printf("the environment variable \"%s\" is not permitted: %s", strempty(shown),
                        config->exec.variables ? "it is not in capabilities.exec.environment"
                                               : "it may change what is run, and "
                                                 "capabilities.exec.environment does not permit it");
        return (text ? arena_strdup(arena, text) : NULL) ?: "out of memory";
}

const char *exec_start_refusal(
                const Exec__StartCommand *start, const struct config *config, struct arena *arena) {
        const char *problem;
        bool listed = false;

        for (char *const *command = config->exec.commands; command && *command; command++)
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
        for (size_t i = 0; i < start->n_envvars; i++) {
                problem = variable_refusal(config, start->envvars[i]->key, start->envvars[i]->value, arena);
                if (problem)
                        return problem;
        }
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

static bool has_variable(const Exec__StartCommand *start, const char *name) {
        for (size_t i = 0; i < start->n_envvars; i++)
                if (streq(start->envvars[i]->key, name))
                        return true;
        return false;
}

static char *make_variable(const char *name, const char *value, struct arena *arena) {
        char *variable = arena_alloc(arena, strlen(name) + strlen(value) + 2);

        if (variable)
                (void) stpcpy(stpcpy(stpcpy(variable, name), "="), value);
        return variable;
}

char **exec_start_environment(const Exec__StartCommand *start, struct arena *arena) {
        char **environment = arena_alloc0(arena, (start->n_envvars + 2) * sizeof(*environment));
        size_t n = 0;

        if (!environment)
                return NULL;
        for (size_t i = 0; i < start->n_envvars; i++)
                environment[n++] = make_variable(start->envvars[i]->key, start->envvars[i]->value, arena);
        if (!has_variable(start, "PATH"))
                environment[n++] = make_variable("PATH", getenv("PATH") ?: _PATH_STDPATH, arena);
        for (size_t i = 0; i < n; i++)
                if (!environment[i])
                        return NULL;
        return environment;
}
