/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runner-request.h"

#include "buffer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* The kernel gives a process a quarter of its stack limit at most, and never more than this (execve(2)). */
#define DATA_MAX    ((size_t) 6 * 1024 * 1024)
#define STREAMS     3
#define FDS_MAX     (1 + STREAMS) /* the data, then the streams that there are */
#define STRINGS_MAX (64 * 1024)

/*
 * What stands in the data, which is a file in memory, as a message could not hold it, and as nobody else is
 * to see the environment: the number of arguments and of variables, then each as a text with its zero, after
 * the path and the directory (empty: none).
 */
struct counts {
        uint32_t n_argv, n_environment;
};

/* The message itself: which of the streams come along. */
struct streams {
        uint8_t given[STREAMS]; /* 1: yes */
};

union control {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

/* --- sending --- */

static uint32_t count(char *const *strings) {
        uint32_t n = 0;

        while (strings[n])
                n++;
        return n;
}

static int append_strings(struct buffer *data, char *const *strings) {
        int r = 0;

        for (; r >= 0 && *strings; strings++)
                r = buffer_append(data, *strings, strlen(*strings) + 1);
        return r;
}

static int encode(struct buffer *data, const struct child_spec *spec) {
        const struct counts counts = { .n_argv = count(spec->argv),
                .n_environment = count(spec->environment) };
        const char *directory = strempty(spec->directory);
        int r;

        if (counts.n_argv > STRINGS_MAX || counts.n_environment > STRINGS_MAX)
                return -E2BIG;
        r = buffer_append(data, &counts, sizeof(counts));
        if (r >= 0)
                r = buffer_append(data, spec->path, strlen(spec->path) + 1);
        if (r >= 0)
                r = buffer_append(data, directory, strlen(directory) + 1);
        if (r >= 0)
                r = append_strings(data, spec->argv);
        if (r >= 0)
                r = append_strings(data, spec->environment);
        if (r < 0)
                return r;
        return buffer_length(data) > DATA_MAX ? -E2BIG : 0;
}

static int make_data(const struct child_spec *spec) {
        _cleanup_(buffer_clear) struct buffer data = BUFFER_NULL;
        _cleanup_(closep) int fd = -1;
        size_t n = 0;
        int r;

        r = encode(&data, spec);
        if (r < 0)
                return r;
        fd = memfd_create("givc-command", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        while (n < buffer_length(&data)) {
                ssize_t k = write(fd, buffer_bytes(&data) + n, buffer_length(&data) - n);

                if (k < 0)
                        return -errno;
                n += (size_t) k;
        }
        return TAKE_FD(fd);
}

int runner_request_send(int socket, const struct child_spec *spec) {
        const int given[STREAMS] = { spec->stdin_fd, spec->stdout_fd, spec->stderr_fd };
        _cleanup_(closep) int data_fd = -1;
        struct streams streams = {};
        struct iovec body = { .iov_base = &streams, .iov_len = sizeof(streams) };
        union control control = {};
        struct msghdr message = { .msg_iov = &body, .msg_iovlen = 1, .msg_control = &control };
        int fds[FDS_MAX];
        size_t n = 1;

        data_fd = make_data(spec);
        if (data_fd < 0)
                return data_fd;
        fds[0] = data_fd;
        for (size_t i = 0; i < STREAMS; i++) {
                streams.given[i] = given[i] >= 0;
                if (given[i] >= 0)
                        fds[n++] = given[i];
        }
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        control.header = (struct cmsghdr){
                .cmsg_len = CMSG_LEN(n * sizeof(int)),
                .cmsg_level = SOL_SOCKET,
                .cmsg_type = SCM_RIGHTS,
        };
        memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
        return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* --- receiving --- */

/* The next text, or NULL where it has no end. */
static char *next_string(const struct runner_request *request, size_t *position) {
        char *string = request->data + *position;
        const char *end = *position < request->size ? memchr(string, '\0', request->size - *position) : NULL;

        if (!end)
                return NULL;
        *position += (size_t) (end - string) + 1;
        return string;
}

static int next_strings(const struct runner_request *request, size_t *position, uint32_t n, char ***ret) {
        if (n > STRINGS_MAX)
                return -EBADMSG;
        *ret = calloc(n + 1, sizeof(char *));
        if (!*ret)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++) {
                (*ret)[i] = next_string(request, position);
                if (!(*ret)[i])
                        return -EBADMSG;
        }
        return 0;
}

static int decode(struct runner_request *request) {
        size_t position = sizeof(struct counts);
        struct counts counts;
        int r;

        if (request->size < sizeof(counts))
                return -EBADMSG;
        memcpy(&counts, request->data, sizeof(counts));
        request->spec.path = next_string(request, &position);
        request->spec.directory = request->spec.path ? next_string(request, &position) : NULL;
        if (!request->spec.directory || counts.n_argv == 0)
                return -EBADMSG;
        if (isempty(request->spec.directory))
                request->spec.directory = NULL;
        r = next_strings(request, &position, counts.n_argv, &request->argv);
        if (r >= 0)
                r = next_strings(request, &position, counts.n_environment, &request->environment);
        if (r < 0)
                return r;
        request->spec.argv = request->argv;
        request->spec.environment = request->environment;
        return position == request->size ? 0 : -EBADMSG;
}

static int map_data(struct runner_request *request, int fd) {
        struct stat st;
        void *data;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size <= 0 || (size_t) st.st_size > DATA_MAX)
                return -EBADMSG;
        data = mmap(NULL, (size_t) st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
                return -errno;
        request->data = data;
        request->size = (size_t) st.st_size;
        return 0;
}

static size_t take_fds(const struct msghdr *message, int fds[static FDS_MAX]) {
        const struct cmsghdr *header = CMSG_FIRSTHDR(message);
        size_t n;

        if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
                return 0;
        n = MIN((header->cmsg_len - CMSG_LEN(0)) / sizeof(int), (size_t) FDS_MAX);
        memcpy(fds, CMSG_DATA(header), n * sizeof(int));
        return n;
}

int runner_request_receive(int socket, struct runner_request *ret) {
        struct streams streams = {};
        struct iovec body = { .iov_base = &streams, .iov_len = sizeof(streams) };
        union control control = {};
        struct msghdr message = {
                .msg_iov = &body,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        _cleanup_(closep) int data_fd = -1;
        int fds[FDS_MAX],
                        *const into[STREAMS] = { &ret->spec.stdin_fd, &ret->spec.stdout_fd,
                                &ret->spec.stderr_fd };
        size_t n_fds, n = 1, n_wanted = 1;
        ssize_t length;
        int r;

        *ret = RUNNER_REQUEST_NULL;
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        if (length < 0)
                return -errno;
        n_fds = take_fds(&message, fds);
        data_fd = n_fds > 0 ? fds[0] : -1;
        for (size_t i = 0; i < STREAMS; i++) {
                n_wanted += streams.given[i] != 0;
                if (streams.given[i] && n < n_fds)
                        *into[i] = fds[n++];
        }
        for (size_t i = n; i < n_fds; i++)
                close(fds[i]);
        if (length == 0)
                return -ECONNRESET;
        if (length != sizeof(streams) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || n_fds != n_wanted)
                return -EBADMSG;
        r = map_data(ret, data_fd);
        return r < 0 ? r : decode(ret);
}

void runner_request_clear(struct runner_request *request) {
        close_fd(request->spec.stdin_fd);
        close_fd(request->spec.stdout_fd);
        close_fd(request->spec.stderr_fd);
        if (request->data)
                (void) munmap(request->data, request->size);
        free(request->argv);
        free(request->environment);
        *request = RUNNER_REQUEST_NULL;
}

/* --- what it says --- */

static bool is_event(const struct runner_event *event) {
        switch (event->kind) {
        case RUNNER_STARTED:
                return event->value > 0;
        case RUNNER_FAILED:
                return event->value > 0 && event->value <= RUNNER_ERRNO_MAX;
        case RUNNER_EXITED:
                return true;
        default:
                return false;
        }
}

int runner_event_receive(int socket, struct runner_event *ret) {
        ssize_t n = recv(socket, ret, sizeof(*ret), MSG_DONTWAIT | MSG_TRUNC);

        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        if (n == 0)
                return -ECONNRESET;
        return n == sizeof(*ret) && is_event(ret) ? 0 : -EBADMSG;
}
