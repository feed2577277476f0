/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that are replaced as a whole. */
#include "file.h"

#include "text.h"
#include "valgrind.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct scratch {
        char path[64];
        int fd;
};

static void scratch_make(struct scratch *scratch) {
        strcpy(scratch->path, "/tmp/test-file.XXXXXX");
        cr_assert_not_null(mkdtemp(scratch->path));
        scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(scratch->fd, 0);
}

/* What is written meanwhile is never left behind: the directory is empty without these two. */
static void scratch_remove(struct scratch *scratch) {
        unlinkat(scratch->fd, "settings", 0);
        unlinkat(scratch->fd, "other", 0);
        close(scratch->fd);
        cr_expect_eq(rmdir(scratch->path), 0);
}

static void check_text(const struct scratch *scratch, const char *name, const char *expected, mode_t mode) {
        _cleanup_(freep) char *path = text_printf("%s/%s", scratch->path, name), *text = NULL;
        struct stat st;

        cr_assert_eq(text_read_file(path, 1024, &text, NULL), 0);
        cr_assert_str_eq(text, expected);
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_eq(st.st_mode & 07777, mode);
}

Test(file, is_made_and_replaced_with_its_mode) {
        _cleanup_(scratch_remove) struct scratch scratch;
        _cleanup_(freep) char *path = NULL;

        scratch_make(&scratch);
        path = text_printf("%s/settings", scratch.path);
        umask(0077);
        cr_assert_eq(file_write_atomic(AT_FDCWD, path, "one", 3, 0644), 0);
        check_text(&scratch, "settings", "one", 0644);
        cr_assert_eq(file_write_atomic(scratch.fd, "settings", "", 0, 0600), 0);
        check_text(&scratch, "settings", "", 0600);
}

Test(file, what_is_new_replaces_nothing) {
        _cleanup_(scratch_remove) struct scratch scratch;

        scratch_make(&scratch);
        cr_assert_eq(file_write_new(scratch.fd, "settings", "one", 3, 0600), 0);
        check_text(&scratch, "settings", "one", 0600);
        cr_assert_eq(file_write_new(scratch.fd, "settings", "two", 3, 0600), -EEXIST);
        check_text(&scratch, "settings", "one", 0600);
        cr_assert_eq(symlinkat("nowhere", scratch.fd, "other"), 0);
        cr_assert_eq(file_write_new(scratch.fd, "other", "two", 3, 0600), -EEXIST);
}

Test(file, links_are_replaced_not_followed) {
        _cleanup_(scratch_remove) struct scratch scratch;

        scratch_make(&scratch);
        cr_assert_eq(file_write_atomic(scratch.fd, "other", "other's", 7, 0600), 0);
        cr_assert_eq(symlinkat("other", scratch.fd, "settings"), 0);
        cr_assert_eq(symlinkat("other", scratch.fd, ".settings.new"), 0);
        cr_assert_eq(file_write_atomic(scratch.fd, "settings", "ours", 4, 0600), 0);
        check_text(&scratch, "settings", "ours", 0600);
        check_text(&scratch, "other", "other's", 0600);
}

Test(file, what_cannot_be_written_leaves_the_old_one) {
        _cleanup_(scratch_remove) struct scratch scratch;
        const struct rlimit small = { .rlim_cur = 8, .rlim_max = RLIM_INFINITY };

        skip_under_valgrind("sets no limits");
        scratch_make(&scratch);
        cr_assert_eq(file_write_atomic(scratch.fd, "settings", "old", 3, 0600), 0);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        signal(SIGXFSZ, SIG_IGN);
        cr_assert_eq(file_write_atomic(scratch.fd, "settings", "longer than that", 16, 0600), -EFBIG);
        check_text(&scratch, "settings", "old", 0600);
        cr_assert_eq(file_write_atomic(scratch.fd, "nowhere/settings", "x", 1, 0600), -ENOENT);
        cr_assert_eq(file_write_atomic(scratch.fd, "nowhere/", "x", 1, 0600), -EISDIR);
        cr_assert_eq(mkdirat(scratch.fd, "other", 0700), 0);
        cr_assert_eq(file_write_atomic(scratch.fd, "other", "x", 1, 0600), -EISDIR);
        cr_assert_eq(unlinkat(scratch.fd, "other", AT_REMOVEDIR), 0);
}
