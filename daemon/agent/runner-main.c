/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs one command for the agent, which is too confined to do so itself: the service manager starts this in
 * a unit of its own, with a socket to the agent as standard input. It ends with its command, and the command
 * with it, as the service manager then kills what is left in the unit.
 */
#include "runner-request.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* False: the agent is gone. */
static bool tell(enum runner_event_kind kind, int value, int status) {
        const struct runner_event event = { .kind = kind, .value = value, .status = status };

        return send(STDIN_FILENO, &event, sizeof(event), MSG_NOSIGNAL) >= 0;
}

/* What the agent says: a signal, or by its end that the command is not wanted any more. False: that. */
static bool take_signal(int pidfd) {
        struct runner_signal wanted;
        ssize_t n = recv(STDIN_FILENO, &wanted, sizeof(wanted), MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        if (n != sizeof(wanted))
                return false;
        (void) syscall(SYS_pidfd_send_signal, pidfd, wanted.number, NULL, 0);
        return true;
}

/* Until it has exited. False: it is to be killed. */
static bool attend(int pidfd) {
        struct pollfd fds[] = {
                { .fd = STDIN_FILENO, .events = POLLIN },
                { .fd = pidfd, .events = POLLIN },
        };
        siginfo_t info = {};

        for (;;) {
                if (poll(fds, ELEMENTSOF(fds), -1) < 0 && errno != EINTR)
                        return false;
                if (fds[1].revents) {
                        if (waitid(P_PIDFD, (id_t) pidfd, &info, WEXITED) < 0)
                                return false;
                        (void) tell(RUNNER_EXITED, info.si_code, info.si_status);
                        return true;
                }
                if (fds[0].revents && !take_signal(pidfd))
                        return false;
        }
}

/* It may have gone while systemd was busy. */
static bool is_wanted(void) {
        struct pollfd agent = { .fd = STDIN_FILENO };

        return poll(&agent, 1, 0) >= 0 && !(agent.revents & POLLHUP);
}

static void run(struct runner_request *request) {
        _cleanup_(closep) int pidfd = -1;
        pid_t pid;
        int r;

        if (!is_wanted())
                return;
        r = spawn_program(&pid, &request->spec);
        /* Whoever reads what the command writes is to see the end of it. */
        runner_request_clear(request);
        if (r < 0) {
                (void) tell(RUNNER_FAILED, -r, 0);
                return;
        }
        pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0 || !tell(RUNNER_STARTED, pid, 0) || !attend(pidfd))
                (void) kill(-pid, SIGKILL);
}

int main(void) {
        struct runner_request request;
        int r;

        r = runner_request_receive(STDIN_FILENO, &request);
        if (r >= 0)
                run(&request);
        else
                (void) tell(RUNNER_FAILED, -r, 0);
        runner_request_clear(&request);
        return r < 0 && r != -ECONNRESET ? EXIT_FAILURE : EXIT_SUCCESS;
}
