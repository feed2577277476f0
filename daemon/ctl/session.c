/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "session.h"

#include "failure.h"
#include "options.h"
#include "text.h"

#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>

/* Where the certificates are when nothing else is said. */
#define DEFAULT_CA_CERT "/etc/givc/ca-cert.pem"
#define DEFAULT_CERT    "/etc/givc/cert.pem"
#define DEFAULT_KEY     "/etc/givc/key.pem"

void session_init(struct session *session, const struct options *options) {
        *session = (struct session){ .options = options, .at_once = SESSION_AT_ONCE };
        list_init(&session->calls);
        list_init(&session->failures);
}

void session_clear(struct session *session) {
        session_clear_calls(session);
        session->channel = rpc_channel_free(session->channel);
        session->event = sd_event_unref(session->event);
        free(session->peer);
        free(session->identity);
        free(session->error);
}

bool session_is_connected(const struct session *session) {
        return session->channel && rpc_channel_get_state(session->channel) == RPC_CHANNEL_READY;
}

/* Why it cannot be opened, for whoever opens it. Returns code. */
static int refuse(struct session *session, int code, const char *format, ...) _printf_(3, 4);
static int refuse(struct session *session, int code, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        free(session->error);
        session->error = text_vprintf(format, ap);
        va_end(ap);
        return code;
}

static int refuse_errno(struct session *session, int error, const char *what) {
        return refuse(session, EXIT_FAILED, "%s: %s", what, strerror(-error));
}

/* A host name: the program has nothing else to do yet, so it may wait for the answer. */
static int look_up(struct session *session, struct rpc_address *address, const char *host, const char *port,
                bool given) {
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
        struct addrinfo *found = NULL;
        int r;

        r = getaddrinfo(host, port, &hints, &found);
        if (r != 0 && !given)
                return refuse(session, EXIT_USAGE,
                                "where is %s? Give --addr%s; there is no host of that name (%s)", host,
                                session->options->verb->of_agent ? "" : " or set GIVC_ADDR",
                                gai_strerror(r));
        if (r != 0)
                return refuse(session, EXIT_UNAVAILABLE, "cannot find the address of '%s': %s", host,
                                gai_strerror(r));
        if (found->ai_addrlen > sizeof(address->in6)) {
                freeaddrinfo(found);
                return refuse_errno(session, -EAFNOSUPPORT, host);
        }
        memcpy(&address->any, found->ai_addr, found->ai_addrlen);
        address->length = found->ai_addrlen;
        freeaddrinfo(found);
        return EXIT_DONE;
}

static int choose_address(struct session *session, struct rpc_address *address) {
        const struct options *options = session->options;
        const char *host = options->addr ?: options->name, *error;
        _cleanup_(freep) char *text = NULL;
        bool is_path = host[0] == '/' || host[0] == '@' || startswith(host, "unix:") ||
                        startswith(host, "vsock:");

        *address = (struct rpc_address){};
        if (options->vsock)
                text = text_printf("vsock:%s", options->vsock);
        else if (is_path)
                text = strdup(host);
        else if (strchr(host, ':') && host[0] != '[')
                text = text_printf("[%s]:%s", host, options->port);
        else
                text = text_printf("%s:%s", host, options->port);
        if (!text)
                return refuse_errno(session, -ENOMEM, "address");

        if (rpc_address_parse(address, text, &error) == 0)
                return EXIT_DONE;
        if (options->vsock)
                return refuse(session, EXIT_USAGE, "--vsock: '%s' is not CID:PORT", options->vsock);
        if (is_path || !text_is_host_name(host))
                return refuse(session, EXIT_USAGE, "--addr: '%s': %s", host, error);
        return look_up(session, address, host, options->port, options->addr != NULL);
}

/* What was given, or else the default where it can be read; NULL: neither. */
static const char *choose_file(const char *given, const char *otherwise) {
        if (given)
                return given;
        return access(otherwise, R_OK) == 0 ? otherwise : NULL;
}

struct session_files session_files(const struct options *options) {
        return (struct session_files){
                .ca_cert = choose_file(options->ca_cert, DEFAULT_CA_CERT),
                .cert = choose_file(options->cert, DEFAULT_CERT),
                .key = choose_file(options->key, DEFAULT_KEY),
        };
}

static int choose_tls(struct session *session, struct tls_context **ret) {
        const struct session_files files = session_files(session->options);
        _cleanup_(freep) char *error = NULL;
        int r;

        if (session->options->no_tls) {
                *ret = NULL;
                return EXIT_DONE;
        }
        if (!files.ca_cert)
                return refuse(session, EXIT_USAGE,
                                "no CA certificate: give --cacert (%s cannot be read), or --notls",
                                DEFAULT_CA_CERT);
        if (!files.cert)
                return refuse(session, EXIT_USAGE,
                                "no certificate: give --cert (%s cannot be read), or --notls", DEFAULT_CERT);
        if (!files.key)
                return refuse(session, EXIT_USAGE, "no key: give --key (%s cannot be read), or --notls",
                                DEFAULT_KEY);

        r = tls_context_new(ret, files.ca_cert, files.cert, files.key, &error);
        if (r >= 0)
                return EXIT_DONE;
        session->hint = r == -EACCES
                        ? "Be root, or name files that you may read: --cacert, --cert and --key.\n"
                        : "";
        return refuse(session, EXIT_USAGE, "%s", error ?: strerror(-r));
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        session_end(userdata, 128 + (int) info->ssi_signo);
        return 0;
}

/* Nobody reads what we print any more: no need to wait for the next line to find out. */
static int on_output_gone(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        session_end(userdata, EXIT_FAILED);
        return 0;
}

static int open_loop(struct session *session) {
        sigset_t signals;
        int r;

        r = sd_event_new(&session->event);
        if (r < 0)
                return refuse_errno(session, r, "cannot make an event loop");
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        r = sd_event_add_signal(session->event, NULL, SIGINT, on_signal, session);
        if (r >= 0)
                r = sd_event_add_signal(session->event, NULL, SIGTERM, on_signal, session);
        if (r < 0)
                return refuse_errno(session, r, "cannot receive signals");
        if (!session->watches_output)
                return EXIT_DONE;
        /* A file cannot be waited for (EPERM), and does not go away. */
        r = sd_event_add_io(session->event, NULL, STDOUT_FILENO, 0, on_output_gone, session);
        return r < 0 && r != -EPERM ? refuse_errno(session, r, "cannot watch standard output") : EXIT_DONE;
}

static int describe(struct session *session, const struct rpc_address *address, struct tls_context *tls) {
        const struct tls_identity *identity = tls ? tls_context_identity(tls) : NULL;
        _cleanup_(freep) char *where = NULL;

        where = rpc_address_format(address);
        session->peer = text_printf("%s at %s", session->options->name, where);
        if (!where || !session->peer)
                return refuse_errno(session, -ENOMEM, "address");
        if (!identity || !identity->name)
                return EXIT_DONE;
        session->identity = strdup(identity->name);
        return session->identity ? EXIT_DONE : refuse_errno(session, -ENOMEM, "identity");
}

int session_try_open(struct session *session, bool once) {
        _cleanup_(tls_context_unrefp) struct tls_context *tls = NULL;
        struct rpc_channel_config config = {
                .server_name = session->options->name,
                .once = once,
        };
        int r;

        if (session->channel)
                return EXIT_DONE;
        r = choose_address(session, &config.address);
        if (r != EXIT_DONE)
                return r;
        r = choose_tls(session, &tls);
        if (r != EXIT_DONE)
                return r;
        config.tls = tls;
        r = describe(session, &config.address, tls);
        if (r != EXIT_DONE)
                return r;
        r = open_loop(session);
        if (r != EXIT_DONE)
                return r;
        r = rpc_channel_new(&session->channel, session->event, &config);
        return r < 0 ? refuse_errno(session, r, "cannot make a channel") : EXIT_DONE;
}

int session_open(struct session *session, bool once) {
        int r = session_try_open(session, once);

        if (r == EXIT_DONE)
                return r;
        if (r == EXIT_USAGE && !session->hint)
                return fail_usage("%s", session->error ?: strerror(ENOMEM));
        complain("%s", session->error ?: strerror(ENOMEM));
        fputs(strempty(session->hint), stderr);
        return r;
}

void session_end(struct session *session, int code) {
        sd_event_exit(session->event, code);
}

void session_note_output(struct session *session) {
        if (session->output_error == 0)
                session->output_error = output_failure();
}

bool session_flush(struct session *session) {
        session_note_output(session);
        if (session->output_error == 0)
                return true;
        session_end(session,
                        session->output_error == -EPIPE ? EXIT_FAILED
                                                        : fail_errno(session->output_error, "cannot print"));
        return false;
}

int session_run(struct session *session) {
        int r = sd_event_loop(session->event);

        return r < 0 ? fail_errno(r, "the event loop failed") : r;
}
