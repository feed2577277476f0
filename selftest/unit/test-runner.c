/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program that runs one command for an agent, as the service manager starts it. */
#include "runner-request.h"
#include "valgrind.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct {
        int agent, program; /* ends of the socket */
        pid_t pid;
        int out[2];
} runner;

static void set_up(void) {
        int fds[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        cr_assert_eq(pipe2(runner.out, O_CLOEXEC), 0);
        runner.agent = fds[0];
        runner.program = fds[1];
}

static void tear_down(void) {
        close_fd(runner.agent);
        close_fd(runner.program);
        close_fd(runner.out[0]);
        close_fd(runner.out[1]);
}

TestSuite(runner, .init = set_up, .fini = tear_down, .timeout = 20);

static void send_request(const char *script, const char *directory, int in) {
        const char *argv[] = { "the-name", "-c", script, NULL },
                   *environment[] = { "COLOUR=dark blue", NULL };
        const struct child_spec spec = {
                .path = script ? "/bin/sh" : "/no/such/program",
                .argv = (char *const *) argv,
                .environment = (char *const *) environment,
                .directory = directory,
                .stdin_fd = in,
                .stdout_fd = runner.out[1],
                .stderr_fd = -1,
        };

        cr_assert_eq(runner_request_send(runner.agent, &spec), 0);
        runner.out[1] = close_fd(runner.out[1]);
}

static void start(void) {
        runner.pid = fork();
        cr_assert_geq(runner.pid, 0);
        if (runner.pid == 0) {
                dup2(runner.program, STDIN_FILENO);
                execl(RUNNER_PROGRAM, RUNNER_PROGRAM, NULL);
                _exit(99);
        }
        runner.program = close_fd(runner.program);
}

static struct runner_event receive(void) {
        struct runner_event event;

        cr_assert_eq(recv(runner.agent, &event, sizeof(event), 0), sizeof(event));
        return event;
}

static void expect_output(const char *expected) {
        char output[4096] = "";
        size_t n = 0;
        ssize_t k;

        while ((k = read(runner.out[0], output + n, sizeof(output) - 1 - n)) > 0)
                n += (size_t) k;
        cr_expect_str_eq(output, expected);
}

static void expect_end(int code) {
        int status;

        cr_assert_eq(waitpid(runner.pid, &status, 0), runner.pid);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == code, "%x", status);
}

Test(runner, a_command_runs_and_its_end_is_told) {
        struct runner_event event;
        int in[2];

        cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
        cr_assert_eq(write(in[1], "input\n", 6), 6);
        send_request("read line; echo $0 $line, $COLOUR, $HOME; pwd; readlink /proc/$$/fd/2; exit 3", "/usr",
                        in[0]);
        close(in[0]);
        close(in[1]);
        start();
        event = receive();
        cr_expect_eq(event.kind, RUNNER_STARTED);
        cr_expect_gt(event.value, 1);
        event = receive();
        cr_expect_eq(event.kind, RUNNER_EXITED);
        cr_expect_eq(event.value, CLD_EXITED);
        cr_expect_eq(event.status, 3);
        expect_output("the-name input, dark blue,\n/usr\n/dev/null\n");
        expect_end(0);
}

Test(runner, what_cannot_be_started_is_told) {
        skip_without_vfork();
        send_request(NULL, NULL, -1);
        start();
        cr_expect_eq(memcmp(&(struct runner_event){ .kind = RUNNER_FAILED, .value = ENOENT },
                                     &(struct runner_event[]){ receive() }, sizeof(struct runner_event)),
                        0);
        expect_output("");
        expect_end(0);
}

Test(runner, nor_in_a_directory_that_is_not_there) {
        struct runner_event event;

        skip_without_vfork();
        send_request("echo", "/no/such/place", -1);
        start();
        event = receive();
        cr_expect_eq(event.kind, RUNNER_FAILED);
        cr_expect_eq(event.value, ENOENT);
        expect_end(0);
}

Test(runner, signals_are_passed_on) {
        struct runner_event event;

        send_request("trap 'exit 4' USR1; echo; while :; do sleep 0.01; done", NULL, -1);
        start();
        cr_assert_eq(receive().kind, RUNNER_STARTED);
        cr_assert_eq(read(runner.out[0], &(char){ 0 }, 1), 1);
        cr_assert_eq(send(runner.agent, &(struct runner_signal){ .number = SIGUSR1 },
                                     sizeof(struct runner_signal), 0),
                        sizeof(struct runner_signal));
        event = receive();
        cr_expect_eq(event.value, CLD_EXITED);
        cr_expect_eq(event.status, 4);
        expect_end(0);
}

/* Sent before it has begun: it waits. */
Test(runner, a_signal_ends_it) {
        struct runner_event event;

        send_request("kill -STOP $$; exec sleep 1000", NULL, -1);
        cr_assert_eq(send(runner.agent, &(struct runner_signal){ .number = SIGKILL },
                                     sizeof(struct runner_signal), 0),
                        sizeof(struct runner_signal));
        start();
        cr_assert_eq(receive().kind, RUNNER_STARTED);
        event = receive();
        cr_expect_eq(event.kind, RUNNER_EXITED);
        cr_expect_eq(event.value, CLD_KILLED);
        cr_expect_eq(event.status, SIGKILL);
        expect_end(0);
}

Test(runner, it_dies_with_its_agent) {
        send_request("trap '' TERM; sleep 1000 & echo; wait", NULL, -1);
        start();
        cr_assert_eq(receive().kind, RUNNER_STARTED);
        cr_assert_eq(read(runner.out[0], &(char){ 0 }, 1), 1);
        runner.agent = close_fd(runner.agent);
        expect_end(0);
        expect_output(""); /* the end of the pipe: none of them has it any more */
}

Test(runner, what_nobody_waits_for_is_not_begun) {
        send_request("echo begun", NULL, -1);
        runner.agent = close_fd(runner.agent);
        start();
        expect_end(0);
        expect_output("");
}

Test(runner, nobody_asks) {
        runner.agent = close_fd(runner.agent);
        start();
        expect_end(0);
}

/* --- what it is asked --- */

static int receive_bytes(const void *data, size_t n, size_t n_body, size_t n_fds) {
        struct runner_request request;
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(8 * sizeof(int))];
        } control = {};
        uint8_t body[8] = { 0, 1 };
        struct iovec iov = { .iov_base = body, .iov_len = n_body };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = n_fds > 0 ? &control : NULL,
                .msg_controllen = n_fds > 0 ? CMSG_SPACE(n_fds * sizeof(int)) : 0,
        };
        int fds[8], fd = memfd_create("data", MFD_CLOEXEC), r;

        cr_assert_eq(write(fd, data, n), (ssize_t) n);
        for (size_t i = 0; i < n_fds; i++)
                fds[i] = fd;
        control.header = (struct cmsghdr){
                .cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
                .cmsg_level = SOL_SOCKET,
                .cmsg_type = SCM_RIGHTS,
        };
        memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
        cr_assert_geq(sendmsg(runner.agent, &message, 0), 0);
        close(fd);
        r = runner_request_receive(runner.program, &request);
        runner_request_clear(&request);
        return r;
}

Test(runner, requests_that_are_none) {
        /* Two arguments and a variable; what stands for one descriptor is standard output's. */
        static const char good[] = "\2\0\0\0\1\0\0\0/bin/sh\0/usr\0sh\0-x\0A=b";
        static const char greedy[] = "\377\377\377\377\1\0\0\0/bin/sh\0\0sh\0";
        static const char nobody[] = "\0\0\0\0\0\0\0\0/bin/sh\0";
        int n_fds;

        cr_expect_eq(receive_bytes(good, sizeof(good), 3, 2), 0);
        for (size_t n = 0; n < sizeof(good); n++)
                cr_expect_eq(receive_bytes(good, n, 3, 2), -EBADMSG, "%zu", n);
        cr_expect_eq(receive_bytes(greedy, sizeof(greedy), 3, 2), -EBADMSG);
        cr_expect_eq(receive_bytes(nobody, sizeof(nobody), 3, 2), -EBADMSG);
        for (n_fds = 0; n_fds < 8; n_fds++)
                cr_expect_eq(receive_bytes(good, sizeof(good), 3, (size_t) n_fds), n_fds == 2 ? 0 : -EBADMSG,
                                "%i", n_fds);
        for (size_t n = 1; n < 8; n++)
                cr_expect_eq(receive_bytes(good, sizeof(good), n, 2), n == 3 ? 0 : -EBADMSG, "%zu", n);
}

/* --- what it says --- */

static int receive_event(const void *event, size_t n) {
        struct runner_event received;

        cr_assert_eq(send(runner.program, event, n, 0), (ssize_t) n);
        return runner_event_receive(runner.agent, &received);
}

Test(runner, events_that_are_none) {
        static const int32_t no_errno[] = { 0, -1, -ENOENT, RUNNER_ERRNO_MAX + 1, INT32_MAX, INT32_MIN };
        struct runner_event event = { .kind = RUNNER_FAILED, .value = ENOENT }, longer[2] = { event };

        cr_expect_eq(runner_event_receive(runner.agent, &event), -EAGAIN);
        event = longer[0];
        cr_expect_eq(receive_event(&event, sizeof(event)), 0);
        cr_expect_eq(receive_event(&event, sizeof(event) - 1), -EBADMSG);
        cr_expect_eq(receive_event(longer, sizeof(longer)), -EBADMSG);
        for (size_t i = 0; i < ELEMENTSOF(no_errno); i++) {
                event.value = no_errno[i];
                cr_expect_eq(receive_event(&event, sizeof(event)), -EBADMSG, "%i", no_errno[i]);
        }
        event = (struct runner_event){ .kind = RUNNER_STARTED };
        cr_expect_eq(receive_event(&event, sizeof(event)), -EBADMSG);
        event = (struct runner_event){ .kind = RUNNER_EXITED + 1, .value = 1 };
        cr_expect_eq(receive_event(&event, sizeof(event)), -EBADMSG);
        runner.program = close_fd(runner.program);
        cr_expect_eq(runner_event_receive(runner.agent, &event), -ECONNRESET);
}

Test(runner, more_than_a_process_can_be_given) {
        _cleanup_(freep) char *argument = malloc(7 << 20);
        const char *argv[] = { "sh", argument, NULL }, *environment[] = { NULL };
        const struct child_spec spec = {
                .path = "/bin/sh",
                .argv = (char *const *) argv,
                .environment = (char *const *) environment,
                .stdin_fd = -1,
                .stdout_fd = -1,
                .stderr_fd = -1,
        };

        memset(argument, 'x', 7 << 20);
        argument[(7 << 20) - 1] = '\0';
        cr_expect_eq(runner_request_send(runner.agent, &spec), -E2BIG);
}
