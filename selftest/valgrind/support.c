/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * To be preloaded (ld.so(8), LD_PRELOAD) into programs under valgrind, for what it does not let them do.
 * System calls that it does not know yet (ENOSYS) are made for them by ./natively, a process beside it:
 * those that open a descriptor, which comes back as one, and a signal. Limits are not set: valgrind needs
 * more than they leave.
 */
#include "util.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

long syscall(long number, ...) _public_;
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limits) _public_;

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limits) {
        return 0;
}

struct call {
        long number;
        const char *path;
        int fd; /* what it is about; -1: none */
        long values[2];
};

static void become_native(const struct call *call, int answer) {
        char number[24], to[24], fd[24], values[2][24];

        (void) snprintf(number, sizeof(number), "%ld", call->number);
        (void) snprintf(to, sizeof(to), "%d", answer);
        (void) snprintf(fd, sizeof(fd), "%d", call->fd);
        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                (void) snprintf(values[i], sizeof(values[i]), "%ld", call->values[i]);
        (void) fcntl(answer, F_SETFD, 0);
        if (call->fd >= 0)
                (void) fcntl(call->fd, F_SETFD, 0);
        (void) execl(getenv("GIVC_NATIVELY") ?: "", "natively", to, number, fd, call->path ?: "", values[0],
                        values[1], NULL);
        _exit(1);
}

/* The result, as natively.c sends it: a number, and a descriptor if it is one. */
static long take_result(int from) {
        long result = -ENOSYS;
        char control[CMSG_SPACE(sizeof(int))] = {};
        struct iovec iov = { &result, sizeof(result) };
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };
        const struct cmsghdr *cmsg;

        while (recvmsg(from, &message, MSG_CMSG_CLOEXEC) < 0 && errno == EINTR)
                ;
        cmsg = CMSG_FIRSTHDR(&message);
        if (cmsg) {
                int fd;

                memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
                result = fd;
        }
        return result;
}

static long make_natively(const struct call *call) {
        int pair[2];
        pid_t pid;
        long result = -ENOSYS;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                become_native(call, pair[1]);
        close(pair[1]);
        if (pid > 0) {
                result = take_result(pair[0]);
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        close(pair[0]);
        return result;
}

long syscall(long number, ...) {
        struct call call = { .number = number, .fd = -1 };
        long (*made)(long number, ...) = (long (*)(long, ...)) dlsym(RTLD_NEXT, "syscall");
        const struct open_how *how;
        long a[6], result;
        va_list ap;

        va_start(ap, number);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                a[i] = va_arg(ap, long);
        va_end(ap);
        result = made(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (result >= 0 || errno != ENOSYS)
                return result;
        switch (number) {
        case SYS_pidfd_open:
                call.values[0] = (pid_t) a[0];
                break;
        case SYS_pidfd_send_signal:
                call.fd = (int) a[0];
                call.values[0] = a[1];
                break;
        case SYS_openat2:
                how = (const struct open_how *) a[2];
                call.fd = (int) a[0];
                call.path = (const char *) a[1];
                call.values[0] = (long) how->flags;
                call.values[1] = (long) how->resolve;
                break;
        default:
                return -1;
        }
        result = make_natively(&call);
        if (result < 0)
                errno = (int) -result;
        return result < 0 ? -1 : result;
}
