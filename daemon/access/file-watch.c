/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "file-watch.h"

#include "text.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* Names on the way to a file, of links' targets, too: the kernel follows 40 links. */
#define PLACES_MAX 128

/* A name on the way to the file. */
struct place {
        struct file_watch *watch;
        char *path;       /* up to and with the name */
        const char *name; /* in it */
        bool is_last;     /* no link leads on from here: the file itself */
        sd_event_source *source;
};

struct way {
        size_t n;
        struct place places[PLACES_MAX];
};

struct file_watch {
        sd_event *event;
        char *path;
        struct way *way;
        void (*changed)(void *userdata);
        void *userdata;
};

static struct way *way_free(struct way *way) {
        for (size_t i = 0; way && i < way->n; i++) {
                sd_event_source_disable_unref(way->places[i].source);
                free(way->places[i].path);
        }
        free(way);
        return NULL;
}

DEFINE_CLEANUP(struct way, way_free)

/* ---- what comes ---- */

static int find_way(struct file_watch *watch);

static bool is_link(const char *path) {
        struct stat st;

        return lstat(path, &st) >= 0 && S_ISLNK(st.st_mode);
}

static bool has_content(const char *path) {
        struct stat st;

        return stat(path, &st) >= 0 && st.st_size > 0;
}

static int on_event(sd_event_source *source _unused_, const struct inotify_event *event, void *userdata) {
        const struct place *place = userdata;
        struct file_watch *watch = place->watch;
        bool is_last = place->is_last, changed;

        if (!(event->mask & IN_Q_OVERFLOW) && (event->len == 0 || !streq(event->name, place->name)))
                return 0;
        /* A file that has just been made is empty, and tells of itself when it is written; a link is whole.
         */
        changed = event->mask & (IN_Q_OVERFLOW | IN_CLOSE_WRITE | IN_MOVED_TO) || is_link(place->path);
        /* The way may lead elsewhere now. What could be watched before, and cannot be now, is not there. */
        if (!(event->mask & IN_CLOSE_WRITE))
                (void) find_way(watch);
        if (changed || (!is_last && has_content(watch->path)))
                watch->changed(watch->userdata);
        return 0;
}

/* ---- the way to the file ---- */

/* name in directory, which is "" or ends with a slash. *ret_target: where a link leads, on the heap; else
 * NULL. */
static int watch_place(struct file_watch *watch, struct way *way, const char *directory, const char *name,
                bool is_end, char **ret_target) {
        char target[PATH_MAX];
        struct place *place;
        ssize_t n;
        int r;

        if (way->n == PLACES_MAX)
                return -ELOOP;
        place = &way->places[way->n];
        *place = (struct place){ .watch = watch, .path = text_printf("%s%s", directory, name) };
        if (!place->path)
                return -ENOMEM;
        way->n++;
        place->name = place->path + strlen(directory);
        r = sd_event_add_inotify(watch->event, &place->source, *directory ? directory : ".",
                        IN_MOVED_TO | IN_CREATE | IN_ONLYDIR | (is_end ? IN_CLOSE_WRITE : 0), on_event,
                        place);
        /* After that, so that no change is missed. */
        n = readlink(place->path, target, sizeof(target) - 1);
        place->is_last = is_end && n < 0;
        if (n < 0)
                return r;
        target[n] = '\0';
        *ret_target = strdup(target);
        return *ret_target ? r : -ENOMEM;
}

/* The first name of the rest of the way is watched and taken off it, or replaced by what it leads to.
 * *directory is where the rest begins. 0; 1: that was the last one; or why the file itself cannot be
 * watched. */
static int take_step(struct file_watch *watch, struct way *way, char **directory, char **rest) {
        _cleanup_(freep) char *target = NULL, *name = NULL;
        const char *behind = *rest + strspn(*rest, "/");
        bool from_root = behind > *rest, is_end;
        char *next_directory, *next_rest;
        size_t n = strcspn(behind, "/");
        int r = 0;

        name = strndup(behind, n);
        behind += n;
        is_end = behind[strspn(behind, "/")] == '\0';
        if (from_root) {
                free(*directory);
                *directory = strdup("/");
        }
        if (!name || !*directory)
                return -ENOMEM;
        if (n > 0 && !streq(name, ".") && !streq(name, ".."))
                r = watch_place(watch, way, *directory, name, is_end, &target);
        /* What we may not read of the way, we do not hear of; of the file we must. */
        if (r == -ENOMEM || r == -ELOOP || (r < 0 && is_end && !target))
                return r;
        if (is_end && !target)
                return 1;
        behind += strspn(behind, "/");
        next_rest = target ? text_printf("%s%s%s", target, is_end ? "" : "/", behind) : strdup(behind);
        next_directory = target || n == 0 ? strdup(*directory) : text_printf("%s%s/", *directory, name);
        free(*rest);
        free(*directory);
        *rest = next_rest;
        *directory = next_directory;
        return next_rest && next_directory ? 0 : -ENOMEM;
}

/* All names by which the path leads to the file, as far as they are there. The former ones are let go of
 * after that, so that nothing is missed. */
static int find_way(struct file_watch *watch) {
        _cleanup_(freep) char *directory = strdup(""), *rest = strdup(watch->path);
        _cleanup_(way_freep) struct way *way = calloc(1, sizeof(*way));
        int r = directory && rest && way ? 0 : -ENOMEM;

        while (r == 0)
                r = take_step(watch, way, &directory, &rest);
        if (way) {
                way_free(watch->way);
                watch->way = TAKE_PTR(way);
        }
        return r < 0 ? r : 0;
}

/* ---- life ---- */

int file_watch_new(struct file_watch **ret, sd_event *event, const char *path,
                void (*changed)(void *userdata), void *userdata) {
        _cleanup_(file_watch_freep) struct file_watch *watch = calloc(1, sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        watch->event = sd_event_ref(event);
        watch->changed = changed;
        watch->userdata = userdata;
        watch->path = strdup(path);
        if (!watch->path)
                return -ENOMEM;
        r = find_way(watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

struct file_watch *file_watch_free(struct file_watch *watch) {
        if (!watch)
                return NULL;
        way_free(watch->way);
        sd_event_unref(watch->event);
        free(watch->path);
        free(watch);
        return NULL;
}
