/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs that fetch policies let go of. */
#include "policy-helper.h"
#include "valgrind.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The sanitizer needs more than any bound. */
#ifdef __SANITIZE_ADDRESS__
#define MEMORY_ERROR 0
#else
#define MEMORY_ERROR ENOMEM
#endif

static char directory[] = "/tmp/test-policy-helper-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static const char *path_of(const char *name) {
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        return path;
}

static void make_directory(void) {
        cr_assert_not_null(mkdtemp(directory));
        cr_assert_eq(mkdir(path_of("own"), 0700), 0);
        cr_assert_eq(close(open(path_of("key"), O_CREAT | O_WRONLY, 0600)), 0);
}

static void remove_directory(void) {
        cr_assert_eq(nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* A child confines itself to "own", and exits with what it finds then. */
static int in_confinement(int (*find)(void)) {
        pid_t pid = fork();
        int status;

        cr_assert_geq(pid, 0);
        if (pid == 0)
                _exit(policy_helper_confine(path_of("own")) < 0 ? 99 : find());
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status), "it ended with signal %i", WTERMSIG(status));
        return WEXITSTATUS(status);
}

static int open_error(const char *path, int flags) {
        _cleanup_(closep) int fd = open(path, flags, 0600);

        return fd < 0 ? errno : 0;
}

static int find_key(void) {
        return open_error(path_of("key"), O_RDONLY);
}

static int find_new_neighbour(void) {
        return open_error(path_of("new"), O_CREAT | O_WRONLY);
}

static int find_own(void) {
        _cleanup_(freep) char *new = strdup(path_of("own/new"));

        if (!new || open_error(new, O_CREAT | O_RDWR) != 0 || rename(new, path_of("own/newer")) < 0)
                return errno;
        return open_error(path_of("own"), O_RDONLY | O_DIRECTORY);
}

static int find_names(void) {
        return open_error("/etc/nsswitch.conf", O_RDONLY);
}

static int find_privileges(void) {
        return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1;
}

static int find_size(void) {
        _cleanup_(closep) int fd = open(path_of("own/large"), O_CREAT | O_WRONLY, 0600);

        return ftruncate(fd, POLICY_HELPER_FILE_BYTES + 1) < 0 ? errno : 0;
}

static int find_memory(void) {
        return mmap(NULL, POLICY_HELPER_MEMORY_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                                        MAP_FAILED
                        ? errno
                        : 0;
}

static bool has_landlock(void) {
        return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

Test(policy_helper, the_admin_s_files_are_out_of_reach, .init = make_directory, .fini = remove_directory) {
        if (!has_landlock())
                cr_skip_test("this kernel has no Landlock");
        cr_expect_eq(in_confinement(find_key), EACCES);
        cr_expect_eq(in_confinement(find_new_neighbour), EACCES);
}

Test(policy_helper, its_own_and_the_system_s_are_not, .init = make_directory, .fini = remove_directory) {
        cr_expect_eq(in_confinement(find_own), 0);
        cr_expect_eq(in_confinement(find_names), 0);
}

Test(policy_helper, it_has_bounds, .init = make_directory, .fini = remove_directory) {
        skip_under_valgrind("leaves no room for limits");
        cr_expect_eq(in_confinement(find_privileges), 0);
        cr_expect_eq(in_confinement(find_size), EFBIG);
        cr_expect_eq(in_confinement(find_memory), MEMORY_ERROR);
}

Test(policy_helper, passwords_are_not_told) {
        static const char *const urls[][2] = {
                { "https://user:pass@example.org/x", "https://example.org/x" },
                { "https://us@er:p@example.org", "https://example.org" },
                { "http://example.org/x@y", "http://example.org/x@y" },
                { "http://example.org?x@y", "http://example.org?x@y" },
                { "https://[::1]:8000/", "https://[::1]:8000/" },
                { "x@y", "y" },
                { "", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(urls); i++) {
                _cleanup_(freep) char *shown = policy_helper_show_url(urls[i][0]);

                cr_expect_str_eq(shown, urls[i][1]);
        }
}
