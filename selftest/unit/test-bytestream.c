/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stream-pair.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

/* What both kinds of stream must do: in clear, and under TLS. */
static void begin(struct fixture *f, bool tls) {
        fixture_init(f, tls ? "admin-vm" : NULL, tls ? "app-vm" : NULL);
}

static void fixture_connect(struct fixture *f) {
        connect_ends(f->event, &f->server, f->server_tls, &f->client, f->client_tls, "admin-vm");
        RUN_UNTIL(f->event, f->server.ready && f->client.ready);
}

static uint8_t pattern(size_t i) {
        return (uint8_t) (i * 31 + (i >> 8) * 7 + (i >> 16));
}

static void check_pattern(const struct buffer *buffer, size_t n) {
        cr_assert(buffer_length(buffer) == n, "%zu of %zu", buffer_length(buffer), n);
        for (size_t i = 0; i < n; i++)
                if ((uint8_t) buffer_bytes(buffer)[i] != pattern(i))
                        cr_assert_fail("byte %zu is wrong", i);
}

/* --- transfer --- */

#define TRANSFER (10 * 1000 * 1000)

struct writer {
        struct end *end;
        uint8_t *data;
        size_t at;
        unsigned turn;
};

static struct writer writers[2];

/* Writes in odd sizes, and stops at HIGH as it should. */
static void write_on(struct writer *w) {
        static const size_t sizes[] = { 1, 9, 100, 5, 16384, 16385, 40000, 3, 16383, 255, 65536, 7777 };

        while (w->at < TRANSFER && bytestream_pending(w->end->stream) < BYTESTREAM_HIGH) {
                size_t n = MIN(sizes[w->turn++ % ELEMENTSOF(sizes)], (size_t) TRANSFER - w->at);

                cr_assert(bytestream_write(w->end->stream, w->data + w->at, n) == 0);
                w->at += n;
                if (w->turn % 5 == 0)
                        cr_assert(bytestream_flush(w->end->stream) == 0);
        }
        cr_assert(bytestream_flush(w->end->stream) == 0);
}

static void transfer_on_writable(struct end *end) {
        write_on(end == writers[0].end ? &writers[0] : &writers[1]);
}

static void transfer_both_ways(bool tls) {
        _cleanup_(freep) uint8_t *data = malloc(TRANSFER);
        struct fixture f;

        for (size_t i = 0; i < TRANSFER; i++)
                data[i] = pattern(i);
        begin(&f, tls);
        fixture_connect(&f);
        writers[0] = (struct writer){ .end = &f.server, .data = data };
        writers[1] = (struct writer){ .end = &f.client, .data = data, .turn = 3 };
        f.server.on_writable = f.client.on_writable = transfer_on_writable;
        write_on(&writers[0]);
        write_on(&writers[1]);
        RUN_UNTIL(f.event,
                        buffer_length(&f.server.got) >= TRANSFER &&
                                        buffer_length(&f.client.got) >= TRANSFER);
        check_pattern(&f.server.got, TRANSFER);
        check_pattern(&f.client.got, TRANSFER);
        cr_assert(bytestream_pending(f.client.stream) == 0);
        run_idle(f.event);
        fixture_clear(&f);
}

Test(bytestream, ten_megabytes_both_ways_in_clear) {
        transfer_both_ways(false);
}

Test(bytestream, ten_megabytes_both_ways_under_tls) {
        transfer_both_ways(true);
}

/* --- the ends of a stream --- */

static void say_goodbye(bool tls) {
        struct fixture f;

        begin(&f, tls);
        fixture_connect(&f);
        cr_assert(bytestream_write(f.client.stream, "last words", 10) == 0);
        f.client.stream = bytestream_free(f.client.stream); /* flushes */
        RUN_UNTIL(f.event, f.server.eof);
        cr_assert(buffer_length(&f.server.got) == 10 && !f.server.closed);
        /* The end is told once, and wakes nobody up again. */
        run_idle(f.event);
        fixture_clear(&f);
}

Test(bytestream, freeing_sends_the_end_in_clear) {
        say_goodbye(false);
}

Test(bytestream, freeing_sends_the_end_under_tls) {
        say_goodbye(true);
}

Test(bytestream, after_the_peer_has_ended_its_side_we_can_still_write) {
        struct fixture f;
        struct end server = {};
        int fd;
        char data[16];

        begin(&f, false);
        fd = accept_raw(f.event, &server, NULL, PATIENCE_USEC);
        cr_assert(write(fd, "question", 8) == 8);
        cr_assert(shutdown(fd, SHUT_WR) == 0);
        RUN_UNTIL(f.event, server.eof);
        cr_assert(bytestream_write(server.stream, "answer", 6) == 0);
        cr_assert(bytestream_flush(server.stream) == 0);
        cr_assert(read(fd, data, sizeof(data)) == 6);
        close(fd);
        end_clear(&server);
        fixture_clear(&f);
}

Test(bytestream, a_tls_stream_cut_short_is_an_error) {
        struct fixture f;

        begin(&f, true);
        fixture_connect(&f);
        cr_assert(shutdown(bytestream_fd(f.client.stream), SHUT_WR) == 0);
        RUN_UNTIL(f.event, f.server.closed);
        cr_assert(f.server.error == -ECONNRESET);
        cr_assert_str_eq(f.server.reason, "connection ended without TLS close_notify");
        fixture_clear(&f);
}

Test(bytestream, a_reset_is_an_error) {
        struct linger linger = { .l_onoff = 1 };
        struct fixture f;
        struct rpc_address address;
        int fd, listener;

        begin(&f, false);
        listener = listen_on("127.0.0.1:0", &address);
        cr_assert(bytestream_new_connecting(&f.client.stream, f.event, &address, NULL, NULL, PATIENCE_USEC,
                                  &end_ops, &f.client) == 0);
        RUN_UNTIL(f.event, f.client.ready);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        close(fd);
        close(listener);
        RUN_UNTIL(f.event, f.client.closed);
        cr_assert(f.client.error == -ECONNRESET);
        cr_assert(bytestream_write(f.client.stream, "x", 1) == -ECONNRESET);
        cr_assert(bytestream_read(f.client.stream, (char[1]){}, 1) == -ECONNRESET);
        run_idle(f.event);
        fixture_clear(&f);
}

/* --- connecting --- */

Test(bytestream, nobody_listens) {
        struct rpc_address address;
        struct fixture f;
        int fd;

        begin(&f, false);
        fd = listen_on("127.0.0.1:0", &address);
        close(fd);
        cr_assert(bytestream_new_connecting(&f.client.stream, f.event, &address, NULL, NULL, PATIENCE_USEC,
                                  &end_ops, &f.client) == 0);
        cr_assert(!f.client.closed);
        RUN_UNTIL(f.event, f.client.closed);
        cr_assert(f.client.error == -ECONNREFUSED);
        cr_assert_str_eq(f.client.reason, "Connection refused");
        fixture_clear(&f);
}

Test(bytestream, an_error_known_at_once_is_told_later) {
        struct rpc_address address;
        const char *error;
        struct fixture f;

        begin(&f, false);
        cr_assert(rpc_address_parse(&address, "/nowhere/at/all", &error) == 0);
        cr_assert(bytestream_new_connecting(&f.client.stream, f.event, &address, NULL, NULL, PATIENCE_USEC,
                                  &end_ops, &f.client) == 0);
        cr_assert(!f.client.closed);
        RUN_UNTIL(f.event, f.client.closed);
        cr_assert(f.client.error == -ENOENT);
        fixture_clear(&f);
}

Test(bytestream, a_host_that_does_not_answer_is_given_up) {
        struct rpc_address address;
        struct fixture f;
        int listener, fillers[3];

        /* A full backlog drops what comes: the same as a dead address. */
        begin(&f, false);
        listener = listen_on("127.0.0.1:0", &address);
        cr_assert(listen(listener, 0) == 0);
        for (size_t i = 0; i < ELEMENTSOF(fillers); i++) {
                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void) !connect(fillers[i], &address.any, address.length);
        }
        cr_assert(bytestream_new_connecting(&f.client.stream, f.event, &address, NULL, NULL,
                                  200 * USEC_PER_MSEC, &end_ops, &f.client) == 0);
        RUN_UNTIL(f.event, f.client.closed);
        cr_assert(f.client.error == -ETIMEDOUT);
        cr_assert_str_eq(f.client.reason, "connecting timed out");
        for (size_t i = 0; i < ELEMENTSOF(fillers); i++)
                close(fillers[i]);
        close(listener);
        fixture_clear(&f);
}

static void talk_at(const char *address, bool tls) {
        struct fixture f;

        begin(&f, tls);
        connect_ends_at(f.event, address, &f.server, f.server_tls, &f.client, f.client_tls, "admin-vm");
        RUN_UNTIL(f.event, f.server.ready && f.client.ready);
        cr_assert(bytestream_write(f.client.stream, "hello", 5) == 0);
        cr_assert(bytestream_flush(f.client.stream) == 0);
        RUN_UNTIL(f.event, buffer_length(&f.server.got) == 5);
        fixture_clear(&f);
}

Test(bytestream, every_kind_of_socket) {
        talk_at("127.0.0.1:0", false);
        talk_at("[::1]:0", true);
        talk_at("@test-bytestream", false);
        talk_at("@test-bytestream", true);
}

Test(bytestream, vsock_where_the_kernel_has_it) {
        struct rpc_address address;
        const char *error;
        int fd;

        cr_assert(rpc_address_parse(&address, "vsock:local:9771", &error) == 0);
        fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, &address.any, address.length) < 0) {
                close_fd(fd);
                cr_skip_test("no vsock loopback here");
        }
        close(fd);
        talk_at("vsock:local:9771", true);
}

Test(bytestream, tcp_options_are_set_on_both_ends) {
        struct fixture f;

        begin(&f, false);
        fixture_connect(&f);
        for (int i = 0; i < 2; i++) {
                int fd = bytestream_fd(i ? f.server.stream : f.client.stream), value;
                socklen_t n = sizeof(value);

                cr_assert(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &n) == 0 && value != 0);
                cr_assert(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &n) == 0 && value == 20000);
                cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        }
        fixture_clear(&f);
}

/* --- back-pressure --- */

static void slow_reader(bool tls) {
        _cleanup_(freep) char *data = calloc(1, 4096);
        size_t written = 0, pending;
        struct fixture f;

        begin(&f, tls);
        fixture_connect(&f);
        bytestream_set_reading(f.server.stream, false);
        do {
                while (bytestream_pending(f.client.stream) < BYTESTREAM_HIGH) {
                        cr_assert(bytestream_write(f.client.stream, data, 4096) == 0);
                        written += 4096;
                }
                cr_assert(bytestream_flush(f.client.stream) == 0);
                run_idle(f.event);
                pending = bytestream_pending(f.client.stream);
                cr_assert(pending < BYTESTREAM_HIGH + 2 * 4096);
                cr_assert(written < 64 * 1024 * 1024, "nothing stops the writer");
        } while (pending < BYTESTREAM_HIGH);
        cr_assert(buffer_length(&f.server.got) == 0);

        f.client.n_writable = 0;
        bytestream_set_reading(f.server.stream, true);
        RUN_UNTIL(f.event, buffer_length(&f.server.got) == written);
        cr_assert(f.client.n_writable == 1);
        cr_assert(bytestream_pending(f.client.stream) == 0);
        fixture_clear(&f);
}

Test(bytestream, a_slow_reader_stops_the_writer_in_clear) {
        slow_reader(false);
}

Test(bytestream, a_slow_reader_stops_the_writer_under_tls) {
        slow_reader(true);
}

static void take_some(struct end *end) {
        char data[1000];
        ssize_t n = bytestream_read(end->stream, data, sizeof(data));

        if (n > 0)
                cr_assert(buffer_append(&end->got, data, (size_t) n) == 0);
        bytestream_set_reading(end->stream, false);
}

/* Several readers that take a little at a time share the memory in which records are read. */
Test(bytestream, readers_that_stop_early_lose_nothing) {
        _cleanup_(freep) uint8_t *data = malloc(100000);
        struct fixture f[3];

        for (size_t i = 0; i < 100000; i++)
                data[i] = pattern(i);
        for (int i = 0; i < 3; i++) {
                begin(&f[i], false);
                f[i].event = i == 0 ? f[0].event : (sd_event_unref(f[i].event), sd_event_ref(f[0].event));
                f[i].server_tls = i == 0 ? load_tls("admin-vm") : tls_context_ref(f[0].server_tls);
                f[i].client_tls = i == 0 ? load_tls("app-vm") : tls_context_ref(f[0].client_tls);
                fixture_connect(&f[i]);
                f[i].server.on_readable = take_some;
                cr_assert(bytestream_write(f[i].client.stream, data, 100000) == 0);
                cr_assert(bytestream_flush(f[i].client.stream) == 0);
        }
        for (int done = 0; done < 3;) {
                run_idle(f[0].event);
                done = 0;
                for (int i = 0; i < 3; i++) {
                        done += buffer_length(&f[i].server.got) == 100000;
                        bytestream_set_reading(f[i].server.stream, true);
                }
        }
        for (int i = 0; i < 3; i++)
                check_pattern(&f[i].server.got, 100000);
        for (int i = 0; i < 3; i++)
                fixture_clear(&f[i]);
}

/* Writers, too: each has its own plain text. */
Test(bytestream, writers_that_take_turns_are_not_mixed_up) {
        struct fixture f[2];
        char data[2] = { 'a', 'b' };

        for (int i = 0; i < 2; i++) {
                begin(&f[i], false);
                f[i].event = i == 0 ? f[0].event : (sd_event_unref(f[1].event), sd_event_ref(f[0].event));
                f[i].server_tls = i == 0 ? load_tls("admin-vm") : tls_context_ref(f[0].server_tls);
                f[i].client_tls = i == 0 ? load_tls("app-vm") : tls_context_ref(f[0].client_tls);
                fixture_connect(&f[i]);
        }
        for (int k = 0; k < 100; k++)
                for (int i = 0; i < 2; i++)
                        cr_assert(bytestream_write(f[i].client.stream, &data[i], 1) == 0);
        for (int i = 0; i < 2; i++)
                cr_assert(bytestream_flush(f[i].client.stream) == 0);
        RUN_UNTIL(f[0].event,
                        buffer_length(&f[0].server.got) == 100 && buffer_length(&f[1].server.got) == 100);
        for (int i = 0; i < 2; i++)
                for (int k = 0; k < 100; k++)
                        cr_assert(buffer_bytes(&f[i].server.got)[k] == data[i]);
        for (int i = 0; i < 2; i++)
                fixture_clear(&f[i]);
}

Test(bytestream, one_busy_reader_does_not_starve_the_loop) {
        _cleanup_(freep) char *data = calloc(1, 1024 * 1024);
        struct fixture f;
        size_t before;

        begin(&f, true);
        fixture_connect(&f);
        bytestream_set_reading(f.server.stream, false);
        cr_assert(bytestream_write(f.client.stream, data, 1024 * 1024) == 0);
        cr_assert(bytestream_flush(f.client.stream) == 0);
        run_idle(f.event);
        bytestream_set_reading(f.server.stream, true);
        do {
                before = buffer_length(&f.server.got);
                cr_assert(sd_event_run(f.event, USEC_PER_SEC) > 0);
                cr_assert(buffer_length(&f.server.got) - before <= 256 * 1024);
        } while (buffer_length(&f.server.got) < 1024 * 1024);
        fixture_clear(&f);
}

static void take_nothing(struct end *end) {
        char data[16];
        ssize_t n = bytestream_read(end->stream, data, sizeof(data));

        if (n > 0)
                cr_assert(bytestream_unread(end->stream, data, (size_t) n) == 0);
}

/* Both have something to read all the time: one of what it has given back, the other from its socket. */
Test(bytestream, who_is_never_done_lets_others_have_their_turn) {
        struct fixture f[2];
        unsigned turns = 0;

        for (int i = 0; i < 2; i++) {
                begin(&f[i], i == 0);
                if (i == 1) {
                        sd_event_unref(f[1].event);
                        f[1].event = sd_event_ref(f[0].event);
                }
                fixture_connect(&f[i]);
        }
        f[0].server.on_readable = take_nothing;
        cr_assert(bytestream_write(f[0].client.stream, "x", 1) == 0);
        cr_assert(bytestream_flush(f[0].client.stream) == 0);
        for (int i = 0; i < 10; i++)
                cr_assert(sd_event_run(f[0].event, USEC_PER_SEC) > 0);
        cr_assert(bytestream_write(f[1].client.stream, "y", 1) == 0);
        cr_assert(bytestream_flush(f[1].client.stream) == 0);
        while (buffer_length(&f[1].server.got) == 0) {
                cr_assert(sd_event_run(f[0].event, USEC_PER_SEC) > 0);
                cr_assert(++turns < 100, "starved");
        }
        for (int i = 0; i < 2; i++)
                fixture_clear(&f[i]);
}

/* --- freeing from within a callback --- */

static void free_here(struct end *end) {
        end->stream = bytestream_free(end->stream);
}

static void free_in(bool tls, int where) {
        struct fixture f;

        begin(&f, tls);
        if (where == 0)
                f.server.on_ready = free_here;
        connect_ends(f.event, &f.server, f.server_tls, &f.client, f.client_tls, "admin-vm");
        RUN_UNTIL(f.event, f.server.ready && f.client.ready);
        if (where == 1) {
                f.server.on_readable = free_here;
                cr_assert(bytestream_write(f.client.stream, "x", 1) == 0);
                cr_assert(bytestream_flush(f.client.stream) == 0);
        }
        if (where == 2) {
                _cleanup_(freep) char *data = calloc(1, 8 * 1024 * 1024);

                f.server.on_writable = free_here;
                cr_assert(bytestream_write(f.server.stream, data, 8 * 1024 * 1024) == 0);
                cr_assert(bytestream_flush(f.server.stream) == 0);
        }
        RUN_UNTIL(f.event, !f.server.stream);
        RUN_UNTIL(f.event, f.client.eof || f.client.closed);
        run_idle(f.event);
        fixture_clear(&f);
}

Test(bytestream, freed_in_ready) {
        free_in(false, 0);
        free_in(true, 0);
}

Test(bytestream, freed_in_readable) {
        free_in(false, 1);
        free_in(true, 1);
}

Test(bytestream, freed_in_writable) {
        free_in(false, 2);
        free_in(true, 2);
}

Test(bytestream, freed_in_closed) {
        struct fixture f;
        int fd;

        begin(&f, false);
        f.server_tls = load_tls("admin-vm");
        f.server.on_closed = free_here;
        fd = accept_raw(f.event, &f.server, f.server_tls, PATIENCE_USEC);
        close(fd);
        RUN_UNTIL(f.event, f.server.closed);
        cr_assert(!f.server.stream);
        run_idle(f.event);
        fixture_clear(&f);
}

Test(bytestream, freed_before_anything_happens) {
        struct rpc_address address;
        const char *error;
        struct fixture f;

        begin(&f, true);
        cr_assert(rpc_address_parse(&address, "127.0.0.1:1", &error) == 0);
        cr_assert(bytestream_new_connecting(&f.client.stream, f.event, &address, f.client_tls, "admin-vm",
                                  PATIENCE_USEC, &end_ops, &f.client) == 0);
        fixture_clear(&f);
}
