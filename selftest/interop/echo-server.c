/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "echo-server.h"

#include "echo-common.h"
#include "lines.h"
#include "log.h"
#include "text.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>

struct settings {
        const char *certificates; /* a directory as contrib/make-certs writes them */
        const char *descriptors;
        struct rpc_server_limits limits;
};

static void print_listening(const struct rpc_address *address) {
        _cleanup_(freep) char *text = rpc_address_format(address);

        lines_print(json_pack("{ss ss}", "event", "listening", "address", strempty(text)));
}

/* Port 0 is any: what it became is told. */
static void listen_on(struct echo_server *echo, const char *text) {
        struct rpc_address address;
        const char *error = "";
        int fd, on = 1;

        if (rpc_address_parse(&address, text, &error) < 0)
                lines_fail("%s: %s", text, error);
        if (address.any.sa_family == AF_UNIX) {
                if (rpc_server_listen(echo->server, &address) < 0)
                        lines_fail("Cannot listen on %s", text);
                print_listening(&address);
                return;
        }
        fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
                        bind(fd, &address.any, address.length) < 0 || listen(fd, SOMAXCONN) < 0 ||
                        getsockname(fd, &address.any, &address.length) < 0)
                lines_fail("Cannot listen on %s: %m", text);
        if (rpc_server_add_listener(echo->server, fd) < 0)
                lines_fail("Cannot add the listener %s", text);
        print_listening(&address);
}

/* Tests refuse calls by metadata, to see that a refused call reaches no handler. */
static bool permit(
                struct rpc_call *call, _unused_ const ProtobufCMessage *request, _unused_ void *userdata) {
        const char *reason = rpc_call_metadata(call, "refuse");

        if (!reason)
                return true;
        rpc_call_fail(call, RPC_PERMISSION_DENIED, "Refused: %s", reason);
        return false;
}

static void peer_connected(
                _unused_ struct rpc_server *server, const struct rpc_peer *peer, _unused_ void *userdata) {
        echo_event("connected", peer->name);
}

static void peer_gone(
                _unused_ struct rpc_server *server, const struct rpc_peer *peer, _unused_ void *userdata) {
        echo_event("disconnected", peer->name);
}

static void drained(_unused_ struct rpc_server *server, _unused_ void *userdata) {
        echo_event("drained", "");
}

static void set_certificates(struct echo_server *echo, const char *directory) {
        tls_context_unref(echo->tls);
        echo->tls = echo_load_tls(directory);
        rpc_server_set_tls(echo->server, echo->tls);
}

static void print_counters(const struct echo_server *echo) {
        struct rpc_server_counters c;

        rpc_server_get_counters(echo->server, &c);
        lines_print(json_pack("{ss sI sI sI sI sI}", "event", "counters", "connections",
                        (json_int_t) c.connections, "calls", (json_int_t) c.calls, "failures",
                        (json_int_t) c.failures, "connections_now", (json_int_t) c.connections_now,
                        "calls_now", (json_int_t) c.calls_now));
}

static void run_command(const json_t *command, void *userdata) {
        const char *what = lines_text(command, "do");
        struct echo_server *echo = userdata;

        if (streq(what, "resume"))
                echo_resume(echo);
        else if (streq(what, "counters"))
                print_counters(echo);
        else if (streq(what, "serving"))
                rpc_health_set(echo->health, true);
        else if (streq(what, "not-serving"))
                rpc_health_set(echo->health, false);
        else if (streq(what, "certificates"))
                set_certificates(echo, lines_text(command, "directory"));
        else if (streq(what, "drain"))
                rpc_server_drain(echo->server, drained);
        else
                lines_fail("There is no command %s", what);
        echo_event("done", what);
}

static void setup(struct echo_server *echo, const struct settings *settings) {
        static const struct rpc_server_ops ops = {
                .permit = permit,
                .peer_connected = peer_connected,
                .peer_gone = peer_gone,
        };
        _cleanup_(freep) char *descriptors = NULL;
        size_t n;

        list_init(&echo->stopped);
        if (sd_event_default(&echo->event) < 0 ||
                        rpc_server_new(&echo->server, echo->event, &settings->limits, &ops, echo) < 0 ||
                        rpc_server_add_service(echo->server, &echo_service, echo) < 0 ||
                        rpc_health_new(&echo->health, echo->server) < 0)
                lines_fail("Cannot make the server");
        if (text_read_file(settings->descriptors, 1024 * 1024, &descriptors, &n) < 0 ||
                        rpc_reflection_new(&echo->reflection, echo->server, descriptors, n) < 0)
                lines_fail("Cannot read %s", settings->descriptors);
        if (settings->certificates)
                set_certificates(echo, settings->certificates);
}

static void teardown(struct echo_server *echo) {
        rpc_server_free(echo->server);
        rpc_reflection_free(echo->reflection);
        rpc_health_free(echo->health);
        tls_context_unref(echo->tls);
        sd_event_unref(echo->event);
}

static void read_options(struct settings *settings, int argc, char *argv[]) {
        static const struct option options[] = {
                { "certificates", required_argument, NULL, 'c' },
                { "connections", required_argument, NULL, 'n' },
                { "connections-per-host", required_argument, NULL, 'h' },
                { "debug", no_argument, NULL, 'v' },
                { "descriptors", required_argument, NULL, 'd' },
                { "handshake-msec", required_argument, NULL, 't' },
                { "keepalive-msec", required_argument, NULL, 'k' },
                { "keepalive-timeout-msec", required_argument, NULL, 'K' },
                { "message-bytes", required_argument, NULL, 'm' },
                { "streams", required_argument, NULL, 's' },
                {},
        };
        struct rpc_server_limits *limits = &settings->limits;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (c == 'c')
                        settings->certificates = optarg;
                else if (c == 'd')
                        settings->descriptors = optarg;
                else if (c == 'v')
                        log_set_max_level(LOG_DEBUG);
                else if (c == 'n')
                        limits->connections = echo_read_number(optarg);
                else if (c == 'h')
                        limits->connections_per_host = echo_read_number(optarg);
                else if (c == 't')
                        limits->handshake_usec = echo_read_number(optarg) * USEC_PER_MSEC;
                else if (c == 'k')
                        limits->keepalive_usec = echo_read_number(optarg) * USEC_PER_MSEC;
                else if (c == 'K')
                        limits->keepalive_timeout_usec = echo_read_number(optarg) * USEC_PER_MSEC;
                else if (c == 'm')
                        limits->message_bytes = echo_read_number(optarg);
                else if (c == 's')
                        limits->streams = echo_read_number(optarg);
                else
                        exit(EXIT_FAILURE);
        }
}

/* echo-server OPTIONS… ADDRESS… */
int main(int argc, char *argv[]) {
        struct settings settings = {};
        struct echo_server echo = {};
        struct lines lines;
        int r;

        signal(SIGPIPE, SIG_IGN);
        read_options(&settings, argc, argv);
        setup(&echo, &settings);
        for (int i = optind; i < argc; i++)
                listen_on(&echo, argv[i]);
        echo_event("ready", "");
        lines_init(&lines, echo.event, run_command, &echo);
        r = sd_event_loop(echo.event);

        lines_clear(&lines);
        teardown(&echo);
        return r < 0 ? EXIT_FAILURE : r;
}
