/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child.h"

#include <signal.h>
#include <sys/wait.h>

struct child {
        pid_t pid;
        bool exited;
        sd_event_source *source;
        child_exited_t callback;
        void *userdata;
};

static int on_exited(sd_event_source *source, const siginfo_t *si, void *userdata) {
        struct child *child = userdata;

        /* sd-event reaps the zombie once this has returned. */
        if (!child) {
                /* Freed while it ran: now the loop's reference to the source goes, and with it the source.
                 */
                (void) sd_event_source_set_floating(source, false);
                return 0;
        }
        child->exited = true;
        child->callback(child, si->si_code, si->si_status, child->userdata);
        return 0;
}

int child_new(struct child **ret, sd_event *event, const struct child_spec *spec, child_exited_t exited,
                void *userdata) {
        struct child *child;
        int r;

        child = calloc(1, sizeof(*child));
        if (!child)
                return -ENOMEM;
        child->callback = exited;
        child->userdata = userdata;

        r = spawn_program(&child->pid, spec);
        if (r < 0) {
                free(child);
                return r;
        }
        r = sd_event_add_child(event, &child->source, child->pid, WEXITED, on_exited, child);
        if (r < 0) {
                /* Nobody would ever reap it. SIGKILL makes the wait a short one. */
                (void) kill(-child->pid, SIGKILL);
                (void) waitpid(child->pid, NULL, 0);
                free(child);
                return r;
        }
        *ret = child;
        return 0;
}

struct child *child_free(struct child *child) {
        if (!child)
                return NULL;
        if (child->exited)
                sd_event_source_disable_unref(child->source);
        else {
                /* As long as it is not reaped, its number is nobody else's: neither process nor group. */
                (void) kill(-child->pid, SIGKILL);
                (void) sd_event_source_set_userdata(child->source, NULL);
                (void) sd_event_source_set_floating(child->source, true); /* adds the loop's reference */
                sd_event_source_unref(child->source);
        }
        free(child);
        return NULL;
}

pid_t child_pid(const struct child *child) {
        return child->pid;
}

int child_kill(struct child *child, int number) {
        if (child->exited)
                return -ESRCH;
        return sd_event_source_send_child_signal(child->source, number, NULL, 0);
}
