/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy-store.h"

#include "file.h"
#include "text.h"

#include <fcntl.h>
#include <gcrypt.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Readable by the services that it is for, which are not root. */
#define FILE_MODE      0644
#define DIRECTORY_MODE 0755

/* ---- what is where ---- */

static char *store_path(const struct config *config, const struct config_policy *policy) {
        return text_printf("%s/%s/policy.bin", config->policy.store, policy->name);
}

static char *book_path(const struct config *config) {
        return text_printf("%s/" POLICY_BOOK_FILE, config->policy.store);
}

/* The directory and those above it. */
static int make_directories(const char *path) {
        _cleanup_(freep) char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (char *slash = copy + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                if (mkdir(copy, DIRECTORY_MODE) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return mkdir(copy, DIRECTORY_MODE) < 0 && errno != EEXIST ? -errno : 0;
}

/* ---- SHA-256 ---- */

static int prepare_gcrypt(void) {
        if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
                return 0;
        if (!gcry_check_version("1.10.0"))
                return -EOPNOTSUPP;
        gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
        return 0;
}

static void sha_of(const void *data, size_t size, char sha[static POLICY_SHA_SIZE]) {
        uint8_t digest[32];

        gcry_md_hash_buffer(GCRY_MD_SHA256, digest, data ?: "", size);
        for (size_t i = 0; i < sizeof(digest); i++)
                snprintf(sha + 2 * i, 3, "%02x", digest[i]);
}

/* Whether a file is there and has this content. */
static bool is_installed(const char *path, const void *data, size_t size) {
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        size_t n;

        if (stat(path, &st) < 0 || (uint64_t) st.st_size != size)
                return false;
        return text_read_file(path, size, &text, &n) >= 0 && n == size && memcmp(text, data ?: "", n) == 0;
}

/* ---- installing ---- */

static int write_book(const struct config *config, const struct config_policy *policy, const char *sha,
                char **ret_place) {
        _cleanup_(freep) char *path = book_path(config), *old = NULL, *new = NULL;
        size_t n = 0;
        int r;

        if (!path)
                return -ENOMEM;
        r = text_read_file(path, POLICY_BOOK_BYTES_MAX, &old, &n);
        new = policy_book_update(r < 0 ? "" : old, r < 0 ? 0 : n, config, policy, sha);
        if (!new)
                return -ENOMEM;
        if (r >= 0 && strlen(new) == n && memcmp(old, new, n) == 0)
                return 0;
        r = file_write_atomic(AT_FDCWD, path, new, strlen(new), FILE_MODE);
        if (r < 0)
                *ret_place = TAKE_PTR(path);
        return r;
}

/* 1: installed; 0: it is there. */
static int put(char *path, const void *data, size_t size, char **ret_place) {
        int r;

        if (is_installed(path, data, size))
                return 0;
        r = file_write_atomic(AT_FDCWD, path, data, size, FILE_MODE);
        if (r < 0)
                *ret_place = strdup(path);
        return r < 0 ? r : 1;
}

static int install(const struct config *config, const struct config_policy *policy, const void *data,
                size_t size, const char *sha, char **ret_place) {
        _cleanup_(freep) char *path = store_path(config, policy), *directory = NULL;
        int r, installed = 0;

        if (!path)
                return -ENOMEM;
        directory = strndup(path, strlen(path) - strlen("/policy.bin"));
        if (!directory)
                return -ENOMEM;
        r = make_directories(directory);
        if (r < 0) {
                *ret_place = TAKE_PTR(directory);
                return r;
        }
        if (!isempty(policy->destination))
                installed = put(policy->destination, data, size, ret_place);
        if (installed < 0)
                return installed;
        r = put(path, data, size, ret_place);
        if (r < 0)
                return r;
        installed = installed || r;
        r = write_book(config, policy, sha, ret_place);
        return r < 0 ? r : installed;
}

static int map(int fd, void **ret, size_t *ret_size) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        *ret_size = (size_t) st.st_size;
        /* Nobody else has the file, so nobody makes it shorter under the mapping. */
        if (st.st_size > 0)
                *ret = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, fd, 0);
        return *ret == MAP_FAILED ? -errno : 0;
}

int policy_install(const struct config *config, const struct config_policy *policy, int fd,
                char sha[static POLICY_SHA_SIZE], char **ret_place) {
        void *data = NULL;
        size_t size = 0;
        int r;

        *ret_place = NULL;
        r = prepare_gcrypt();
        if (r >= 0)
                r = map(fd, &data, &size);
        if (r < 0)
                return r;
        sha_of(data, size, sha);
        r = install(config, policy, data, size, sha, ret_place);
        if (size > 0)
                (void) munmap(data, size);
        return r;
}

/* ---- the store ---- */

static int remove_leftovers(const struct config *config, const struct config_policy *policy) {
        _cleanup_(freep) char *path = store_path(config, policy);
        int r;

        if (!path)
                return -ENOMEM;
        r = file_remove_leftover(AT_FDCWD, path);
        if (r >= 0 && !isempty(policy->destination))
                r = file_remove_leftover(AT_FDCWD, policy->destination);
        return r;
}

int policy_prepare_store(const struct config *config) {
        _cleanup_(freep) char *path = book_path(config), *place = NULL;
        int r, q;

        if (!path)
                return -ENOMEM;
        r = make_directories(config->policy.store);
        if (r >= 0)
                r = file_remove_leftover(AT_FDCWD, path);
        for (size_t i = 0; i < config->policy.n_policies; i++) {
                q = remove_leftovers(config, &config->policy.policies[i]);
                r = r < 0 ? r : q;
        }
        return r < 0 ? r : write_book(config, NULL, NULL, &place);
}

int policy_open_temporary(const struct config *config) {
        _cleanup_(freep) char *path = text_printf("%s/.incoming", config->policy.store);
        int fd;

        if (!path)
                return -ENOMEM;
        /* A crash between the two steps leaves one at most, and here it goes. */
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        if (unlink(path) < 0) {
                int r = -errno;

                close(fd);
                return r;
        }
        return fd;
}
