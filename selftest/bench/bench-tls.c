/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of what wolfSSL can do is left when a byte stream stands before it: one TLS 1.3 connection over a
 * socket pair, one process and one core for each side, the same certificates and the same AES. And what an
 * idle connection costs in memory.
 *
 *      contrib/make-certs DIR admin-vm=127.0.0.1 app-vm=127.0.0.1
 *      bench-tls DIR [MEGABYTES [ROUNDS]]
 */
#include "bytestream.h"
#include "tls-internal.h"

#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#define CHUNK ((size_t) 64 * 1024)
#define IDLE  100

static void check(bool fine, const char *what) {
        if (fine)
                return;
        fprintf(stderr, "bench-tls: %s: %m\n", what);
        exit(EXIT_FAILURE);
}

static struct tls_context *load(const char *dir, const char *member) {
        char paths[3][512];
        static const char *const files[] = { "ca-cert.pem", "cert.pem", "key.pem" };
        struct tls_context *tls = NULL;
        char *error = NULL;

        for (int i = 0; i < 3; i++)
                snprintf(paths[i], sizeof(paths[i]), "%s/%s/%s", dir, member, files[i]);
        if (tls_context_new(&tls, paths[0], paths[1], paths[2], &error) < 0) {
                fprintf(stderr, "bench-tls: %s\n", error);
                exit(EXIT_FAILURE);
        }
        return tls;
}

static void pin(int core) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(core, &set);
        (void) sched_setaffinity(0, sizeof(set), &set);
}

/* Megabytes a second, and what it took of the process's own time. */
static double rate(size_t bytes, uint64_t begin_usec) {
        return (double) bytes / (double) (now_usec(CLOCK_MONOTONIC) - begin_usec);
}

/* --- wolfSSL alone, on blocking sockets --- */

static WOLFSSL *raw_connect(struct tls_context *tls, struct tls_aes *aes, int fd, bool server) {
        WOLFSSL *ssl = wolfSSL_new(tls_context_wolfssl(tls, server));

        tls_aes_enter(aes);
        check(ssl && wolfSSL_set_fd(ssl, fd) == WOLFSSL_SUCCESS, "wolfSSL_set_fd");
        check((server ? wolfSSL_accept(ssl) : wolfSSL_connect(ssl)) == WOLFSSL_SUCCESS, "raw handshake");
        return ssl;
}

static void raw_send(struct tls_context *tls, int fd, size_t total) {
        static char data[CHUNK];
        struct tls_aes aes = {};
        WOLFSSL *ssl = raw_connect(tls, &aes, fd, false);

        for (size_t n = 0; n < total; n += sizeof(data))
                check(wolfSSL_write(ssl, data, sizeof(data)) == sizeof(data), "wolfSSL_write");
        wolfSSL_free(ssl);
        tls_aes_clear(&aes);
}

static double raw_receive(struct tls_context *tls, int fd, size_t total) {
        static char data[CHUNK];
        struct tls_aes aes = {};
        WOLFSSL *ssl = raw_connect(tls, &aes, fd, true);
        uint64_t begin = now_usec(CLOCK_MONOTONIC);
        double result;

        for (size_t n = 0; n < total;) {
                int k = wolfSSL_read(ssl, data, sizeof(data));

                check(k > 0, "wolfSSL_read");
                n += (size_t) k;
        }
        result = rate(total, begin);
        wolfSSL_free(ssl);
        tls_aes_clear(&aes);
        return result;
}

/* --- byte streams --- */

struct side {
        sd_event *event;
        struct bytestream *stream;
        size_t done, total;
        uint64_t begin_usec;
        bool sends;
};

static void send_more(struct side *side) {
        static char data[CHUNK];

        while (side->done < side->total && bytestream_pending(side->stream) < BYTESTREAM_HIGH) {
                check(bytestream_write(side->stream, data, sizeof(data)) == 0, "bytestream_write");
                side->done += sizeof(data);
                check(bytestream_flush(side->stream) == 0, "bytestream_flush");
        }
        if (side->done >= side->total && bytestream_pending(side->stream) == 0)
                sd_event_exit(side->event, 0);
        else if (side->done >= side->total)
                bytestream_tell_empty(side->stream);
}

static void on_ready(struct bytestream *stream, void *userdata) {
        struct side *side = userdata;

        side->begin_usec = now_usec(CLOCK_MONOTONIC);
        if (side->sends)
                send_more(side);
}

static void on_readable(struct bytestream *stream, void *userdata) {
        static char data[CHUNK];
        struct side *side = userdata;
        ssize_t n;

        while ((n = bytestream_read(stream, data, sizeof(data))) > 0)
                side->done += (size_t) n;
        if (side->done >= side->total)
                sd_event_exit(side->event, 0);
}

static void on_writable(struct bytestream *stream, void *userdata) {
        send_more(userdata);
}

static void on_closed(struct bytestream *stream, int error, const char *reason, void *userdata) {
        fprintf(stderr, "bench-tls: %s\n", reason);
        exit(EXIT_FAILURE);
}

static const struct bytestream_ops ops = {
        .ready = on_ready,
        .readable = on_readable,
        .writable = on_writable,
        .closed = on_closed,
};

static void stream_send(struct tls_context *tls, const struct rpc_address *address, size_t total) {
        struct side side = { .total = total, .sends = true };

        check(sd_event_new(&side.event) >= 0, "sd_event_new");
        check(bytestream_new_connecting(&side.stream, side.event, address, tls, "admin-vm", USEC_INFINITY,
                              &ops, &side) == 0,
                        "bytestream_new_connecting");
        sd_event_loop(side.event);
        bytestream_free(side.stream);
        sd_event_unref(side.event);
}

static double stream_receive(struct tls_context *tls, int fd, size_t total) {
        struct side side = { .total = total };
        double result;

        check(sd_event_new(&side.event) >= 0, "sd_event_new");
        check(bytestream_new_accepted(&side.stream, side.event, fd, tls, USEC_INFINITY, &ops, &side) == 0,
                        "bytestream_new_accepted");
        sd_event_loop(side.event);
        result = rate(total, side.begin_usec);
        bytestream_free(side.stream);
        sd_event_unref(side.event);
        return result;
}

/* --- one round --- */

static int listen_at(struct rpc_address *address, const char *text) {
        const char *error;
        int fd;

        check(rpc_address_parse(address, text, &error) == 0, "address");
        fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(fd >= 0 && bind(fd, &address->any, address->length) == 0 && listen(fd, IDLE) == 0 &&
                                        getsockname(fd, &address->any, &address->length) == 0,
                        "listen");
        return fd;
}

static uint64_t cpu_usec(const struct rusage *usage) {
        return (uint64_t) (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * USEC_PER_SEC +
                        (uint64_t) (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

/* By the clock, and by the CPU time of the side that took more: what a machine that is busy otherwise leaves
 * alone. */
struct result {
        double by_clock, by_cpu;
};

static struct result measure(
                struct tls_context *server, struct tls_context *client, bool raw, size_t total) {
        struct rusage before, after, sender;
        struct rpc_address address;
        int listener = listen_at(&address, "@givc-bench-tls"), fd, status;
        struct result result;
        pid_t child;

        child = fork();
        check(child >= 0, "fork");
        if (child == 0) {
                close(listener);
                pin(1);
                if (raw) {
                        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                        check(connect(fd, &address.any, address.length) == 0, "connect");
                        raw_send(client, fd, total);
                } else
                        stream_send(client, &address, total);
                _exit(0);
        }
        pin(0);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        close(listener);
        check(fd >= 0, "accept");
        getrusage(RUSAGE_SELF, &before);
        result.by_clock = raw ? raw_receive(server, fd, total) : stream_receive(server, fd, total);
        getrusage(RUSAGE_SELF, &after);
        if (raw)
                close(fd);
        check(wait4(child, &status, 0, &sender) == child && status == 0, "the sender");
        result.by_cpu = (double) total /
                        (double) MAX(cpu_usec(&after) - cpu_usec(&before), cpu_usec(&sender));
        return result;
}

static void keep_best(struct result *best, struct result result) {
        best->by_clock = MAX(best->by_clock, result.by_clock);
        best->by_cpu = MAX(best->by_cpu, result.by_cpu);
}

/* --- memory --- */

static void idle_ready(struct bytestream *stream, void *userdata) {
        unsigned *n = userdata;

        (*n)++;
}

static void idle_readable(struct bytestream *stream, void *userdata) {
        char data[16];

        (void) bytestream_read(stream, data, sizeof(data));
}

static const struct bytestream_ops idle_ops = {
        .ready = idle_ready,
        .readable = idle_readable,
        .closed = on_closed,
};

/* Bytes on the heap for each of two ends of an idle connection, after the handshake. */
static double measure_idle(struct tls_context *server, struct tls_context *client) {
        struct bytestream *streams[2 * IDLE];
        struct rpc_address address;
        int listener = listen_at(&address, "@givc-bench-tls-idle");
        struct mallinfo2 before, after;
        sd_event *event;
        unsigned ready = 0;

        check(sd_event_new(&event) >= 0, "sd_event_new");
        before = mallinfo2();
        for (unsigned i = 0; i < IDLE; i++) {
                check(bytestream_new_connecting(&streams[2 * i], event, &address, client, "admin-vm",
                                      USEC_INFINITY, &idle_ops, &ready) == 0,
                                "bytestream_new_connecting");
                check(bytestream_new_accepted(&streams[2 * i + 1], event,
                                      accept4(listener, NULL, NULL, SOCK_CLOEXEC), server, USEC_INFINITY,
                                      &idle_ops, &ready) == 0,
                                "bytestream_new_accepted");
                while (ready < 2 * (i + 1))
                        check(sd_event_run(event, USEC_PER_SEC) > 0, "sd_event_run");
                if (i == 0) /* what is allocated once */
                        before = mallinfo2();
        }
        while (sd_event_run(event, 0) > 0)
                ;
        after = mallinfo2();
        for (unsigned i = 0; i < 2 * IDLE; i++)
                bytestream_free(streams[i]);
        close(listener);
        sd_event_unref(event);
        return (double) (after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / (2 * (IDLE - 1));
}

int main(int argc, char *argv[]) {
        size_t total = (argc > 2 ? strtoul(argv[2], NULL, 10) : 512) * 1000 * 1000 / CHUNK * CHUNK;
        unsigned rounds = argc > 3 ? (unsigned) strtoul(argv[3], NULL, 10) : 5;
        struct result raw = {}, ours = {};
        struct tls_context *server, *client;

        if (argc < 2) {
                fprintf(stderr, "Usage: %s CERTIFICATES [MEGABYTES [ROUNDS]]\n", argv[0]);
                return EXIT_FAILURE;
        }
        server = load(argv[1], "admin-vm");
        client = load(argv[1], "app-vm");

        /* In turns, and the best of each: whatever else runs here disturbs both alike. */
        for (unsigned i = 0; i < rounds; i++) {
                keep_best(&raw, measure(server, client, true, total));
                keep_best(&ours, measure(server, client, false, total));
        }
        printf("wolfSSL alone:     %7.0f MB/s, %7.0f MB per second of CPU\n", raw.by_clock, raw.by_cpu);
        printf("byte stream:       %7.0f MB/s, %7.0f MB per second of CPU\n", ours.by_clock, ours.by_cpu);
        printf("ratio:             %7.2f       %7.2f\n", ours.by_clock / raw.by_clock,
                        ours.by_cpu / raw.by_cpu);
        printf("idle connection:   %7.0f bytes of heap for each end\n", measure_idle(server, client));

        tls_context_unref(server);
        tls_context_unref(client);
        return EXIT_SUCCESS;
}
