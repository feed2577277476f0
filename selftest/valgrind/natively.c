/* SPDX-License-Identifier: GPL-2.0-or-later */
/* natively SOCKET NUMBER FD PATH VALUE VALUE: makes one system call for support.c, and sends it the result.
 */
#include "util.h"

#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static long make(long number, int fd, const char *path, long first, long second) {
        const struct open_how how = { .flags = (uint64_t) first, .resolve = (uint64_t) second };

        switch (number) {
        case SYS_pidfd_open:
                return syscall(number, (pid_t) first, 0);
        case SYS_pidfd_send_signal:
                return syscall(number, fd, (int) first, NULL, 0);
        case SYS_openat2:
                return syscall(number, fd, path, &how, sizeof(how));
        default:
                errno = ENOSYS;
                return -1;
        }
}

int main(int argc, char **argv) {
        char control[CMSG_SPACE(sizeof(int))] = {};
        long number, result;
        struct iovec iov = { &result, sizeof(result) };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (argc != 7)
                return EXIT_FAILURE;
        number = atol(argv[2]);
        result = make(number, atoi(argv[3]), argv[4], atol(argv[5]), atol(argv[6]));
        if (result < 0)
                result = -errno;
        else if (number != SYS_pidfd_send_signal) {
                struct cmsghdr *cmsg;
                const int fd = (int) result;

                message.msg_control = control;
                message.msg_controllen = sizeof(control);
                cmsg = CMSG_FIRSTHDR(&message);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
                memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
        }
        return sendmsg(atoi(argv[1]), &message, MSG_NOSIGNAL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
