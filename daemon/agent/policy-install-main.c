/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Installs one policy for the agent, which answers others meanwhile:
 *
 *     givc-policy-install STORE POLICY [NAME DESTINATION]...
 *
 * with the policy as standard input, a file, and all policies of the agent's configuration.
 */
#include "policy-report.h"
#include "policy-store.h"

#include <stdio.h>

static int read_policies(struct config *config, char **arguments, int n_arguments) {
        config->policy.policies = calloc((size_t) n_arguments / 2 + 1, sizeof(*config->policy.policies));
        if (!config->policy.policies)
                return -ENOMEM;
        for (int i = 0; i + 1 < n_arguments; i += 2)
                config->policy.policies[config->policy.n_policies++] = (struct config_policy){
                        .name = arguments[i],
                        .destination = arguments[i + 1],
                };
        return 0;
}

static int run(struct config *config, const char *name, struct policy_report *report) {
        _cleanup_(freep) char *place = NULL;
        int r = -EINVAL;

        for (size_t i = 0; i < config->policy.n_policies; i++)
                if (streq(config->policy.policies[i].name, name))
                        r = policy_install(config, &config->policy.policies[i], STDIN_FILENO, report->sha,
                                        &place);
        snprintf(report->place, sizeof(report->place), "%s", strempty(place));
        return r;
}

int main(int argc, char **argv) {
        struct policy_report report = {};
        struct config config = CONFIG_NULL;

        if (argc < 3 || argc % 2 == 0) {
                fprintf(stderr, "givc-policy-install is for givc-agent alone, see givc-agent(8)\n");
                return 2;
        }
        config.policy.store = argv[1];
        report.result = read_policies(&config, argv + 3, argc - 3);
        if (report.result >= 0)
                report.result = run(&config, argv[2], &report);
        free(config.policy.policies);
        return write(STDOUT_FILENO, &report, sizeof(report)) == sizeof(report) ? EXIT_SUCCESS : EXIT_FAILURE;
}
