/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Figures as text, what is asked of their socket, and the socket itself. */
#include "metrics-request.h"
#include "metrics-socket.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- text ---- */

Test(openmetrics, text) {
        struct openmetrics metrics;
        const char *text;
        size_t n;

        openmetrics_init(&metrics, "test");
        openmetrics_counter(&metrics, "things", "What is counted.", 3);
        openmetrics_family(&metrics, OPENMETRICS_GAUGE, "size_bytes", "bytes", "How large.");
        openmetrics_uint(&metrics, "", UINT64_MAX, "a", "\\ \"\n", "b", "\xff", NULL);
        openmetrics_seconds(&metrics, "", 1000001, NULL);
        cr_assert_eq(openmetrics_finish(&metrics, &text, &n), 0);
        cr_assert_eq(n, strlen("# EOF\n") + (size_t) (strstr(text, "# EOF\n") - text));
        cr_assert(strncmp(text,
                                  "# TYPE test_things counter\n"
                                  "# HELP test_things What is counted.\n"
                                  "test_things_total 3\n"
                                  "# TYPE test_size_bytes gauge\n"
                                  "# UNIT test_size_bytes bytes\n"
                                  "# HELP test_size_bytes How large.\n"
                                  "test_size_bytes{a=\"\\\\ \\\"\\n\",b=\"?\"} 18446744073709551615\n"
                                  "test_size_bytes 1.000001\n"
                                  "# EOF\n",
                                  n) == 0);
        openmetrics_clear(&metrics);
}

/* ---- requests ---- */

static enum metrics_request parse(const char *text, bool at_end) {
        return metrics_request_parse(text, strlen(text), at_end);
}

Test(metrics_request, kinds) {
        static const struct {
                const char *text;
                enum metrics_request expected;
        } cases[] = {
                { "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", METRICS_REQUEST_GET },
                { "GET /metrics HTTP/1.0\n\n", METRICS_REQUEST_GET },
                { "GET /metrics?name[]=x HTTP/1.1\r\n\r\n", METRICS_REQUEST_GET },
                { "GET / HTTP/1.1\r\n\r\n", METRICS_REQUEST_GET },
                { "HEAD /metrics HTTP/1.1\r\n\r\n", METRICS_REQUEST_HEAD },
                { "GET /metricsx HTTP/1.1\r\n\r\n", METRICS_REQUEST_NOT_FOUND },
                { "POST /metrics HTTP/1.1\r\n\r\n", METRICS_REQUEST_NOT_ALLOWED },
                { "GET /metrics HTTP/2.0\r\n\r\n", METRICS_REQUEST_BAD },
                { "GET /metrics\r\n\r\n", METRICS_REQUEST_BAD },
                { "GET /metrics HTTP/1.1 x\r\n\r\n", METRICS_REQUEST_BAD },
                { "GET  /metrics HTTP/1.1\r\n\r\n", METRICS_REQUEST_BAD },
                { "get /metrics HTTP/1.1\r\n\r\n", METRICS_REQUEST_BAD },
                { " /metrics HTTP/1.1\r\n\r\n", METRICS_REQUEST_BAD },
                { "\r\n\r\n", METRICS_REQUEST_BAD },
                { "\n\n", METRICS_REQUEST_BAD },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_assert_eq(parse(cases[i].text, false), cases[i].expected, "case %zu", i);
}

Test(metrics_request, cut_anywhere) {
        static const char text[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

        for (size_t n = 0; n < strlen(text); n++) {
                cr_assert_eq(metrics_request_parse(text, n, false), METRICS_REQUEST_MORE, "%zu", n);
                cr_assert_eq(metrics_request_parse(text, n, true),
                                n == 0 ? METRICS_REQUEST_PLAIN : METRICS_REQUEST_BAD, "%zu", n);
        }
}

Test(metrics_request, too_large) {
        char text[METRICS_REQUEST_MAX];

        memset(text, 'A', sizeof(text));
        cr_assert_eq(metrics_request_parse(text, sizeof(text) - 1, false), METRICS_REQUEST_MORE);
        cr_assert_eq(metrics_request_parse(text, sizeof(text), false), METRICS_REQUEST_TOO_LARGE);
}

/* ---- the socket ---- */

static struct {
        char directory[32];
        struct sockaddr_un address;
        sd_event *event;
        struct metrics_socket *metrics;
        size_t lines; /* of figures, to make them large */
} world;

static void write_figures(struct openmetrics *metrics, void *userdata) {
        for (size_t i = 0; i < world.lines; i++)
                openmetrics_gauge(metrics, "figure", NULL, "A figure.", i);
}

static void set_up(void) {
        int fd;

        snprintf(world.directory, sizeof(world.directory), "/tmp/test-metrics.XXXXXX");
        cr_assert_not_null(mkdtemp(world.directory));
        world.address.sun_family = AF_UNIX;
        snprintf(world.address.sun_path, sizeof(world.address.sun_path), "%s/metrics", world.directory);
        world.lines = 1;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(fd, (struct sockaddr *) &world.address, sizeof(world.address)), 0);
        cr_assert_eq(listen(fd, 16), 0);
        cr_assert_geq(sd_event_new(&world.event), 0);
        cr_assert_eq(metrics_socket_new(&world.metrics, world.event, "test", write_figures, NULL), 0);
        cr_assert_eq(metrics_socket_add_listener(world.metrics, fd), 0);
}

static void tear_down(void) {
        metrics_socket_free(world.metrics);
        sd_event_unref(world.event);
        unlink(world.address.sun_path);
        rmdir(world.directory);
}

TestSuite(metrics_socket, .init = set_up, .fini = tear_down, .timeout = 30);

static int visit(void) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert_eq(connect(fd, (struct sockaddr *) &world.address, sizeof(world.address)), 0);
        return fd;
}

/* Everything up to the end, while the loop runs. Closes fd. */
static char *read_all(int fd) {
        struct buffer got = BUFFER_NULL;
        char *text;

        for (;;) {
                char *p = buffer_reserve(&got, 4096);
                ssize_t n = recv(fd, p, 4096, MSG_DONTWAIT);

                if (n > 0)
                        buffer_commit(&got, (size_t) n);
                else if (n < 0 && errno == EAGAIN)
                        cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
                else
                        break;
        }
        text = strndup(buffer_length(&got) ? buffer_bytes(&got) : "", buffer_length(&got));
        buffer_clear(&got);
        close(fd);
        return text;
}

static char *ask(const char *request) {
        int fd = visit();

        cr_assert_eq(send(fd, request, strlen(request), 0), (ssize_t) strlen(request));
        return read_all(fd);
}

#define FIGURES "# TYPE test_figure gauge\n# HELP test_figure A figure.\ntest_figure 0\n# EOF\n"

Test(metrics_socket, http) {
        _cleanup_(freep) char *got = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), *head = NULL,
                              *not = NULL;

        cr_assert(startswith(got, "HTTP/1.1 200 OK\r\n"), "%s", got);
        cr_assert(endswith(got, "\r\n\r\n" FIGURES), "%s", got);
        cr_assert_not_null(strstr(got, "\r\nConnection: close\r\n"));
        head = ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert(startswith(head, "HTTP/1.1 200 OK\r\n") && endswith(head, "\r\n\r\n"), "%s", head);
        not = ask("POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert(startswith(not, "HTTP/1.1 405 "), "%s", not );
}

/* socat: says nothing, and waits or has closed its side. */
Test(metrics_socket, plain) {
        _cleanup_(freep) char *waited = NULL, *closed = NULL;
        int fd;

        waited = read_all(visit());
        cr_assert_str_eq(waited, FIGURES);
        fd = visit();
        cr_assert_eq(shutdown(fd, SHUT_WR), 0);
        closed = read_all(fd);
        cr_assert_str_eq(closed, FIGURES);
}

Test(metrics_socket, more_than_fits_at_once) {
        _cleanup_(freep) char *got = NULL;

        world.lines = 10000;
        got = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert(endswith(got, "test_figure 9999\n# EOF\n"));
}

/* Those who come, say half a word, and stay: they are sent away, and whoever comes after them is served. */
Test(metrics_socket, squatters) {
        _cleanup_(freep) char *got = NULL;
        int fds[12];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = visit();
                cr_assert_eq(send(fds[i], "GET", 3, 0), 3);
        }
        got = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert(endswith(got, FIGURES));
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
}

/* Freed while somebody is being served. */
Test(metrics_socket, freed_early) {
        int fd = visit();

        cr_assert_geq(sd_event_run(world.event, UINT64_MAX), 0);
        world.metrics = metrics_socket_free(world.metrics);
        close(fd);
}
