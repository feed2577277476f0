/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Small things that every file uses: cleanup attributes, ownership transfer, time units. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define _cleanup_(f)      __attribute__((cleanup(f)))
#define _printf_(a, b)    __attribute__((format(printf, a, b)))
#define _public_          __attribute__((visibility("default")))
#define _unused_          __attribute__((unused))
#define _must_check_      __attribute__((warn_unused_result))
#define ELEMENTSOF(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b)                                                                                           \
        ({                                                                                                  \
                __typeof__(a) _a = (a);                                                                     \
                __typeof__(b) _b = (b);                                                                     \
                _a < _b ? _a : _b;                                                                          \
        })
#define MAX(a, b)                                                                                           \
        ({                                                                                                  \
                __typeof__(a) _c = (a);                                                                     \
                __typeof__(b) _d = (b);                                                                     \
                _c > _d ? _c : _d;                                                                          \
        })
#define container_of(pointer, type, member)                                                                 \
        ({                                                                                                  \
                const __typeof__(((type *) 0)->member) *_member = (pointer);                                \
                (type *) ((char *) _member - offsetof(type, member));                                       \
        })

/* Gives the value away and leaves NULL (or -1) behind, so that a cleanup attribute lets go of it. */
#define TAKE_PTR(pointer)                                                                                   \
        ({                                                                                                  \
                __typeof__(pointer) *_p = &(pointer);                                                       \
                __typeof__(pointer) _taken = *_p;                                                           \
                *_p = NULL;                                                                                 \
                _taken;                                                                                     \
        })
#define TAKE_FD(fd)                                                                                         \
        ({                                                                                                  \
                int *_p = &(fd);                                                                            \
                int _taken = *_p;                                                                           \
                *_p = -1;                                                                                   \
                _taken;                                                                                     \
        })

/* Defines TYPE *function##p(TYPE **) for _cleanup_(). */
#define DEFINE_CLEANUP(type, function)                                                                      \
        static inline void function##p(type **p) {                                                          \
                if (*p)                                                                                     \
                        function(*p);                                                                       \
        }

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)
#define USEC_INFINITY UINT64_MAX

static inline void freep(void *p) {
        free(*(void **) p);
}

static inline void closep(int *fd) {
        if (*fd >= 0)
                close(*fd);
}

/* Closes and returns -1, errno untouched: fd = close_fd(fd). */
static inline int close_fd(int fd) {
        int saved = errno;

        if (fd >= 0)
                close(fd);
        errno = saved;
        return -1;
}

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

static inline bool isempty(const char *s) {
        return !s || s[0] == '\0';
}

/* s, or "" for NULL. */
static inline const char *strempty(const char *s) {
        return s ?: "";
}

/* s without prefix, or NULL where s does not start with it. */
static inline const char *startswith(const char *s, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static inline bool endswith(const char *s, const char *suffix) {
        size_t n = strlen(s), m = strlen(suffix);

        return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* The clock's reading in microseconds. Durations: CLOCK_MONOTONIC; what is shown to people: CLOCK_REALTIME.
 */
static inline uint64_t now_usec(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / NSEC_PER_USEC;
}

/* a + b, held at USEC_INFINITY. */
static inline uint64_t usec_add(uint64_t a, uint64_t b) {
        uint64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? USEC_INFINITY : sum;
}
