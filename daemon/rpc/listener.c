/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "listener.h"

#include "bytestream.h"
#include "log.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LISTEN_BACKLOG 128
/* Connections taken in one wake-up before those that stand get their turn. */
#define ACCEPTS_MAX 16
/* Out of descriptors or memory: the listener pauses, as accept() would fail again at once. */
#define PAUSE_USEC (200 * USEC_PER_MSEC)

static int on_unpause(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        struct listener *listener = userdata;

        (void) sd_event_source_set_enabled(listener->source, SD_EVENT_ON);
        return 0;
}

static void pause_accepting(struct listener *listener, int error) {
        if (ratelimit_pass(&listener->pauses, NULL))
                log_warning_errno(-error, "Cannot accept connections, trying again");
        /* Better to try at once, and hot, than never again. */
        if (sd_event_source_set_time_relative(listener->pause_source, PAUSE_USEC) < 0 ||
                        sd_event_source_set_enabled(listener->pause_source, SD_EVENT_ONESHOT) < 0)
                return;
        (void) sd_event_source_set_enabled(listener->source, SD_EVENT_OFF);
}

/* Never returns an error: sd-event would switch the listener off for good. */
static int on_accept(sd_event_source *source _unused_, int fd, uint32_t events _unused_, void *userdata) {
        struct listener *listener = userdata;

        for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
                struct rpc_address address = { .length = sizeof(address.un) };
                int connection;

                connection = accept4(fd, &address.any, &address.length, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (connection >= 0) {
                        listener->accepted(connection, &address, listener->userdata);
                        continue;
                }
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                        pause_accepting(listener, errno);
                if (errno != EINTR && errno != ECONNABORTED)
                        return 0;
        }
        return 0;
}

struct listener *listener_free(struct listener *listener) {
        if (!listener)
                return NULL;
        list_remove(&listener->link);
        sd_event_source_disable_unref(listener->source);
        sd_event_source_disable_unref(listener->pause_source);
        close_fd(listener->fd);
        free(listener);
        return NULL;
}

static int attach(struct listener *listener, sd_event *event) {
        int flags, r;

        /* accept() must not wait when the connection that woke us has gone. */
        flags = fcntl(listener->fd, F_GETFL);
        if (flags < 0 || fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(event, &listener->source, listener->fd, EPOLLIN, on_accept, listener);
        if (r < 0)
                return r;
        /* However many come, those that are under way have their turn. */
        r = sd_event_source_set_priority(listener->source, BYTESTREAM_HANDSHAKE_PRIORITY);
        if (r < 0)
                return r;
        /* Made before it is needed: the loop's first timer takes a descriptor. */
        r = sd_event_add_time(event, &listener->pause_source, CLOCK_MONOTONIC, UINT64_MAX, 0, on_unpause,
                        listener);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(listener->pause_source, SD_EVENT_OFF);
}

int listener_new(struct listener **ret, sd_event *event, int fd, listener_accepted_t accepted,
                void *userdata) {
        _cleanup_(listener_freep) struct listener *listener = calloc(1, sizeof(*listener));
        int r;

        if (!listener) {
                close_fd(fd);
                return -ENOMEM;
        }
        *listener = (struct listener){
                .fd = fd,
                .pauses = { .interval_usec = 10 * USEC_PER_SEC, .burst = 5 },
                .accepted = accepted,
                .userdata = userdata,
        };
        list_init(&listener->link);
        r = attach(listener, event);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(listener);
        return 0;
}

/* A path of which nobody listens any more is in the way of bind(). */
static void remove_dead_socket(const struct rpc_address *address) {
        _cleanup_(closep) int fd = -1;
        struct stat st;

        if (lstat(address->un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
                return;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect(fd, &address->any, address->length) < 0 && errno == ECONNREFUSED)
                (void) unlink(address->un.sun_path);
}

int listener_bind(const struct rpc_address *address) {
        _cleanup_(closep) int fd = -1;
        int one = 1;

        fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6)
                (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (address->any.sa_family == AF_UNIX && address->un.sun_path[0] != '\0')
                remove_dead_socket(address);
        if (bind(fd, &address->any, address->length) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
                return -errno;
        return TAKE_FD(fd);
}
