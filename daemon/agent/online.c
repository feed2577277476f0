/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "online.h"

#include "file.h"
#include "log.h"
#include "reactor.h"
#include "text.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

/* What a restart of the admin or of the agent takes, twice the longest wait between two attempts to connect:
 * whoever follows us is not to be stopped and started for that. */
#define ONLINE_GRACE_USEC (10 * USEC_PER_SEC)
/* A process number and a newline, and more than that to know what is none. */
#define FILE_BYTES_MAX 32

/* --- the agent --- */

void online_tell(bool registered) {
        const char *directories = getenv("RUNTIME_DIRECTORY");
        _cleanup_(freep) char *path = NULL;
        char text[FILE_BYTES_MAX];
        int r = 0;

        if (isempty(directories))
                return;
        path = text_printf("%.*s/" ONLINE_FILE, (int) strcspn(directories, ":"), directories);
        if (!path)
                r = -ENOMEM;
        else if (registered) {
                int n = snprintf(text, sizeof(text), "%d\n", (int) getpid());

                r = file_write_atomic(AT_FDCWD, path, text, (size_t) n, 0644);
        } else if (unlink(path) < 0 && errno != ENOENT)
                r = -errno;
        if (r < 0)
                (void) log_warning_errno(r, "Cannot make known that we are %s",
                                registered ? "registered" : "not registered any more");
}

/* --- who follows it --- */

struct follower {
        struct reactor *reactor;
        char *path;
        int agent; /* a descriptor of the process that says we are registered, -1: none */
        sd_event_source *directory, *gone, *grace;
        bool ready; /* told */
};

static void follower_clear(struct follower *follower) {
        sd_event_source_disable_unref(follower->grace);
        sd_event_source_disable_unref(follower->gone);
        sd_event_source_disable_unref(follower->directory);
        close_fd(follower->agent);
        free(follower->path);
        reactor_free(follower->reactor);
}

/* A descriptor of the process that the file names, or -ESRCH where there is no word that counts. */
static int open_agent(const struct follower *follower) {
        _cleanup_(freep) char *text = NULL;
        uint64_t pid;
        int fd;

        if (text_read_file(follower->path, FILE_BYTES_MAX, &text, NULL) < 0)
                return -ESRCH;
        text[strcspn(text, "\n")] = '\0';
        if (text_to_uint(text, INT32_MAX, &pid) < 0 || pid == 0)
                return -ESRCH;
        fd = (int) syscall(SYS_pidfd_open, (pid_t) pid, 0);
        return fd < 0 ? -errno : fd;
}

static void lost(struct follower *follower) {
        follower->gone = sd_event_source_disable_unref(follower->gone);
        follower->agent = close_fd(follower->agent);
        if (!follower->ready)
                return;
        reactor_status(follower->reactor, "Registration lost, waiting for it to come back");
        (void) sd_event_source_set_time_relative(follower->grace, ONLINE_GRACE_USEC);
        (void) sd_event_source_set_enabled(follower->grace, SD_EVENT_ONESHOT);
}

static int on_agent_gone(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        lost(userdata);
        return 0;
}

static int found(struct follower *follower, int agent) {
        int r;

        follower->gone = sd_event_source_disable_unref(follower->gone);
        close_fd(follower->agent);
        follower->agent = agent;
        r = sd_event_add_io(reactor_event(follower->reactor), &follower->gone, agent, EPOLLIN, on_agent_gone,
                        follower);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(follower->grace, SD_EVENT_OFF);
        if (follower->ready)
                reactor_status(follower->reactor, "Registered");
        else
                reactor_ready(follower->reactor, "Registered");
        follower->ready = true;
        return 0;
}

static void look(struct follower *follower) {
        int r, agent = open_agent(follower);

        r = agent < 0 ? agent : found(follower, agent);
        if (r >= 0)
                return;
        /* What cannot be followed must not be vouched for. */
        if (r != -ESRCH)
                (void) log_error_errno(r, "Cannot follow the agent");
        if (follower->agent >= 0)
                lost(follower);
}

static int on_directory(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        /* That something was lost on the way (IN_Q_OVERFLOW) is a reason to look, too. */
        if (event->len == 0 || streq(event->name, ONLINE_FILE))
                look(userdata);
        return 0;
}

static int on_grace_end(sd_event_source *source, uint64_t usec, void *userdata) {
        struct follower *follower = userdata;

        log_notice("The registration with the admin is lost.");
        reactor_exit(follower->reactor, EXIT_SUCCESS);
        return 0;
}

/* There is nothing to read again. */
static int on_reload(struct reactor *reactor, void *userdata) {
        look(userdata);
        return 0;
}

static void on_stop(struct reactor *reactor, void *userdata) {
        reactor_exit(reactor, EXIT_SUCCESS);
}

static int begin(struct follower *follower, const char *directory) {
        static const struct reactor_ops ops = { .reload = on_reload, .stop = on_stop };
        sd_event *event;
        int r;

        follower->path = text_printf("%s/" ONLINE_FILE, directory);
        if (!follower->path)
                return -ENOMEM;
        r = reactor_new(&follower->reactor, &ops, USEC_PER_SEC, follower);
        if (r < 0)
                return r;
        event = reactor_event(follower->reactor);
        r = sd_event_add_time(event, &follower->grace, CLOCK_MONOTONIC, 0, 0, on_grace_end, follower);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(follower->grace, SD_EVENT_OFF);
        /* Followed first, then looked at: what changes in between is seen twice. */
        return sd_event_add_inotify(event, &follower->directory, directory,
                        IN_MOVED_TO | IN_DELETE | IN_ONLYDIR, on_directory, follower);
}

int online_follow(const char *directory) {
        _cleanup_(follower_clear) struct follower follower = { .agent = -1 };
        int r;

        r = begin(&follower, directory);
        if (r < 0)
                return log_error_errno(r, "Cannot follow %s/" ONLINE_FILE, directory);
        reactor_status(follower.reactor, "Waiting for the agent to be registered");
        look(&follower);
        return reactor_run(follower.reactor);
}
