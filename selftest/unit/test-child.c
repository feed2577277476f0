/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child.h"
#include "valgrind.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

static struct {
        sd_event *event;
        int calls, code, status;
} seen;

static void set_up(void) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGHUP);
        cr_assert_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
        cr_assert_neq(signal(SIGPIPE, SIG_IGN), SIG_ERR);
        cr_assert_geq(sd_event_new(&seen.event), 0);
}

static void tear_down(void) {
        sd_event_unref(seen.event);
}

TestSuite(child, .init = set_up, .fini = tear_down, .timeout = 20);

static void on_exited(struct child *child, int code, int status, void *userdata) {
        seen.calls++;
        seen.code = code;
        seen.status = status;
        sd_event_exit(seen.event, 0);
}

static int start(struct child **ret, const char *script, int stdout_fd) {
        const char *argv[] = { "sh", "-c", script, NULL }, *environment[] = { "COLOUR=blue", NULL };
        const struct child_spec spec = {
                .path = "/bin/sh",
                .argv = (char *const *) argv,
                .environment = (char *const *) environment,
                .stdin_fd = -1,
                .stdout_fd = stdout_fd,
                .stderr_fd = -1,
        };

        return child_new(ret, seen.event, &spec, on_exited, NULL);
}

/* Runs the script to its end and compares what it says. */
static void assert_output(const char *script, const char *expected) {
        _cleanup_(child_freep) struct child *child = NULL;
        char output[4096] = "";
        size_t n = 0;
        ssize_t k;
        int fds[2];

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        cr_assert_eq(start(&child, script, fds[1]), 0);
        close(fds[1]);
        while ((k = read(fds[0], output + n, sizeof(output) - 1 - n)) > 0)
                n += (size_t) k;
        close(fds[0]);
        cr_assert_eq(sd_event_loop(seen.event), 0);
        cr_assert_str_eq(output, expected);
}

Test(child, exit_status) {
        _cleanup_(child_freep) struct child *child = NULL;

        cr_assert_eq(start(&child, "exit 7", -1), 0);
        cr_assert_gt(child_pid(child), 1);
        cr_assert_eq(sd_event_loop(seen.event), 0);
        cr_assert_eq(seen.code, CLD_EXITED);
        cr_assert_eq(seen.status, 7);
        cr_assert_eq(child_kill(child, SIGTERM), -ESRCH);
        cr_assert_eq(seen.calls, 1);
}

Test(child, killed_by_signal) {
        _cleanup_(child_freep) struct child *child = NULL;

        cr_assert_eq(start(&child, "exec sleep 1000", -1), 0);
        cr_assert_eq(child_kill(child, 12345), -EINVAL);
        cr_assert_eq(child_kill(child, SIGTERM), 0);
        cr_assert_eq(sd_event_loop(seen.event), 0);
        cr_assert_eq(seen.code, CLD_KILLED);
        cr_assert_eq(seen.status, SIGTERM);
}

Test(child, cannot_be_started) {
        const char *argv[] = { "nothing", NULL }, *environment[] = { NULL };
        struct child_spec spec = {
                .path = "/nonexistent/program",
                .argv = (char *const *) argv,
                .environment = (char *const *) environment,
                .stdin_fd = -1,
                .stdout_fd = -1,
                .stderr_fd = -1,
        };
        struct child *child = NULL;

        skip_without_vfork();
        cr_assert_eq(child_new(&child, seen.event, &spec, on_exited, NULL), -ENOENT);
        spec.path = "/etc/passwd";
        cr_assert_eq(child_new(&child, seen.event, &spec, on_exited, NULL), -EACCES);
        spec.path = "/bin/sh";
        spec.directory = "/nonexistent";
        cr_assert_eq(child_new(&child, seen.event, &spec, on_exited, NULL), -ENOENT);
        cr_assert_null(child);
        cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
        cr_assert_eq(errno, ECHILD);
}

Test(child, has_only_what_it_was_given) {
        int leaked = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */

        cr_assert_geq(leaked, 0);
        assert_output("echo $COLOUR $HOME.; pwd; ls /proc/$$/fd; readlink /proc/$$/fd/0 "
                      "/proc/$$/fd/2",
                        "blue .\n/\n0\n1\n2\n/dev/null\n/dev/null\n");
        close(leaked);
}

Test(child, signals_are_as_at_boot) {
        /*
         * But for the two that glibc keeps for itself (32 and 33): posix_spawn() ignores them in the child.
         */
        assert_output("while read -r name value; do case $name in "
                      "SigBlk:|SigIgn:) echo $((0x$value & ~0x180000000));; esac; done </proc/self/status",
                        "0\n0\n");
}

Test(child, leads_a_process_group) {
        assert_output("read -r pid name state parent group rest </proc/self/stat; [ $pid = $group ] && echo "
                      "yes",
                        "yes\n");
}

static void count_exit(struct child *child, int code, int status, void *userdata) {
        seen.calls++;
}

Test(child, dies_with_its_group_when_freed) {
        const char *argv[] = { "sh", "-c", "trap '' TERM; sleep 1000 & echo; wait", NULL },
                   *environment[] = { NULL };
        struct child_spec spec = {
                .path = "/bin/sh",
                .argv = (char *const *) argv,
                .environment = (char *const *) environment,
                .stdin_fd = -1,
                .stderr_fd = -1,
        };
        struct child *child = NULL;
        char byte;
        int fds[2];

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        spec.stdout_fd = fds[1];
        cr_assert_eq(child_new(&child, seen.event, &spec, count_exit, NULL), 0);
        close(fds[1]);
        cr_assert_eq(read(fds[0], &byte, 1), 1);

        cr_assert_null(child_free(child));
        /* The end of the pipe: neither of the two has it any more. */
        cr_assert_eq(read(fds[0], &byte, 1), 0);
        close(fds[0]);
        /* The loop reaps it, silently, and keeps nothing of it. */
        cr_assert_gt(sd_event_run(seen.event, UINT64_MAX), 0);
        cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
        cr_assert_eq(errno, ECHILD);
        cr_assert_eq(seen.calls, 0);
}

static void free_and_exit(struct child *child, int code, int status, void *userdata) {
        child_free(child);
        sd_event_exit(seen.event, 0);
}

Test(child, may_be_freed_when_it_exits) {
        const char *argv[] = { "sh", "-c", ":", NULL }, *environment[] = { NULL };
        const struct child_spec spec = {
                .path = "/bin/sh",
                .argv = (char *const *) argv,
                .environment = (char *const *) environment,
                .stdin_fd = -1,
                .stdout_fd = -1,
                .stderr_fd = -1,
        };
        struct child *child;

        cr_assert_eq(child_new(&child, seen.event, &spec, free_and_exit, NULL), 0);
        cr_assert_eq(sd_event_loop(seen.event), 0);
        cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
        cr_assert_eq(errno, ECHILD);
}
