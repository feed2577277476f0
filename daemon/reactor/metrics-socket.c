/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics-socket.h"

#include "list.h"
#include "log.h"
#include "metrics-request.h"
#include "text.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* A scraper or two, and a person: the others wait in the socket's queue. */
#define READERS_MAX 8
/* One socket unit may list several. */
#define LISTENERS_MAX 4
/* Who has said nothing by then waits for us to begin: socat does, an HTTP client has long spoken. */
#define PATIENCE_USEC (100 * USEC_PER_MSEC)
/* For the whole of one reader's visit. */
#define VISIT_USEC (5 * USEC_PER_SEC)
/* Out of descriptors or memory: accept() would fail again at once. */
#define PAUSE_USEC (200 * USEC_PER_MSEC)

struct metrics_socket {
        sd_event *event;
        const char *prefix;
        const char *program, *version; /* NULL: not told */
        void (*write)(struct openmetrics *metrics, void *userdata);
        void *userdata;
        size_t n_listeners;
        struct {
                int fd;
                sd_event_source *source;
        } listeners[LISTENERS_MAX];
        sd_event_source *pause; /* enabled while nothing is accepted for a while */
        struct list readers;
        size_t n_readers;
};

struct reader {
        struct metrics_socket *metrics;
        struct list readers;
        int fd;
        sd_event_source *io, *timer;
        bool answering;
        uint64_t end_usec; /* CLOCK_MONOTONIC: no longer than until then */
        size_t n_request;
        char request[METRICS_REQUEST_MAX];
        struct buffer answer;
};

static void listen_again(struct metrics_socket *metrics) {
        bool room = metrics->n_readers < READERS_MAX;

        for (size_t i = 0; i < metrics->n_listeners; i++)
                (void) sd_event_source_set_enabled(
                                metrics->listeners[i].source, room ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void reader_free(struct reader *reader) {
        struct metrics_socket *metrics = reader->metrics;

        list_remove(&reader->readers);
        sd_event_source_disable_unref(reader->io);
        sd_event_source_disable_unref(reader->timer);
        close_fd(reader->fd);
        buffer_clear(&reader->answer);
        free(reader);
        metrics->n_readers--;
        listen_again(metrics);
}

/* ---- the answer ---- */

static int add_text(struct reader *reader, const char *text) {
        return text ? buffer_append(&reader->answer, text, strlen(text)) : -ENOMEM;
}

static int add_header(struct reader *reader, enum metrics_request request, const char *type, size_t n) {
        _cleanup_(freep) char *text = NULL;

        text = text_printf("HTTP/1.1 %s\r\n"
                           "Content-Type: %s\r\n"
                           "Content-Length: %zu\r\n"
                           "%s"
                           "Connection: close\r\n\r\n",
                        metrics_request_status(request), type, n,
                        request == METRICS_REQUEST_NOT_ALLOWED ? "Allow: GET, HEAD\r\n" : "");
        return add_text(reader, text);
}

static int add_figures(struct reader *reader, enum metrics_request request) {
        const struct metrics_socket *source = reader->metrics;
        struct openmetrics metrics;
        const char *text;
        size_t n;
        int r;

        openmetrics_init(&metrics, source->prefix);
        if (source->program) {
                openmetrics_family(&metrics, OPENMETRICS_INFO, "build", NULL, "What runs here.");
                openmetrics_uint(&metrics, "_info", 1, "program", source->program, "version",
                                source->version, NULL);
        }
        source->write(&metrics, source->userdata);
        r = openmetrics_finish(&metrics, &text, &n);
        if (r >= 0 && request != METRICS_REQUEST_PLAIN)
                r = add_header(reader, request, "application/openmetrics-text; version=1.0.0; charset=utf-8",
                                n);
        if (r >= 0 && request != METRICS_REQUEST_HEAD)
                r = buffer_append(&reader->answer, text, n);
        openmetrics_clear(&metrics);
        return r;
}

static int add_refusal(struct reader *reader, enum metrics_request request) {
        const char *status = metrics_request_status(request);
        int r;

        r = add_header(reader, request, "text/plain", strlen(status) + 1);
        if (r >= 0)
                r = add_text(reader, status);
        return r < 0 ? r : add_text(reader, "\n");
}

/* Writes what there is room for; the reader is gone when all is written, or nobody reads any more. */
static void write_answer(struct reader *reader) {
        while (buffer_length(&reader->answer) > 0) {
                ssize_t n = send(reader->fd, buffer_bytes(&reader->answer), buffer_length(&reader->answer),
                                MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0)
                        break;
                buffer_consume(&reader->answer, (size_t) n);
        }
        reader_free(reader);
}

static void answer(struct reader *reader, enum metrics_request request) {
        bool found = request == METRICS_REQUEST_PLAIN || request == METRICS_REQUEST_GET ||
                        request == METRICS_REQUEST_HEAD;
        int r;

        reader->answering = true;
        r = found ? add_figures(reader, request) : add_refusal(reader, request);
        if (r >= 0)
                r = sd_event_source_set_io_events(reader->io, EPOLLOUT);
        if (r >= 0)
                r = sd_event_source_set_time(reader->timer, reader->end_usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(reader->timer, SD_EVENT_ONESHOT);
        if (r >= 0)
                write_answer(reader);
        else
                reader_free(reader);
}

/* ---- the request ---- */

static void read_request(struct reader *reader) {
        ssize_t n = recv(reader->fd, reader->request + reader->n_request,
                        sizeof(reader->request) - reader->n_request, MSG_DONTWAIT);
        enum metrics_request request;

        if (n < 0) {
                if (errno != EAGAIN)
                        reader_free(reader);
                return;
        }
        reader->n_request += (size_t) n;
        request = metrics_request_parse(reader->request, reader->n_request, n == 0);
        if (request != METRICS_REQUEST_MORE)
                answer(reader, request);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct reader *reader = userdata;

        if (reader->answering)
                write_answer(reader);
        else
                read_request(reader);
        return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        struct reader *reader = userdata;

        if (!reader->answering && reader->n_request == 0)
                answer(reader, METRICS_REQUEST_PLAIN);
        else if (!reader->answering && now_usec(CLOCK_MONOTONIC) < reader->end_usec) {
                (void) sd_event_source_set_time(reader->timer, reader->end_usec);
                (void) sd_event_source_set_enabled(reader->timer, SD_EVENT_ONESHOT);
        } else
                reader_free(reader);
        return 0;
}

static int take_reader(struct metrics_socket *metrics, int fd_taken) {
        struct reader *reader = malloc(sizeof(*reader));
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        int r;

        if (!reader) {
                close_fd(fd_taken);
                return -ENOMEM;
        }
        *reader = (struct reader){ .metrics = metrics, .fd = fd_taken, .end_usec = now + VISIT_USEC };
        list_append(&metrics->readers, &reader->readers);
        metrics->n_readers++;
        r = sd_event_add_io(metrics->event, &reader->io, reader->fd, EPOLLIN, on_io, reader);
        if (r >= 0)
                r = sd_event_add_time(metrics->event, &reader->timer, CLOCK_MONOTONIC, now + PATIENCE_USEC,
                                0, on_time, reader);
        if (r < 0)
                reader_free(reader);
        listen_again(metrics);
        return r;
}

static int on_unpause(sd_event_source *source, uint64_t usec, void *userdata) {
        listen_again(userdata);
        return 0;
}

/* Never returns an error: sd-event would switch the listener off for good. */
static int on_accept(sd_event_source *source, int listener, uint32_t events, void *userdata) {
        struct metrics_socket *metrics = userdata;
        int fd;

        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
                return 0;
        if (fd >= 0 && take_reader(metrics, fd) >= 0)
                return 0;
        /* Better to try at once, and hot, than never again. */
        if (sd_event_source_set_time_relative(metrics->pause, PAUSE_USEC) < 0 ||
                        sd_event_source_set_enabled(metrics->pause, SD_EVENT_ONESHOT) < 0)
                return 0;
        for (size_t i = 0; i < metrics->n_listeners; i++)
                (void) sd_event_source_set_enabled(metrics->listeners[i].source, SD_EVENT_OFF);
        return 0;
}

/* ---- life ---- */

int metrics_socket_new(struct metrics_socket **ret, sd_event *event, const char *prefix,
                void (*write)(struct openmetrics *metrics, void *userdata), void *userdata) {
        _cleanup_(metrics_socket_freep) struct metrics_socket *metrics = NULL;
        int r;

        metrics = malloc(sizeof(*metrics));
        if (!metrics)
                return -ENOMEM;
        *metrics = (struct metrics_socket){
                .event = sd_event_ref(event),
                .prefix = prefix,
                .write = write,
                .userdata = userdata,
        };
        list_init(&metrics->readers);
        r = sd_event_add_time(event, &metrics->pause, CLOCK_MONOTONIC, 0, 0, on_unpause, metrics);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(metrics->pause, SD_EVENT_OFF);
        *ret = TAKE_PTR(metrics);
        return 0;
}

struct metrics_socket *metrics_socket_free(struct metrics_socket *metrics) {
        if (!metrics)
                return NULL;
        while (!list_is_empty(&metrics->readers))
                reader_free(LIST_FIRST(&metrics->readers, struct reader, readers));
        for (size_t i = 0; i < metrics->n_listeners; i++) {
                sd_event_source_disable_unref(metrics->listeners[i].source);
                close_fd(metrics->listeners[i].fd);
        }
        sd_event_source_disable_unref(metrics->pause);
        sd_event_unref(metrics->event);
        free(metrics);
        return NULL;
}

int metrics_socket_add_listener(struct metrics_socket *metrics, int fd_taken) {
        _cleanup_(closep) int fd = fd_taken;
        size_t i = metrics->n_listeners;
        int flags, r;

        if (i == LISTENERS_MAX)
                return -ENOSPC;
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(metrics->event, &metrics->listeners[i].source, fd, EPOLLIN, on_accept, metrics);
        if (r < 0)
                return r;
        metrics->listeners[i].fd = TAKE_FD(fd);
        metrics->n_listeners++;
        return 0;
}

static int take_listeners(struct metrics_socket *metrics, struct reactor *reactor) {
        _cleanup_(freep) int *fds = NULL;
        int n, r = 0;

        n = reactor_take_listeners(reactor, "metrics", &fds);
        for (int i = 0; i < n; i++) {
                int added = metrics_socket_add_listener(metrics, fds[i]);

                if (added < 0)
                        r = added;
        }
        return MIN(n, r);
}

int metrics_socket_begin(struct metrics_socket **ret, struct reactor *reactor, const char *program,
                const char *version, void (*write)(struct openmetrics *metrics, void *userdata),
                void *userdata) {
        _cleanup_(metrics_socket_freep) struct metrics_socket *metrics = NULL;
        int r;

        r = metrics_socket_new(&metrics, reactor_event(reactor), "givc", write, userdata);
        if (r >= 0) {
                metrics->program = program;
                metrics->version = version;
                r = take_listeners(metrics, reactor);
        }
        if (r < 0)
                return log_error_errno(r, "Cannot offer metrics");
        *ret = TAKE_PTR(metrics);
        return 0;
}
