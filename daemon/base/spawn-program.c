/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spawn-program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

static void actions_destroyp(posix_spawn_file_actions_t *actions) {
        posix_spawn_file_actions_destroy(actions);
}

static void attributes_destroyp(posix_spawnattr_t *attributes) {
        posix_spawnattr_destroy(attributes);
}

/*
 * Copies above the standard ones: were a given descriptor 0, 1 or 2 itself, putting the first stream in
 * place could overwrite what is to become the second. The copies are close-on-exec.
 */
static int duplicate_streams(const struct child_spec *spec, int streams[static 3]) {
        const int given[3] = { spec->stdin_fd, spec->stdout_fd, spec->stderr_fd };

        for (int i = 0; i < 3; i++) {
                streams[i] = given[i] >= 0 ? fcntl(given[i], F_DUPFD_CLOEXEC, 3) : -1;
                if (given[i] >= 0 && streams[i] < 0)
                        return -errno;
        }
        return 0;
}

/* posix_spawn's functions return positive error numbers. */
static int add_actions(posix_spawn_file_actions_t *actions, const struct child_spec *spec,
                const int streams[static 3]) {
        int r;

        for (int i = 0; i < 3; i++) {
                if (streams[i] >= 0)
                        r = posix_spawn_file_actions_adddup2(actions, streams[i], i);
                else
                        r = posix_spawn_file_actions_addopen(
                                        actions, i, "/dev/null", i == 0 ? O_RDONLY : O_WRONLY, 0);
                if (r != 0)
                        return -r;
        }
        r = posix_spawn_file_actions_addclosefrom_np(actions, 3);
        if (r != 0)
                return -r;
        return -posix_spawn_file_actions_addchdir_np(actions, spec->directory ?: "/");
}

static int set_attributes(posix_spawnattr_t *attributes) {
        sigset_t none, all;
        int r;

        sigemptyset(&none);
        sigfillset(&all);
        r = posix_spawnattr_setflags(
                        attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (r != 0)
                return -r;
        r = posix_spawnattr_setpgroup(attributes, 0);
        if (r != 0)
                return -r;
        r = posix_spawnattr_setsigmask(attributes, &none);
        if (r != 0)
                return -r;
        return -posix_spawnattr_setsigdefault(attributes, &all);
}

static int spawn_with_streams(pid_t *ret, const struct child_spec *spec, const int streams[static 3]) {
        _cleanup_(actions_destroyp) posix_spawn_file_actions_t actions = {};
        _cleanup_(attributes_destroyp) posix_spawnattr_t attributes = {};
        int r;

        /*
         * Neither allocates, nor fails, in glibc; what they are initialised to is as valid to destroy as
         * zeros.
         */
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);

        r = add_actions(&actions, spec, streams);
        if (r < 0)
                return r;
        r = set_attributes(&attributes);
        if (r < 0)
                return r;
        return -posix_spawn(ret, spec->path, &actions, &attributes, spec->argv, spec->environment);
}

int spawn_program(pid_t *ret, const struct child_spec *spec) {
        int streams[3] = { -1, -1, -1 };
        int r;

        r = duplicate_streams(spec, streams);
        if (r >= 0)
                r = spawn_with_streams(ret, spec, streams);
        for (int i = 0; i < 3; i++)
                close_fd(streams[i]);
        return r;
}
