/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "handover.h"

#include "text.h"

#include <sys/socket.h>
#include <systemd/sd-daemon.h>

static void free_names(char ***names) {
        for (char **name = *names; name && *name; name++)
                free(*name);
        free(*names);
}

int handover_receive(struct handover *handover) {
        _cleanup_(free_names) char **names = NULL;
        int n;

        n = sd_listen_fds_with_names(true, &names);
        if (n <= 0)
                return n;
        handover->fds = calloc((size_t) n, sizeof(*handover->fds));
        if (!handover->fds)
                return -ENOMEM;
        handover->n_fds = (size_t) n;
        for (int i = 0; i < n; i++)
                handover->fds[i] = (struct handover_fd){
                        .name = TAKE_PTR(names[i]),
                        .fd = SD_LISTEN_FDS_START + i,
                        .listening = sd_is_socket(SD_LISTEN_FDS_START + i, AF_UNSPEC, 0, 1) > 0,
                };
        return 0;
}

void handover_clear(struct handover *handover) {
        for (size_t i = 0; i < handover->n_fds; i++) {
                close_fd(handover->fds[i].fd);
                free(handover->fds[i].name);
        }
        free(handover->fds);
        *handover = (struct handover){};
}

int handover_take_listeners(struct handover *handover, const char *name, int **ret) {
        int *fds, n = 0;

        fds = calloc(MAX(handover->n_fds, (size_t) 1), sizeof(*fds));
        if (!fds)
                return -ENOMEM;
        for (size_t i = 0; i < handover->n_fds; i++) {
                struct handover_fd *h = &handover->fds[i];

                if (h->fd >= 0 && h->listening && (!name || streq(h->name, name)))
                        fds[n++] = TAKE_FD(h->fd);
        }
        *ret = fds;
        return n;
}

int handover_take_stored(struct handover *handover, const char *name) {
        /* The newest is the last; a crash between the two steps of handover_store() may leave an older one.
         */
        for (size_t i = handover->n_fds; i > 0; i--) {
                struct handover_fd *h = &handover->fds[i - 1];

                if (h->fd >= 0 && !h->listening && streq(h->name, name))
                        return TAKE_FD(h->fd);
        }
        return -ENOENT;
}

int handover_store(const char *name, int fd) {
        _cleanup_(freep) char *state = NULL;
        int r;

        r = sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
        if (r < 0)
                return r;
        state = text_printf("FDSTORE=1\nFDNAME=%s", name);
        if (!state)
                return -ENOMEM;
        r = sd_pid_notify_with_fds(0, 0, state, &fd, 1);
        return MIN(r, 0);
}
