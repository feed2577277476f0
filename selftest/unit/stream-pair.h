/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Two byte streams, one the other's peer, on one loop: what test-bytestream.c and test-tls*.c play with. And
 * certificates, which are there for every test of who includes this.
 */

#include "buffer.h"
#include "bytestream.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/wait.h>

/* Where the suite's certificates are (tls-certs), made once for all tests. */
#define CERTS_VARIABLE "TEST_CERTS"

/* How long anything here may take before the test has failed. */
#define PATIENCE_USEC (20 * USEC_PER_SEC)

struct end {
        struct bytestream *stream;
        struct buffer got;
        unsigned reads; /* what it has read, in order */
        bool ready, eof, closed;
        int error;
        char reason[256];
        unsigned n_writable;
        /* Instead of reading everything, and instead of only counting; may free the stream. */
        void (*on_ready)(struct end *end);
        void (*on_readable)(struct end *end);
        void (*on_writable)(struct end *end);
        void (*on_closed)(struct end *end);
};

static inline void end_clear(struct end *end) {
        end->stream = bytestream_free(end->stream);
        buffer_clear(&end->got);
}

static inline void read_all(struct end *end) {
        char data[16384];
        ssize_t n;

        while ((n = bytestream_read(end->stream, data, end->reads % 3 == 0 ? 1000 : sizeof(data))) > 0) {
                /* Now and then there is no time for all of it. */
                size_t taken = ++end->reads % 7 < 2 ? (size_t) n / 3 : (size_t) n;

                cr_assert(buffer_append(&end->got, data, taken) == 0);
                if (taken == (size_t) n)
                        continue;
                cr_assert(bytestream_unread(end->stream, data + taken, (size_t) n - taken) == 0);
                return;
        }
        if (n == 0)
                end->eof = true;
}

static void end_ready(struct bytestream *stream, void *userdata) {
        struct end *end = userdata;

        cr_assert(!end->ready && !end->closed);
        end->ready = true;
        if (end->on_ready)
                end->on_ready(end);
}

static void end_readable(struct bytestream *stream, void *userdata) {
        struct end *end = userdata;

        cr_assert(end->ready && !end->closed);
        if (end->on_readable)
                end->on_readable(end);
        else
                read_all(end);
}

static void end_writable(struct bytestream *stream, void *userdata) {
        struct end *end = userdata;

        cr_assert(end->ready && !end->closed);
        cr_assert(bytestream_pending(stream) < BYTESTREAM_LOW);
        end->n_writable++;
        if (end->on_writable)
                end->on_writable(end);
}

static void end_closed(struct bytestream *stream, int error, const char *reason, void *userdata) {
        struct end *end = userdata;

        cr_assert(!end->closed);
        cr_assert(error < 0);
        end->closed = true;
        end->error = error;
        snprintf(end->reason, sizeof(end->reason), "%s", reason);
        if (end->on_closed)
                end->on_closed(end);
}

static const struct bytestream_ops end_ops = {
        .ready = end_ready,
        .readable = end_readable,
        .writable = end_writable,
        .closed = end_closed,
};

static inline sd_event *new_loop(void) {
        sd_event *event;

        cr_assert(sd_event_new(&event) >= 0);
        return event;
}

/* Turns the loop until the condition holds. */
#define RUN_UNTIL(event, condition)                                                                         \
        do {                                                                                                \
                uint64_t _deadline = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;                             \
                while (!(condition)) {                                                                      \
                        cr_assert(now_usec(CLOCK_MONOTONIC) < _deadline, "in vain: " #condition);           \
                        cr_assert(sd_event_run(event, USEC_PER_SEC) >= 0);                                  \
                }                                                                                           \
        } while (false)

/* Turns the loop as long as there is something to do at once. */
static inline void run_idle(sd_event *event) {
        for (int i = 0; i < 10000; i++)
                if (sd_event_run(event, 0) == 0)
                        return;
        cr_assert_fail("the loop does not come to rest");
}

/* A socket that listens on a loopback address, and its address. */
static inline int listen_on(const char *text, struct rpc_address *ret) {
        const char *error;
        int fd;

        cr_assert(rpc_address_parse(ret, text, &error) == 0);
        fd = socket(ret->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert(fd >= 0);
        cr_assert(bind(fd, &ret->any, ret->length) == 0, "bind: %m");
        cr_assert(listen(fd, 8) == 0);
        cr_assert(getsockname(fd, &ret->any, &ret->length) == 0);
        return fd;
}

/* Connects client to server over a socket at address; tls NULL: in clear. */
static inline void connect_ends_at(sd_event *event, const char *address_text, struct end *server,
                struct tls_context *server_tls, struct end *client, struct tls_context *client_tls,
                const char *server_name) {
        struct rpc_address address;
        int listener, fd;

        listener = listen_on(address_text, &address);
        cr_assert(bytestream_new_connecting(&client->stream, event, &address, client_tls, server_name,
                                  PATIENCE_USEC, &end_ops, client) == 0);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(fd >= 0);
        close(listener);
        cr_assert(bytestream_new_accepted(&server->stream, event, fd, server_tls, PATIENCE_USEC, &end_ops,
                                  server) == 0);
}

static inline void connect_ends(sd_event *event, struct end *server, struct tls_context *server_tls,
                struct end *client, struct tls_context *client_tls, const char *server_name) {
        connect_ends_at(event, "127.0.0.1:0", server, server_tls, client, client_tls, server_name);
}

/* A server's stream, and the other end of its socket, for what no client would send. */
static inline int accept_raw(
                sd_event *event, struct end *server, struct tls_context *tls, uint64_t timeout_usec) {
        int fds[2];

        cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        cr_assert(bytestream_new_accepted(
                                  &server->stream, event, fds[0], tls, timeout_usec, &end_ops, server) == 0);
        return fds[1];
}

/* --- certificates --- */

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static inline void remove_certs(void) {
        const char *dir = getenv(CERTS_VARIABLE);

        if (dir)
                nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Runs in the process that starts the tests, so that they share what it makes. */
static inline void make_certs(void) {
        static char dir[] = "/tmp/test-certs-XXXXXX";
        char command[1024];

        if (!mkdtemp(dir) || setenv(CERTS_VARIABLE, dir, true) < 0)
                abort();
        snprintf(command, sizeof(command), "%s/tls-certs %s %s >%s/log 2>&1 || { cat %s/log >&2; exit 1; }",
                        TLS_CERTS_DIR, MAKE_CERTS, dir, dir, dir);
        if (system(command) != 0) {
                remove_certs();
                fputs("The certificates for the tests could not be made.\n", stderr);
                exit(EXIT_FAILURE);
        }
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
        make_certs();
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
        remove_certs();
}

static inline const char *cert_path(const char *name, const char *file) {
        static char paths[64][256]; /* more than any test holds at a time */
        static unsigned i;
        char *path = paths[i++ % ELEMENTSOF(paths)];

        snprintf(path, sizeof(paths[0]), "%s/%s/%s", getenv(CERTS_VARIABLE), name, file);
        return path;
}

static inline struct tls_context *load_tls(const char *name) {
        _cleanup_(freep) char *error = NULL;
        struct tls_context *tls = NULL;

        cr_assert(tls_context_new(&tls, cert_path(name, "ca-cert.pem"), cert_path(name, "cert.pem"),
                                  cert_path(name, "key.pem"), &error) == 0,
                        "%s", error);
        return tls;
}

/* --- both ends, with the certificates of two members (NULL: in clear) --- */

struct fixture {
        sd_event *event;
        struct tls_context *server_tls, *client_tls;
        struct end server, client;
};

static inline void fixture_init(struct fixture *f, const char *server, const char *client) {
        *f = (struct fixture){
                .event = new_loop(),
                .server_tls = server ? load_tls(server) : NULL,
                .client_tls = client ? load_tls(client) : NULL,
        };
}

static inline void fixture_clear(struct fixture *f) {
        end_clear(&f->client);
        end_clear(&f->server);
        tls_context_unref(f->server_tls);
        tls_context_unref(f->client_tls);
        sd_event_unref(f->event);
}

/* Connects with the two members' certificates until both have come to an end of the handshake. */
static inline void shake_hands(
                struct fixture *f, const char *server, const char *client, const char *server_name) {
        fixture_init(f, server, client);
        connect_ends(f->event, &f->server, f->server_tls, &f->client, f->client_tls, server_name);
        RUN_UNTIL(f->event, (f->server.ready || f->server.closed) && (f->client.ready || f->client.closed));
}
