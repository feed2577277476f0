/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies on the agent's disk. */
#include "policy-report.h"
#include "policy-store.h"
#include "spawn-program.h"
#include "text.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SHA_OF_ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA_OF_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char directory[] = "/tmp/test-policy-XXXXXX";
static char store[64], destination[64];
static char local[] = "local", placed[] = "placed", nowhere[] = "";
static struct config_policy policies[] = { { local, nowhere }, { placed, destination } };
static struct config config = {
        .policy = { .enable = true, .store = store, .policies = policies, .n_policies = 2 },
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static void set_up(void) {
        cr_assert_not_null(mkdtemp(directory));
        snprintf(store, sizeof(store), "%s/a/store", directory);
        snprintf(destination, sizeof(destination), "%s/placed.conf", directory);
        cr_assert_eq(policy_prepare_store(&config), 0);
}

static void tear_down(void) {
        cr_assert_eq(nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(policy, .init = set_up, .fini = tear_down);

static int install(const struct config_policy *policy, const char *text, char *sha) {
        _cleanup_(closep) int fd = policy_open_temporary(&config);
        _cleanup_(freep) char *place = NULL;
        int r;

        cr_assert_geq(fd, 0);
        cr_assert_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
        r = policy_install(&config, policy, fd, sha, &place);
        cr_assert_eq(r < 0, place != NULL, "a failure has a place");
        return r;
}

static void assert_file(const char *path, const char *text) {
        _cleanup_(freep) char *found = NULL;
        struct stat st;

        cr_assert_eq(text_read_file(path, 4096, &found, NULL), 0, "%s", path);
        cr_assert_str_eq(found, text);
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_eq(st.st_mode & 0777, 0644, "services that are not root read it");
}

static const char *in_store(const char *name) {
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s", store, name);
        return path;
}

Test(policy, is_installed_in_the_store_and_at_its_destination) {
        char sha[POLICY_SHA_SIZE], book[1024];

        cr_assert_eq(install(&policies[1], "abc", sha), 1);
        cr_assert_str_eq(sha, SHA_OF_ABC);
        assert_file(destination, "abc");
        assert_file(in_store("placed/policy.bin"), "abc");
        cr_assert_eq(install(&policies[0], "", sha), 1, "an empty one is one");
        cr_assert_str_eq(sha, SHA_OF_EMPTY);
        assert_file(in_store("local/policy.bin"), "");
        snprintf(book, sizeof(book),
                        "{\n"
                        "  \"local\": {\n"
                        "    \"Destination\": \"\",\n"
                        "    \"Sha\": \"" SHA_OF_EMPTY "\"\n"
                        "  },\n"
                        "  \"placed\": {\n"
                        "    \"Destination\": \"%s\",\n"
                        "    \"Sha\": \"" SHA_OF_ABC "\"\n"
                        "  }\n"
                        "}",
                        destination);
        assert_file(in_store(POLICY_BOOK_FILE), book);
}

Test(policy, the_same_again_is_not_touched) {
        struct stat before, after;
        char sha[POLICY_SHA_SIZE];

        cr_assert_eq(install(&policies[1], "abc", sha), 1);
        cr_assert_eq(stat(destination, &before), 0);
        cr_assert_eq(install(&policies[1], "abc", sha), 0);
        cr_assert_eq(stat(destination, &after), 0);
        cr_assert_eq(before.st_ino, after.st_ino);
        cr_assert_eq(install(&policies[1], "abd", sha), 1);
        assert_file(destination, "abd");
}

Test(policy, what_somebody_else_has_changed_is_put_right) {
        char sha[POLICY_SHA_SIZE];

        cr_assert_eq(install(&policies[1], "abc", sha), 1);
        cr_assert_eq(truncate(destination, 1), 0);
        cr_assert_eq(install(&policies[1], "abc", sha), 1);
        assert_file(destination, "abc");
}

Test(policy, a_place_that_cannot_be_written_is_told_and_the_rest_untouched) {
        char sha[POLICY_SHA_SIZE];

        snprintf(destination, sizeof(destination), "%s/none/placed.conf", directory);
        cr_assert_eq(install(&policies[1], "abc", sha), -ENOENT);
        cr_assert_neq(access(in_store("placed/policy.bin"), F_OK), 0);
}

Test(policy, leftovers_of_a_crash_go_at_the_start) {
        char left[128];

        snprintf(left, sizeof(left), "%s/.placed.conf.new", directory);
        cr_assert_geq(close(open(left, O_CREAT | O_WRONLY, 0600)), 0);
        cr_assert_geq(close(open(in_store(".policies.json.new"), O_CREAT | O_WRONLY, 0600)), 0);
        cr_assert_eq(policy_prepare_store(&config), 0);
        cr_assert_neq(access(left, F_OK), 0);
        cr_assert_neq(access(in_store(".policies.json.new"), F_OK), 0);
}

Test(policy, what_comes_has_no_name) {
        _cleanup_(closep) int a = policy_open_temporary(&config), b = policy_open_temporary(&config);

        cr_assert(a >= 0 && b >= 0);
        cr_assert_neq(access(in_store(".incoming"), F_OK), 0);
}

/* ---- givc-policy-install ---- */

/* Runs it for a policy, as the agent does: its exit code. */
static int run_program(const char *name, int n_arguments, struct policy_report *report) {
        const char *argv[] = { POLICY_INSTALL_PROGRAM, store, name, local, nowhere, placed, destination,
                NULL },
                   *environment[] = { NULL };
        _cleanup_(closep) int in = policy_open_temporary(&config), out = memfd_create("report", MFD_CLOEXEC);
        const struct child_spec spec = {
                .path = argv[0],
                .argv = (char *const *) argv,
                .environment = (char *const *) environment,
                .stdin_fd = in,
                .stdout_fd = out,
                .stderr_fd = -1,
        };
        siginfo_t info;
        pid_t pid;

        argv[n_arguments] = NULL;
        cr_assert_eq(write(in, "abc", 3), 3);
        cr_assert_eq(spawn_program(&pid, &spec), 0);
        cr_assert_eq(waitid(P_PID, (id_t) pid, &info, WEXITED), 0);
        cr_assert_eq(info.si_code, CLD_EXITED);
        cr_assert_eq(pread(out, report, sizeof(*report), 0),
                        info.si_status == 0 ? (ssize_t) sizeof(*report) : 0);
        return info.si_status;
}

Test(policy, the_program_tells_how_it_went) {
        struct policy_report report;

        cr_assert_eq(run_program("placed", 7, &report), 0);
        cr_assert_eq(report.result, 1);
        cr_assert_str_eq(report.sha, SHA_OF_ABC);
        assert_file(destination, "abc");
        cr_assert_eq(run_program("placed", 7, &report), 0);
        cr_assert_eq(report.result, 0, "it is there");
        snprintf(destination, sizeof(destination), "%s/none/placed.conf", directory);
        cr_assert_eq(run_program("placed", 7, &report), 0);
        cr_assert_eq(report.result, -ENOENT);
        cr_assert_str_eq(report.place, destination);
}

Test(policy, the_program_does_nothing_that_it_was_not_told_to) {
        struct policy_report report;

        cr_assert_eq(run_program("stranger", 7, &report), 0);
        cr_assert_eq(report.result, -EINVAL);
        cr_assert_eq(run_program("placed", 5, &report), 0);
        cr_assert_eq(report.result, -EINVAL);
        cr_assert_eq(run_program("placed", 6, &report), 2);
        cr_assert_eq(run_program("placed", 2, &report), 2);
        cr_assert_neq(access(destination, F_OK), 0);
}

/* ---- bookkeeping ---- */

static void assert_book(const char *old, const char *sha_of_local) {
        _cleanup_(freep) char *new = policy_book_update(old, strlen(old), &config, &policies[1], SHA_OF_ABC);
        _cleanup_(freep) char *expected = text_printf("\"Sha\": \"%s\"", sha_of_local);

        cr_assert_not_null(new);
        cr_assert_not_null(strstr(new, "\"Sha\": \"" SHA_OF_ABC "\""));
        cr_assert_not_null(strstr(new, expected), "%s", new);
        cr_assert_null(strstr(new, "stranger"));
}

Test(policy, the_book_keeps_what_is_sense) {
        assert_book("{\"local\": {\"Destination\": \"\", \"Sha\": \"" SHA_OF_EMPTY "\"}}", SHA_OF_EMPTY);
        assert_book("{\"stranger\": {\"Destination\": \"\", \"Sha\": \"" SHA_OF_EMPTY "\"}}", "");
        assert_book("{\"local\": {\"Destination\": \"/elsewhere\", \"Sha\": \"" SHA_OF_EMPTY "\"}}", "");
        assert_book("{\"local\": {\"Destination\": \"\", \"Sha\": \"abc\"}}", "");
        assert_book("{\"local\": {\"Destination\": \"\", \"Sha\": 1}}", "");
        assert_book("{\"local\": []}", "");
        assert_book("{\"local\": {\"Dest", "");
        assert_book("[]", "");
        assert_book("", "");
        assert_book("{} {}", "");
}
