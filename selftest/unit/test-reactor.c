/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reactor.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define DRAIN_USEC (50 * USEC_PER_MSEC)

/* The service manager's end of NOTIFY_SOCKET=, and what the ops were told. */
static struct {
        int manager;
        int reloads, stops;
        int exit_in_stop; /* the code, or -1: stay */
        bool signal_in_stop;
} world;

static int on_reload(struct reactor *reactor, void *userdata) {
        cr_assert_eq(userdata, &world);
        world.reloads++;
        raise(SIGTERM);
        return 0;
}

static void on_stop(struct reactor *reactor, void *userdata) {
        cr_assert_eq(userdata, &world);
        world.stops++;
        if (world.exit_in_stop >= 0)
                reactor_exit(reactor, world.exit_in_stop);
        if (world.signal_in_stop)
                raise(SIGINT);
}

static const struct reactor_ops ops = { .reload = on_reload, .stop = on_stop };

static void set_up(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t n = sizeof(sa_family_t);
        char name[sizeof(address.sun_path) + 1];

        world.exit_in_stop = -1;
        world.manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        cr_assert_geq(world.manager, 0);
        /* The kernel chooses a name (unix(7), "Autobind"). */
        cr_assert_eq(bind(world.manager, (struct sockaddr *) &address, n), 0);
        n = sizeof(address);
        cr_assert_eq(getsockname(world.manager, (struct sockaddr *) &address, &n), 0);
        snprintf(name, sizeof(name), "@%.*s", (int) (n - sizeof(sa_family_t) - 1), address.sun_path + 1);
        setenv("NOTIFY_SOCKET", name, true);
}

static void tear_down(void) {
        close(world.manager);
}

TestSuite(reactor, .init = set_up, .fini = tear_down, .timeout = 20);

/* The next message, and the descriptor that came with it, or -1. What is sent is there at once. */
static int hear(char *text, size_t size) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
        } control;
        struct iovec iov = { .iov_base = text, .iov_len = size - 1 };
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        int fd = -1;
        ssize_t n;

        n = recvmsg(world.manager, &message, MSG_CMSG_CLOEXEC);
        cr_assert_geq(n, 0, "nothing was sent");
        text[n] = '\0';
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
        return fd;
}

static void assert_heard(const char *expected) {
        char text[256];

        cr_assert_eq(hear(text, sizeof(text)), -1);
        cr_assert_str_eq(text, expected);
}

static void assert_silence(void) {
        char byte;

        cr_assert_eq(recv(world.manager, &byte, 1, 0), -1);
        cr_assert_eq(errno, EAGAIN);
}

Test(reactor, reloads_and_stops) {
        _cleanup_(reactor_freep) struct reactor *reactor = NULL;
        uint64_t before = now_usec(CLOCK_MONOTONIC);
        unsigned long long reloading;
        char text[256];

        world.exit_in_stop = 7;
        cr_assert_eq(reactor_new(&reactor, &ops, DRAIN_USEC, &world), 0);
        reactor_ready(reactor, "Up\nFDSTORE=1");
        reactor_status(reactor, "Idle");
        raise(SIGHUP);
        cr_assert_eq(reactor_run(reactor), 7);

        assert_heard("READY=1\nSTATUS=Up");
        assert_heard("STATUS=Idle");
        cr_assert_eq(hear(text, sizeof(text)), -1);
        cr_assert_eq(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu", &reloading), 1);
        cr_assert(reloading >= before && reloading <= now_usec(CLOCK_MONOTONIC));
        assert_heard("READY=1");
        assert_heard("STOPPING=1");
        assert_silence();
        cr_assert_eq(world.reloads, 1);
        cr_assert_eq(world.stops, 1);
}

Test(reactor, second_signal_ends_at_once) {
        _cleanup_(reactor_freep) struct reactor *reactor = NULL;

        world.signal_in_stop = true;
        cr_assert_eq(reactor_new(&reactor, &ops, 1000 * USEC_PER_SEC, &world), 0);
        raise(SIGTERM);
        cr_assert_eq(reactor_run(reactor), 0);
        cr_assert_eq(world.stops, 1);
}

Test(reactor, drain_has_an_end) {
        _cleanup_(reactor_freep) struct reactor *reactor = NULL;
        uint64_t begin = now_usec(CLOCK_MONOTONIC), took;

        cr_assert_eq(reactor_new(&reactor, &ops, DRAIN_USEC, &world), 0);
        raise(SIGTERM);
        cr_assert_eq(reactor_run(reactor), 0);
        took = now_usec(CLOCK_MONOTONIC) - begin;
        cr_assert(took >= DRAIN_USEC && took < 20 * DRAIN_USEC, "it took %llu us",
                        (unsigned long long) took);
        cr_assert_eq(world.stops, 1);
}

static int on_message(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        reactor_exit(userdata, 0);
        return 0;
}

Test(reactor, feeds_the_watchdog) {
        _cleanup_(reactor_freep) struct reactor *reactor = NULL;
        sd_event_source *source = NULL;

        setenv("WATCHDOG_USEC", "100000", true);
        cr_assert_eq(reactor_new(&reactor, &ops, DRAIN_USEC, &world), 0);
        assert_heard("WATCHDOG=1");
        cr_assert_geq(sd_event_add_io(reactor_event(reactor), &source, world.manager, EPOLLIN, on_message,
                                      reactor),
                        0);
        cr_assert_eq(reactor_run(reactor), 0);
        assert_heard("WATCHDOG=1");
        sd_event_source_unref(source);
}

Test(reactor, stores_descriptors) {
        _cleanup_(reactor_freep) struct reactor *reactor = NULL;
        int fd = memfd_create("state", MFD_CLOEXEC), stored;
        struct stat a, b;
        char text[256];

        cr_assert_eq(reactor_new(&reactor, &ops, DRAIN_USEC, &world), 0);
        cr_assert_eq(reactor_store(reactor, "registry", fd), 0);
        assert_heard("FDSTOREREMOVE=1\nFDNAME=registry");
        stored = hear(text, sizeof(text));
        cr_assert_str_eq(text, "FDSTORE=1\nFDNAME=registry");
        cr_assert(fstat(fd, &a) == 0 && fstat(stored, &b) == 0);
        cr_assert(a.st_ino == b.st_ino && a.st_dev == b.st_dev);

        close(stored);
        unsetenv("NOTIFY_SOCKET");
        cr_assert_eq(reactor_store(reactor, "registry", fd), 0);
        assert_silence();
        close(fd);
}

static int listening_socket(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(sa_family_t)) < 0 || listen(fd, 1) < 0)
                _exit(100);
        return fd;
}

/*
 * What sd_listen_fds(3) wants is at fixed numbers, and the test has descriptors of its own there: so this
 * runs in a child and answers with its exit status, 0 or the number of the check that failed.
 */
static int check_handover(void) {
        struct reactor *reactor;
        int fds[5], *taken, stored;

        fds[0] = listening_socket();
        fds[1] = memfd_create("old", 0);
        fds[2] = listening_socket();
        fds[3] = memfd_create("new", 0);
        fds[4] = listening_socket();
        for (int i = 0; i < 5; i++)
                if (dup2(fcntl(fds[i], F_DUPFD, 100), 3 + i) < 0)
                        return 1;
        setenv("LISTEN_FDS", "5", true);
        setenv("LISTEN_FDNAMES", "givc.socket:registry:other:registry:givc.socket", true);
        if (reactor_new(&reactor, &ops, DRAIN_USEC, &world) < 0)
                return 2;
        if (getenv("LISTEN_FDS") || getenv("LISTEN_PID") || getenv("LISTEN_FDNAMES"))
                return 3;
        /* What listens is never taken for what was stored, nor the reverse, whatever it is called. */
        if (reactor_take_stored(reactor, "givc.socket") != -ENOENT)
                return 4;
        if (reactor_take_listeners(reactor, "registry", &taken) != 0)
                return 5;
        free(taken);
        if (reactor_take_listeners(reactor, "givc.socket", &taken) != 2 || taken[0] != 3 || taken[1] != 7)
                return 6;
        free(taken);
        if (reactor_take_listeners(reactor, NULL, &taken) != 1 || taken[0] != 5)
                return 7;
        free(taken);
        /* The newest one by that name; it does not leak into children. */
        stored = reactor_take_stored(reactor, "registry");
        if (stored != 6 || fcntl(stored, F_GETFD) != FD_CLOEXEC)
                return 8;
        reactor_free(reactor);
        /* Those taken are ours, the rest is closed. */
        if (fcntl(4, F_GETFD) != -1 || fcntl(3, F_GETFD) < 0 || fcntl(6, F_GETFD) < 0)
                return 9;
        return 0;
}

Test(reactor, takes_what_is_handed_over) {
        char pid[16];
        int status;
        pid_t child;

        child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
                snprintf(pid, sizeof(pid), "%i", getpid());
                setenv("LISTEN_PID", pid, true);
                _exit(check_handover());
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status));
        cr_assert_eq(WEXITSTATUS(status), 0, "check %i failed", WEXITSTATUS(status));
}

Test(reactor, nothing_handed_over) {
        _cleanup_(reactor_freep) struct reactor *reactor = NULL;
        int *taken;

        unsetenv("NOTIFY_SOCKET");
        cr_assert_eq(reactor_new(&reactor, &ops, DRAIN_USEC, &world), 0);
        cr_assert_eq(reactor_take_listeners(reactor, NULL, &taken), 0);
        free(taken);
        cr_assert_eq(reactor_take_stored(reactor, "registry"), -ENOENT);
        reactor_ready(reactor, "Up");
        assert_silence();
}
