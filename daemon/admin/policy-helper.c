/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy-helper.h"

#include "text.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DESCRIPTORS_MAX   256
#define PROCESSOR_SECONDS 100

/* ---- bounds ---- */

static int limit(int resource, rlim_t most) {
        const struct rlimit both = { most, most };

        return setrlimit((__rlimit_resource_t) resource, &both) < 0 ? -errno : 0;
}

static int set_limits(void) {
        int r;

        /* What is too large is then an error of write(2), and not the end. */
        if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
                return -errno;
        r = limit(RLIMIT_FSIZE, POLICY_HELPER_FILE_BYTES);
        r = r < 0 ? r : limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);
        r = r < 0 ? r : limit(RLIMIT_CPU, PROCESSOR_SECONDS);
        r = r < 0 ? r : limit(RLIMIT_CORE, 0);
#ifndef __SANITIZE_ADDRESS__ /* it maps terabytes */
        r = r < 0 ? r : limit(RLIMIT_AS, POLICY_HELPER_MEMORY_BYTES);
#endif
        return r;
}

/* ---- files: Landlock ---- */

#define MAY_READ_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE)
#define MAY_READ      (MAY_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* All that the first version knows: LANDLOCK_ACCESS_FS_MAKE_SYM is its last. */
#define MAY_ALL (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)

/* Whatever path is: what is not there need not be read. */
static int permit(int ruleset, const char *path, uint64_t access) {
        _cleanup_(closep) int fd = open(path, O_PATH | O_CLOEXEC);
        struct landlock_path_beneath_attr below = { .allowed_access = access, .parent_fd = fd };
        struct stat st;

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                below.allowed_access &= MAY_READ_FILE;
        return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0) < 0 ? -errno
                                                                                                  : 0;
}

/* Libraries that come late, as those of glibc's resolver; its files, and those of TLS. */
static int permit_reading(int ruleset) {
        static const char *const paths[] = {
                "/usr", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/resolv.conf", "/etc/hosts",
                "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/ssl",
                "/etc/ssl/certs/ca-certificates.crt", /* it may lead elsewhere */
                "/etc/pki", "/etc/ca-certificates", "/etc/gnutls", "/run/systemd/resolve", "/dev/null",
                "/dev/urandom",
#ifdef __SANITIZE_ADDRESS__
                "/proc", /* it looks for leaks at the end */
#endif
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                int r = permit(ruleset, paths[i], MAY_READ);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int restrict_files(const char *directory) {
        const struct landlock_ruleset_attr attr = { .handled_access_fs = MAY_ALL };
        _cleanup_(closep) int ruleset = -1;
        int r;

        ruleset = (int) syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
        if (ruleset < 0)
                return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
        r = permit(ruleset, directory, MAY_ALL);
        r = r < 0 ? r : permit_reading(ruleset);
        if (r < 0)
                return r;
        return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

int policy_helper_confine(const char *directory) {
        int r;

        umask(077);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        r = set_limits();
        return r < 0 ? r : restrict_files(directory);
}

/* ---- what is told ---- */

int policy_helper_fail(const char *what, const char *why) {
        fprintf(stderr, "%s: %s\n", what, why);
        return EXIT_FAILURE;
}

char *policy_helper_show_url(const char *url) {
        const char *host = strstr(url, "://"), *at;

        host = host ? host + 3 : url;
        /* RFC 3986, 3.2: the authority ends with the first of these. */
        at = memrchr(host, '@', strcspn(host, "/?#"));
        return text_printf("%.*s%s", (int) (host - url), url, at ? at + 1 : host);
}
