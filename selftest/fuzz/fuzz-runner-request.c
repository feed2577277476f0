/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is asked of the program that runs one command for an agent. The first byte: which of three streams
 * the message gives (bits 0 to 2), how many descriptors come along (3 to 5), and how long the message is (6
 * and 7). The others are the file in memory.
 */
#include "fuzz.h"

#include "runner-request.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define FDS 7

static int sockets[2], data_fd;

static void make_world(void) {
        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0, "there are sockets");
        data_fd = memfd_create("data", MFD_CLOEXEC);
        must(data_fd >= 0, "there is memory");
}

/* The lowest descriptor that is free: it tells when one was left open. */
static int free_fd(void) {
        int fd = dup(data_fd);

        must(fd >= 0, "a descriptor is free");
        close(fd);
        return fd;
}

static void send_raw(uint8_t how) {
        static const size_t lengths[] = { 3, 2, 4, 0 };
        uint8_t body[4] = { how & 1, how >> 1 & 1, how >> 2 & 1 };
        size_t n_fds = how >> 3 & 7;
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(FDS * sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = body, .iov_len = lengths[how >> 6] };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = n_fds > 0 ? &control : NULL,
                .msg_controllen = n_fds > 0 ? CMSG_SPACE(n_fds * sizeof(int)) : 0,
        };
        int fds[FDS] = { data_fd, data_fd, data_fd, data_fd, data_fd, data_fd, data_fd };

        control.header = (struct cmsghdr){
                .cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
                .cmsg_level = SOL_SOCKET,
                .cmsg_type = SCM_RIGHTS,
        };
        memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
        must(sendmsg(sockets[0], &message, MSG_DONTWAIT) == (ssize_t) iov.iov_len, "it is sent");
}

static void check_strings(char *const *a, char *const *b) {
        for (; *a && *b; a++, b++)
                must(streq(*a, *b), "a text is the same");
        must(!*a && !*b, "there are as many");
}

/* What was understood is asked once more, as an agent asks. */
static void ask_again(const struct runner_request *request) {
        struct runner_request again;

        must(runner_request_send(sockets[0], &request->spec) == 0, "what we have read we can say");
        must(runner_request_receive(sockets[1], &again) == 0, "and read again");
        must(streq(again.spec.path, request->spec.path), "the program is the same");
        must(streq(strempty(again.spec.directory), strempty(request->spec.directory)),
                        "so is the directory");
        check_strings(again.spec.argv, request->spec.argv);
        check_strings(again.spec.environment, request->spec.environment);
        must(again.size == request->size, "nothing else was in it");
        runner_request_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t how = take_byte(&data, &size);
        struct runner_request request;
        int r, before;

        if (data_fd == 0)
                make_world();
        must(ftruncate(data_fd, 0) == 0 && pwrite(data_fd, data, size, 0) == (ssize_t) size,
                        "a file can be written");
        before = free_fd();
        send_raw(how);
        r = runner_request_receive(sockets[1], &request);
        must(r == 0 || r == -EBADMSG || (r == -ECONNRESET && how >> 6 == 3), "it is a request, or none");
        if (r == 0) {
                must(request.spec.argv[0] != NULL, "a program has a name");
                must((request.spec.stdin_fd >= 0) == (how & 1) &&
                                                (request.spec.stdout_fd >= 0) == (how >> 1 & 1) &&
                                                (request.spec.stderr_fd >= 0) == (how >> 2 & 1),
                                "it has the streams that it was given");
                ask_again(&request);
        }
        runner_request_clear(&request);
        must(free_fd() == before, "no descriptor stays open");
        return 0;
}
