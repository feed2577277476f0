/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reactor.h"

#include "handover.h"
#include "log.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

/* The drain deadline is told to the user as it was configured; sd-event's default accuracy is 250 ms. */
#define DRAIN_ACCURACY_USEC (1 * USEC_PER_MSEC)

/*
 * What is as large goes back to the system when it is freed. Left to itself, glibc keeps as much as the
 * largest piece was that it has ever freed: any user can have the bus hand us 32 MiB.
 */
#define LARGE_BYTES (1024 * 1024)

struct reactor {
        const struct reactor_ops *ops;
        void *userdata;
        sd_event *event;
        sd_event_source *sigterm, *sigint, *sighup;
        sd_event_source *drain;
        uint64_t drain_usec;
        bool stopping;
        struct handover handover;
};

/* As Type=notify-reload asks for (systemd.service(5)), and harmless with Type=notify. */
static void notify_reloading(void) {
        (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_usec(CLOCK_MONOTONIC));
}

int reactor_reload(struct reactor *reactor) {
        int r;

        if (reactor->stopping)
                return -ESHUTDOWN;
        notify_reloading();
        r = reactor->ops->reload(reactor, reactor->userdata);
        (void) sd_notify(0, "READY=1");
        return r;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        (void) reactor_reload(userdata);
        return 0;
}

static int on_drain_end(sd_event_source *source, uint64_t usec, void *userdata) {
        struct reactor *reactor = userdata;

        log_warning("Still busy %" PRIu64 " ms after having been asked to stop; ending anyway",
                        reactor->drain_usec / USEC_PER_MSEC);
        reactor_exit(reactor, EXIT_SUCCESS);
        return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct reactor *reactor = userdata;
        int r;

        if (reactor->stopping) {
                log_notice("Asked to stop for the second time, ending at once");
                reactor_exit(reactor, EXIT_SUCCESS);
                return 0;
        }
        reactor->stopping = true;
        (void) sd_notify(0, "STOPPING=1");

        r = sd_event_add_time_relative(reactor->event, &reactor->drain, CLOCK_MONOTONIC, reactor->drain_usec,
                        DRAIN_ACCURACY_USEC, on_drain_end, reactor);
        if (r < 0) {
                /* Without a deadline a drain could last for ever: better none at all. */
                log_error_errno(r, "Cannot limit the time for stopping, ending at once");
                reactor_exit(reactor, EXIT_SUCCESS);
                return 0;
        }
        reactor->ops->stop(reactor, reactor->userdata);
        return 0;
}

static int block_signals(void) {
        static const struct sigaction ignore = { .sa_handler = SIG_IGN };
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        /* A peer that hangs up is an EPIPE of write(), not the end of the daemon. */
        return sigaction(SIGPIPE, &ignore, NULL) < 0 ? -errno : 0;
}

static int add_signals(struct reactor *reactor) {
        int r;

        r = block_signals();
        if (r < 0)
                return r;
        r = sd_event_add_signal(reactor->event, &reactor->sigterm, SIGTERM, on_stop, reactor);
        if (r < 0)
                return r;
        r = sd_event_add_signal(reactor->event, &reactor->sigint, SIGINT, on_stop, reactor);
        if (r < 0)
                return r;
        return sd_event_add_signal(reactor->event, &reactor->sighup, SIGHUP, on_reload, reactor);
}

int reactor_new(struct reactor **ret, const struct reactor_ops *ops, uint64_t drain_usec, void *userdata) {
        _cleanup_(reactor_freep) struct reactor *reactor = NULL;
        int r;

        (void) mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
        reactor = calloc(1, sizeof(*reactor));
        if (!reactor)
                return -ENOMEM;
        reactor->ops = ops;
        reactor->userdata = userdata;
        reactor->drain_usec = drain_usec;

        r = handover_receive(&reactor->handover);
        if (r < 0)
                return r;
        r = sd_event_new(&reactor->event);
        if (r < 0)
                return r;
        r = add_signals(reactor);
        if (r < 0)
                return r;
        r = sd_event_set_watchdog(reactor->event, true);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(reactor);
        return 0;
}

struct reactor *reactor_free(struct reactor *reactor) {
        if (!reactor)
                return NULL;
        sd_event_source_disable_unref(reactor->drain);
        sd_event_source_disable_unref(reactor->sighup);
        sd_event_source_disable_unref(reactor->sigint);
        sd_event_source_disable_unref(reactor->sigterm);
        sd_event_unref(reactor->event);
        handover_clear(&reactor->handover);
        free(reactor);
        return NULL;
}

sd_event *reactor_event(struct reactor *reactor) {
        return reactor->event;
}

int reactor_take_listeners(struct reactor *reactor, const char *name, int **ret) {
        return handover_take_listeners(&reactor->handover, name, ret);
}

int reactor_take_stored(struct reactor *reactor, const char *name) {
        return handover_take_stored(&reactor->handover, name);
}

int reactor_store(struct reactor *reactor, const char *name, int fd) {
        return handover_store(name, fd);
}

/* Lines are assignments in this protocol: what follows a newline in a text must not become one. */
static int text_line(const char *text) {
        return (int) strcspn(text, "\n");
}

void reactor_ready(struct reactor *reactor, const char *status) {
        (void) sd_notifyf(0, "READY=1\nSTATUS=%.*s", text_line(status), status);
}

void reactor_status(struct reactor *reactor, const char *status) {
        (void) sd_notifyf(0, "STATUS=%.*s", text_line(status), status);
}

int reactor_run(struct reactor *reactor) {
        return sd_event_loop(reactor->event);
}

void reactor_exit(struct reactor *reactor, int code) {
        (void) sd_event_exit(reactor->event, code);
}
