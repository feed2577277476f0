/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * To be preloaded (ld.so(8), LD_PRELOAD): makes one call fail, chosen by whoever maps the file that
 * GIVC_FAULTS names, and counts the memory that is in use. The layout of that file is read by faults.py.
 */
#include "util.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* What is counted, and may fail: allocations of memory; system calls on sockets and what becomes of them. */
enum kind {
        KIND_MEMORY,
        KIND_SOCKET,
        KINDS,
};

struct control {
        _Atomic int64_t countdown[KINDS]; /* the call of that kind that fails, from 1; 0: none */
        _Atomic int64_t seen[KINDS];      /* calls so far */
        _Atomic int64_t in_use;           /* blocks of memory */
};

static struct control *control;

/* glibc's own, which need not be looked up: looking up allocates. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *p);

void *malloc(size_t size) _public_;
void *calloc(size_t n, size_t size) _public_;
void *realloc(void *p, size_t size) _public_;
void *reallocarray(void *p, size_t n, size_t size) _public_;
int posix_memalign(void **ret, size_t alignment, size_t size) _public_;
void free(void *p) _public_;

__attribute__((constructor)) static void attach(void) {
        const char *path = getenv("GIVC_FAULTS");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        void *p;

        if (fd < 0)
                return;
        p = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p != MAP_FAILED)
                control = p;
        close(fd);
}

static bool fails(enum kind kind) {
        int64_t countdown;

        if (!control)
                return false;
        atomic_fetch_add(&control->seen[kind], 1);
        countdown = atomic_load(&control->countdown[kind]);
        if (countdown == 0)
                return false;
        return atomic_fetch_sub(&control->countdown[kind], 1) == 1;
}

/* ---- memory ---- */

static void *counted(void *p) {
        if (p && control)
                atomic_fetch_add(&control->in_use, 1);
        return p;
}

static bool out_of_memory(void) {
        if (!fails(KIND_MEMORY))
                return false;
        errno = ENOMEM;
        return true;
}

void *malloc(size_t size) {
        return out_of_memory() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size) {
        return out_of_memory() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size) {
        if (!p)
                return malloc(size);
        if (size == 0) {
                free(p);
                return NULL;
        }
        return out_of_memory() ? NULL : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t n, size_t size) {
        size_t product;

        if (__builtin_mul_overflow(n, size, &product)) {
                errno = ENOMEM;
                return NULL;
        }
        return realloc(p, product);
}

int posix_memalign(void **ret, size_t alignment, size_t size) {
        void *p = out_of_memory() ? NULL : counted(__libc_memalign(alignment, size));

        if (!p)
                return ENOMEM;
        *ret = p;
        return 0;
}

void free(void *p) {
        if (!p)
                return;
        if (control)
                atomic_fetch_sub(&control->in_use, 1);
        __libc_free(p);
}

/* ---- sockets ---- */

/* Looked up at the first call: attach() may come after another library's constructor. */
#define REAL(name)                                                                                          \
        static typeof(name) *real;                                                                          \
                                                                                                            \
        if (!real)                                                                                          \
        real = (typeof(name) *) dlsym(RTLD_NEXT, #name)

#define FAIL_WITH(error)                                                                                    \
        if (fails(KIND_SOCKET)) {                                                                           \
                errno = (error);                                                                            \
                return -1;                                                                                  \
        }

_public_ int socket(int domain, int type, int protocol) {
        REAL(socket);
        FAIL_WITH(EMFILE);
        return real(domain, type, protocol);
}

_public_ int accept4(int fd, __SOCKADDR_ARG address, socklen_t *length, int flags) {
        REAL(accept4);
        FAIL_WITH(EMFILE);
        return real(fd, address, length, flags);
}

_public_ int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length) {
        REAL(connect);
        FAIL_WITH(ENETUNREACH);
        return real(fd, address, length);
}

_public_ int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
        REAL(setsockopt);
        FAIL_WITH(ENOBUFS);
        return real(fd, level, name, value, length);
}

_public_ int getsockname(int fd, __SOCKADDR_ARG address, socklen_t *length) {
        REAL(getsockname);
        FAIL_WITH(ENOBUFS);
        return real(fd, address, length);
}

_public_ int shutdown(int fd, int how) {
        REAL(shutdown);
        FAIL_WITH(ENOTCONN);
        return real(fd, how);
}

_public_ ssize_t send(int fd, const void *p, size_t n, int flags) {
        REAL(send);
        FAIL_WITH(ECONNRESET);
        return real(fd, p, n, flags);
}

_public_ ssize_t recv(int fd, void *p, size_t n, int flags) {
        REAL(recv);
        FAIL_WITH(ECONNRESET);
        return real(fd, p, n, flags);
}

_public_ ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
        REAL(sendmsg);
        FAIL_WITH(ECONNRESET);
        return real(fd, message, flags);
}

_public_ ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
        REAL(recvmsg);
        FAIL_WITH(ECONNRESET);
        return real(fd, message, flags);
}

_public_ int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
        REAL(epoll_ctl);
        FAIL_WITH(ENOSPC);
        return real(epoll, operation, fd, event);
}
