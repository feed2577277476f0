/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "file-watch.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>

struct file_watch {
        char *path;
        const char *name; /* of the file in its directory */
        sd_event_source *source;
        void (*changed)(void *userdata);
        void *userdata;
};

/* A file that has just been made is empty, and tells of itself when it is written; a link is whole. */
static bool is_link(const char *path) {
        struct stat st;

        return lstat(path, &st) >= 0 && S_ISLNK(st.st_mode);
}

static int on_event(sd_event_source *source _unused_, const struct inotify_event *event, void *userdata) {
        struct file_watch *watch = userdata;
        bool overflow = event->mask & IN_Q_OVERFLOW;

        if (!overflow && (event->len == 0 || !streq(event->name, watch->name)))
                return 0;
        if (overflow || event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO) || is_link(watch->path))
                watch->changed(watch->userdata);
        return 0;
}

int file_watch_new(struct file_watch **ret, sd_event *event, const char *path,
                void (*changed)(void *userdata), void *userdata) {
        _cleanup_(file_watch_freep) struct file_watch *watch = calloc(1, sizeof(*watch));
        _cleanup_(freep) char *directory = strdup(path);
        char *slash = directory ? strrchr(directory, '/') : NULL;
        int r;

        if (!watch || !directory)
                return -ENOMEM;
        watch->changed = changed;
        watch->userdata = userdata;
        watch->path = strdup(path);
        if (!watch->path)
                return -ENOMEM;
        watch->name = slash ? watch->path + (slash + 1 - directory) : watch->path;
        if (slash)
                slash[slash == directory] = '\0';
        r = sd_event_add_inotify(event, &watch->source, slash ? directory : ".",
                        IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR, on_event, watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

struct file_watch *file_watch_free(struct file_watch *watch) {
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->source);
        free(watch->path);
        free(watch);
        return NULL;
}
