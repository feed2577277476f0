/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"
#include "manager.h"
#include "online.h"

#include <stdio.h>
#include <sysexits.h>

/* What the deployed agents, and givcctl, say to a command line that they do not understand. */
#define EXIT_USAGE 2

/* The only globals: what the command line says. */
static const char *arg_config, *arg_online;

static void help(void) {
        printf("givc-agent --config FILE [--debug]\n"
               "givc-agent --online DIRECTORY\n"
               "\n"
               "Lets the rest of the fleet see and move the units here that FILE lists.\n"
               "\n"
               "     --config FILE  the configuration, JSON\n"
               "     --online DIR   be no agent, but ready (sd_notify(3)) while the agent with\n"
               "                    that runtime directory is registered with the admin; end\n"
               "                    when it is not any more\n"
               "     --debug        log more\n"
               "  -h --help         show this\n"
               "     --version      show the version\n"
               "\n"
               "One dash does as well as two, and FILE may follow a \"=\". SIGHUP: read FILE and\n"
               "certificates again.\n");
}

/* The part of an argument after its one or two dashes, or NULL where it has none. */
static const char *flag_name(const char *argument) {
        if (argument[0] != '-' || argument[1] == '\0')
                return NULL;
        return argument + (argument[1] == '-' ? 2 : 1);
}

/* Scripts call the deployed agents with "-config FILE" (Go's style) as well as with "--config FILE". 1: go
 * on. */
static int parse_arguments(int argc, char *argv[]) {
        for (int i = 1; i < argc; i++) {
                const char *flag = flag_name(argv[i]), *value;

                if (!flag) {
                        fprintf(stderr, "givc-agent: \"%s\" is not a flag. See givc-agent --help.\n",
                                        argv[i]);
                        return -EINVAL;
                }
                if (streq(flag, "h") || streq(flag, "help")) {
                        help();
                        return 0;
                }
                if (streq(flag, "version")) {
                        printf("givc-agent %s\n", GIVC_VERSION);
                        return 0;
                }
                if (streq(flag, "debug"))
                        log_set_max_level(LOG_DEBUG);
                else if ((value = startswith(flag, "config=")))
                        arg_config = value;
                else if (streq(flag, "config"))
                        arg_config = argv[++i];
                else if ((value = startswith(flag, "online=")))
                        arg_online = value;
                else if (streq(flag, "online"))
                        arg_online = argv[++i];
                else {
                        fprintf(stderr, "givc-agent: there is no flag \"%s\". See givc-agent --help.\n",
                                        argv[i]);
                        return -EINVAL;
                }
        }
        if (!isempty(arg_config) && !isempty(arg_online)) {
                fprintf(stderr,
                                "givc-agent: --config and --online do not go together. See givc-agent "
                                "--help.\n");
                return -EINVAL;
        }
        if (isempty(arg_config) && isempty(arg_online)) {
                fprintf(stderr, "givc-agent: --config FILE is required. See givc-agent --help.\n");
                return -EINVAL;
        }
        return 1;
}

int main(int argc, char *argv[]) {
        _cleanup_(manager_freep) struct manager *manager = NULL;
        _cleanup_(config_clear) struct config config = CONFIG_NULL;
        _cleanup_(freep) char *error = NULL;
        int r;

        r = parse_arguments(argc, argv);
        if (r <= 0)
                return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
        log_open();
        if (arg_online) {
                r = online_follow(arg_online);
                return r < 0 ? EXIT_FAILURE : r;
        }
        r = config_load(&config, arg_config, &error);
        if (r < 0) {
                log_error("%s", error ?: strerror(-r));
                return EX_CONFIG;
        }
        r = manager_new(&manager, arg_config, &config);
        if (r < 0)
                return EXIT_FAILURE;
        r = manager_run(manager);
        return r < 0 ? EXIT_FAILURE : r;
}
