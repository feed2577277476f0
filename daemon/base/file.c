/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "file.h"

#include "text.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static int write_all(int fd, const void *data, size_t size) {
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

/* A file of ours at that place, with what it is to hold, on the disk. */
static int write_new(int directory, const char *name, const void *data, size_t size, mode_t mode) {
        _cleanup_(closep) int fd = -1;
        int r;

        /* Not what somebody else has put there, be it a link: ours. */
        if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = write_all(fd, data, size);
        if (r >= 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
                r = -errno;
        return r;
}

static int open_directory(int directory_fd, const char *path, const char *name) {
        _cleanup_(freep) char *directory = NULL;
        int fd;

        directory = name == path ? strdup(".") : strndup(path, (size_t) (name - path));
        if (!directory)
                return -ENOMEM;
        fd = openat(directory_fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int file_remove_leftover(int directory_fd, const char *path) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_(freep) char *new = NULL;

        new = text_printf("%.*s.%s.new", (int) (name - path), path, name);
        if (!new)
                return -ENOMEM;
        return unlinkat(directory_fd, new, 0) < 0 && errno != ENOENT && errno != ENOTDIR ? -errno : 0;
}

static int write_and_rename(int directory_fd, const char *path, const void *data, size_t size, mode_t mode,
                unsigned rename_flags) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_(closep) int directory = -1;
        _cleanup_(freep) char *new = NULL;
        int r;

        if (isempty(name))
                return -EISDIR;
        new = text_printf(".%s.new", name);
        if (!new)
                return -ENOMEM;
        directory = open_directory(directory_fd, path, name);
        if (directory < 0)
                return directory;

        r = write_new(directory, new, data, size, mode);
        if (r >= 0 && renameat2(directory, new, directory, name, rename_flags) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(directory, new, 0);
                return r;
        }
        return fsync(directory) < 0 ? -errno : 0;
}

int file_write_atomic(int directory_fd, const char *path, const void *data, size_t size, mode_t mode) {
        return write_and_rename(directory_fd, path, data, size, mode, 0);
}

int file_write_new(int directory_fd, const char *path, const void *data, size_t size, mode_t mode) {
        return write_and_rename(directory_fd, path, data, size, mode, RENAME_NOREPLACE);
}
