/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy-installer.h"

#include "child.h"

#include <sys/mman.h>

struct policy_installer {
        struct child *child;
        int answer; /* what it writes, a file in memory */
        policy_installed_t installed;
        void *userdata;
};

static void on_exited(struct child *child, int code, int status, void *userdata) {
        struct policy_installer *installer = userdata;
        struct policy_report report;

        /* One that was killed, or could not say how it went. */
        if (pread(installer->answer, &report, sizeof(report), 0) != sizeof(report))
                report = (struct policy_report){ .result = -EIO };
        report.sha[sizeof(report.sha) - 1] = '\0';
        report.place[sizeof(report.place) - 1] = '\0';
        installer->installed(&report, installer->userdata);
}

static char **make_argv(const struct config *config, const struct config_policy *policy) {
        char **argv = calloc(2 * config->policy.n_policies + 4, sizeof(char *));
        size_t n = 0;

        if (!argv)
                return NULL;
        argv[n++] = (char *) POLICY_INSTALL_PROGRAM;
        argv[n++] = config->policy.store;
        argv[n++] = policy->name;
        for (size_t i = 0; i < config->policy.n_policies; i++) {
                argv[n++] = config->policy.policies[i].name;
                argv[n++] = config->policy.policies[i].destination;
        }
        return argv;
}

int policy_installer_new(struct policy_installer **ret, sd_event *event, const struct config *config,
                const struct config_policy *policy, int fd, policy_installed_t installed, void *userdata) {
        _cleanup_(policy_installer_freep) struct policy_installer *installer = NULL;
        _cleanup_(freep) char **argv = make_argv(config, policy);
        char *environment[] = { NULL };
        struct child_spec spec;
        int r;

        installer = argv ? calloc(1, sizeof(*installer)) : NULL;
        if (!installer)
                return -ENOMEM;
        *installer = (struct policy_installer){ .installed = installed, .userdata = userdata };
        installer->answer = memfd_create("givc-policy-install", MFD_CLOEXEC);
        if (installer->answer < 0)
                return -errno;
        spec = (struct child_spec){
                .path = argv[0],
                .argv = argv,
                .environment = environment,
                .stdin_fd = fd,
                .stdout_fd = installer->answer,
                .stderr_fd = STDERR_FILENO,
        };
        r = child_new(&installer->child, event, &spec, on_exited, installer);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(installer);
        return 0;
}

struct policy_installer *policy_installer_free(struct policy_installer *installer) {
        if (!installer)
                return NULL;
        child_free(installer->child);
        close_fd(installer->answer);
        free(installer);
        return NULL;
}
