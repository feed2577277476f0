/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "freezer.h"

#include "text.h"

#include <sys/inotify.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

/* cgroup.events has two short lines now; more may come. */
#define EVENTS_FILE_MAX 4096

static char *events_path(const char *control_group) {
        return text_printf(CGROUP_ROOT "%s/cgroup.events", control_group);
}

/* Linux, Documentation/admin-guide/cgroup-v2.rst, "cgroup.events": flat keyed, "frozen 0" or "frozen 1". */
static int read_events(const char *path) {
        _cleanup_(freep) char *text = NULL;
        int r;

        r = text_read_file(path, EVENTS_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        for (const char *line = text; line; line = strchr(line, '\n')) {
                const char *value;

                line += *line == '\n';
                value = startswith(line, "frozen ");
                if (value)
                        return *value == '1';
        }
        return -ENODATA;
}

int freezer_read(const char *control_group) {
        _cleanup_(freep) char *path = NULL;

        path = events_path(control_group);
        return path ? read_events(path) : -ENOMEM;
}

static int on_events(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        struct freezer *freezer = userdata;
        int before = freezer->frozen;

        /* A group that has gone was emptied before, and is frozen no more. */
        freezer->frozen = MAX(read_events(freezer->path), 0);
        if (freezer->frozen != before)
                freezer->changed(freezer->userdata);
        return 0;
}

void freezer_clear(struct freezer *freezer) {
        freezer->source = sd_event_source_disable_unref(freezer->source);
        free(freezer->path);
        freezer->path = NULL;
        freezer->frozen = 0;
}

int freezer_watch(struct freezer *freezer, sd_event *event, const char *control_group,
                void (*changed)(void *userdata), void *userdata) {
        _cleanup_(freep) char *path = NULL;
        int r;

        freezer_clear(freezer);
        freezer->changed = changed;
        freezer->userdata = userdata;

        /* The order matters: first watch, then read. */
        path = events_path(control_group);
        r = path ? sd_event_add_inotify(event, &freezer->source, path, IN_MODIFY, on_events, freezer)
                 : -ENOMEM;
        if (r >= 0)
                r = read_events(path);
        if (r < 0) {
                freezer_clear(freezer);
                freezer->frozen = r;
                return r;
        }
        freezer->path = TAKE_PTR(path);
        freezer->frozen = r;
        return 0;
}
