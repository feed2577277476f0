/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

static struct {
        sd_event *event;
        struct command_result result;
        char output[256];
} seen;

static void set_up(void) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        cr_assert_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
        cr_assert_geq(sd_event_new(&seen.event), 0);
}

static void tear_down(void) {
        sd_event_unref(seen.event);
}

TestSuite(command, .init = set_up, .fini = tear_down, .timeout = 20);

static void on_done(struct command *command, const struct command_result *result, void *userdata) {
        seen.result = *result;
        if (result->n_output > 0)
                memcpy(seen.output, result->output, MIN(result->n_output, sizeof(seen.output) - 1));
        command_free(command);
        sd_event_exit(seen.event, 0);
}

static void run(const char *script, const char *input, size_t output_max, uint64_t timeout_usec) {
        const char *argv[] = { "sh", "-c", script, NULL };
        const struct command_spec spec = {
                .argv = (char *const *) argv,
                .input = input,
                .n_input = input ? strlen(input) : 0,
                .output_max = output_max,
                .timeout_usec = timeout_usec,
        };
        struct command *command;

        cr_assert_eq(command_new(&command, seen.event, &spec, on_done, NULL), 0);
        cr_assert_geq(sd_event_loop(seen.event), 0);
}

Test(command, input_and_output) {
        run("read line; echo \"<$line>\"; cat; exit 3", "one\ntwo", 100, 10 * USEC_PER_SEC);
        cr_assert_eq(seen.result.error, 0);
        cr_assert_eq(seen.result.code, CLD_EXITED);
        cr_assert_eq(seen.result.status, 3);
        cr_assert_str_eq(seen.output, "<one>\ntwo");
}

Test(command, no_input_is_an_end) {
        run("cat; echo end", NULL, 100, 10 * USEC_PER_SEC);
        cr_assert_str_eq(seen.output, "end\n");
}

Test(command, input_that_nobody_reads) {
        run("exec <&-; echo end", "one\n", 100, 10 * USEC_PER_SEC);
        cr_assert_str_eq(seen.output, "end\n");
}

Test(command, as_much_output_as_is_permitted) {
        run("printf 12345678", NULL, 8, 10 * USEC_PER_SEC);
        cr_assert_eq(seen.result.error, 0);
        cr_assert_eq(seen.result.n_output, 8);
}

Test(command, more_output_ends_it) {
        run("printf 123456789; exec sleep 1000", NULL, 8, 10 * USEC_PER_SEC);
        cr_assert_eq(seen.result.error, -E2BIG);
}

Test(command, it_has_an_end) {
        run("printf 1; exec sleep 1000", NULL, 8, 50 * USEC_PER_MSEC);
        cr_assert_eq(seen.result.error, -ETIMEDOUT);
        cr_assert_eq(seen.result.code, 0);
}

Test(command, what_it_leaves_behind_is_not_waited_for) {
        run("printf 1; sleep 5 & exit 0", NULL, 8, 10 * USEC_PER_SEC);
        cr_assert_eq(seen.result.error, 0);
        cr_assert_str_eq(seen.output, "1");
}

Test(command, a_signal_ends_it) {
        run("kill -TERM $$", NULL, 8, 10 * USEC_PER_SEC);
        cr_assert_eq(seen.result.code, CLD_KILLED);
        cr_assert_eq(seen.result.status, SIGTERM);
}

Test(command, what_is_not_there) {
        const char *argv[] = { "no-such-program-of-givc", NULL };
        const struct command_spec spec = { .argv = (char *const *) argv, .timeout_usec = USEC_PER_SEC };
        struct command *command;
        char *path;

        cr_assert_eq(command_new(&command, seen.event, &spec, on_done, NULL), -ENOENT);
        cr_assert_eq(setenv("PATH", ":/nowhere::", 1), 0);
        cr_assert_eq(command_find("sh", &path), -ENOENT);
        cr_assert_eq(setenv("PATH", "/nowhere:/bin", 1), 0);
        cr_assert_eq(command_find("sh", &path), 0);
        cr_assert_str_eq(path, "/bin/sh");
        free(path);
}
