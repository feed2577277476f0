/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stream-pair.h"
#include "text.h"
#include "tls-internal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

struct fixture {
        sd_event *event;
        struct tls_context *server_tls, *client_tls;
        struct end server, client;
};

static void fixture_init(struct fixture *f, const char *server, const char *client) {
        *f = (struct fixture){
                .event = new_loop(), .server_tls = load_tls(server), .client_tls = load_tls(client)
        };
}

static void fixture_clear(struct fixture *f) {
        end_clear(&f->client);
        end_clear(&f->server);
        tls_context_unref(f->server_tls);
        tls_context_unref(f->client_tls);
        sd_event_unref(f->event);
}

/* Connects with the two members' certificates until both have come to an end of the handshake. */
static void shake_hands(struct fixture *f, const char *server, const char *client, const char *server_name) {
        fixture_init(f, server, client);
        connect_ends(f->event, &f->server, f->server_tls, &f->client, f->client_tls, server_name);
        RUN_UNTIL(f->event, (f->server.ready || f->server.closed) && (f->client.ready || f->client.closed));
}

/* --- accepted --- */

Test(tls, both_ends_know_each_other) {
        const struct tls_identity *identity;
        struct fixture f;

        shake_hands(&f, "admin-vm", "app-vm", "admin-vm");
        cr_assert(f.server.ready, "%s", f.server.reason);
        cr_assert(f.client.ready, "%s", f.client.reason);

        identity = bytestream_peer_identity(f.server.stream);
        cr_assert_str_eq(identity->name, "app-vm");
        cr_assert_str_eq(identity->names[0], "app-vm");
        cr_assert(!identity->names[1]);
        cr_assert(tls_identity_has_ip(identity, (const uint8_t *) "\x7f\0\0\1", 4));
        cr_assert(!tls_identity_has_ip(identity, (const uint8_t *) "\x7f\0\0\2", 4));
        cr_assert(strlen(identity->serial) > 0);

        identity = bytestream_peer_identity(f.client.stream);
        cr_assert_str_eq(identity->name, "admin-vm");
        cr_assert(identity->n_ips == 2 && identity->ips[1].length == 16);
        fixture_clear(&f);
}

static void check_accepted(const char *server, const char *client) {
        struct fixture f;

        shake_hands(&f, server, client, "admin-vm");
        cr_assert(f.server.ready, "%s", f.server.reason);
        cr_assert(bytestream_write(f.client.stream, "x", 1) == 0);
        cr_assert(bytestream_flush(f.client.stream) == 0);
        RUN_UNTIL(f.event, buffer_length(&f.server.got) == 1);
        fixture_clear(&f);
}

Test(tls, a_ca_file_may_hold_several) {
        check_accepted("admin-vm", "two-cas-vm");
}

Test(tls, a_chain_may_hold_its_root) {
        check_accepted("admin-vm", "chain-vm");
}

/* Who may call is for others to decide: TLS says only that there is no name. */
Test(tls, a_certificate_without_a_name_makes_a_nameless_peer) {
        struct fixture f;

        shake_hands(&f, "admin-vm", "nameless-vm", "admin-vm");
        cr_assert(f.server.ready, "%s", f.server.reason);
        cr_assert(!bytestream_peer_identity(f.server.stream)->name);
        cr_assert(bytestream_peer_identity(f.server.stream)->n_ips == 1);
        fixture_clear(&f);
}

Test(tls, a_name_with_a_nul_in_it_is_none) {
        struct fixture f;

        shake_hands(&f, "admin-vm", "nul-vm", "admin-vm");
        cr_assert(f.server.ready, "%s", f.server.reason);
        cr_assert_str_eq(bytestream_peer_identity(f.server.stream)->name, "ok-vm");
        cr_assert(!bytestream_peer_identity(f.server.stream)->names[1]);
        fixture_clear(&f);
}

/* A server, and a client that is no stream, so that it can do what streams do not. */
struct half_raw {
        sd_event *event;
        struct tls_context *server_tls, *client_tls;
        struct end server;
        struct tls_session *client;
        struct buffer output;
        int fd;
};

/* Hands over what the client has to say. */
static void half_raw_send(struct half_raw *h) {
        size_t n = buffer_length(&h->output);

        cr_assert(write(h->fd, buffer_bytes(&h->output), n) == (ssize_t) n);
        buffer_clear(&h->output);
}

static void half_raw_init(struct half_raw *h) {
        int r;

        *h = (struct half_raw){
                .event = new_loop(),
                .server_tls = load_tls("admin-vm"),
                .client_tls = load_tls("app-vm"),
        };
        h->fd = accept_raw(h->event, &h->server, h->server_tls, PATIENCE_USEC);
        cr_assert(tls_session_new(&h->client, h->client_tls, h->fd, &h->output, "admin-vm") == 0);
        do {
                r = tls_session_handshake(h->client);
                cr_assert(r == 0 || r == -EAGAIN, "%s", tls_session_reason(h->client));
                half_raw_send(h);
                run_idle(h->event);
                tls_session_socket_readable(h->client);
        } while (r == -EAGAIN);
        cr_assert(h->server.ready, "%s", h->server.reason);
}

static void half_raw_clear(struct half_raw *h) {
        tls_session_free(h->client);
        buffer_clear(&h->output);
        close(h->fd);
        end_clear(&h->server);
        tls_context_unref(h->server_tls);
        tls_context_unref(h->client_tls);
        sd_event_unref(h->event);
}

/* RFC 8446 section 4.6.3: new keys in both directions, in the midst of data. */
Test(tls, keys_are_updated) {
        struct half_raw h;
        char data[64];

        half_raw_init(&h);
        for (int i = 0; i < 20; i++) {
                size_t n = buffer_length(&h.server.got);

                cr_assert(tls_session_write(h.client, "before", 6) == 0);
                cr_assert(tls_session_update_keys(h.client) == 0);
                cr_assert(tls_session_write(h.client, "after", 5) == 0);
                cr_assert(tls_session_seal(h.client) == 0);
                half_raw_send(&h);
                RUN_UNTIL(h.event, buffer_length(&h.server.got) == n + 11 || h.server.closed);
                cr_assert(!h.server.closed, "%s", h.server.reason);

                cr_assert(bytestream_write(h.server.stream, "answer", 6) == 0);
                cr_assert(bytestream_flush(h.server.stream) == 0);
                tls_session_socket_readable(h.client);
                cr_assert(tls_session_read(h.client, data, sizeof(data)) == 6, "%s",
                                tls_session_reason(h.client));
        }
        half_raw_clear(&h);
}

/* Each asks for an answer; none is read. The server must not pile them up. */
Test(tls, a_peer_that_asks_for_keys_without_end) {
        struct half_raw h;
        int n;

        half_raw_init(&h);
        for (n = 0; n < 100000 && !h.server.closed; n++) {
                cr_assert(tls_session_update_keys(h.client) == 0);
                half_raw_send(&h);
                run_idle(h.event);
                cr_assert(h.server.closed || bytestream_pending(h.server.stream) <= 128 * 1024);
        }
        cr_assert(h.server.closed, "%d updates were answered", n);
        cr_assert_str_eq(h.server.reason, "peer has us send without end and reads nothing");
        half_raw_clear(&h);
}

/* --- refused --- */

/* The server does not like the client: what the server logs, and what the client hears of it. */
static void check_client_refused(const char *client, int error, const char *reason, const char *alert) {
        struct fixture f;

        shake_hands(&f, "admin-vm", client, "admin-vm");
        cr_assert(f.server.closed, "%s was accepted", client);
        cr_assert_str_eq(f.server.reason, reason);
        cr_assert(f.server.error == error);
        cr_assert(!bytestream_peer_identity(f.server.stream));
        /* In TLS 1.3 the client is done before it is refused. */
        RUN_UNTIL(f.event, f.client.closed);
        cr_assert(strstr(f.client.reason, alert), "%s", f.client.reason);
        fixture_clear(&f);
}

static void check_server_refused(
                const char *server, const char *name, const char *reason, const char *alert) {
        struct fixture f;

        shake_hands(&f, server, "app-vm", name);
        cr_assert(f.client.closed && !f.client.ready, "%s was accepted", server);
        cr_assert_str_eq(f.client.reason, reason);
        RUN_UNTIL(f.event, f.server.closed);
        cr_assert(!f.server.ready);
        cr_assert(strstr(f.server.reason, alert), "%s", f.server.reason);
        fixture_clear(&f);
}

Test(tls, a_client_with_an_expired_certificate) {
        check_client_refused(
                        "expired-vm", -EKEYEXPIRED, "peer's certificate has expired", "certificate_expired");
}

Test(tls, a_client_with_a_certificate_not_yet_valid) {
        check_client_refused("future-vm", -EKEYREJECTED,
                        "peer's certificate is not yet valid (or the clock here is slow)",
                        "certificate_expired");
}

Test(tls, a_client_of_another_ca) {
        check_client_refused(
                        "foreign-vm", -EKEYREJECTED, "peer's certificate is of an unknown CA", "unknown_ca");
}

Test(tls, a_client_without_a_ca) {
        check_client_refused("self-vm", -EKEYREJECTED, "peer's certificate is self-signed, not of our CA",
                        "bad_certificate");
}

Test(tls, a_client_with_a_server_certificate) {
        check_client_refused("server-only-vm", -EKEYREJECTED,
                        "peer's certificate is not for this side of TLS (extended key usage)", "alert");
}

/* app-vm has certified itself as admin-vm. */
Test(tls, a_client_certified_by_one_that_is_no_ca) {
        struct fixture f;

        shake_hands(&f, "admin-vm", "leaf-vm", "admin-vm");
        cr_assert(f.server.closed, "accepted as %s", bytestream_peer_identity(f.server.stream)->name);
        cr_assert_str_eq(f.server.reason, "peer's certificate is of an unknown CA");
        fixture_clear(&f);
}

Test(tls, a_server_with_an_expired_certificate) {
        check_server_refused(
                        "expired-vm", "expired-vm", "peer's certificate has expired", "certificate_expired");
}

Test(tls, a_server_of_another_ca) {
        check_server_refused("foreign-vm", "app-vm", "peer's certificate is of an unknown CA", "unknown_ca");
}

Test(tls, a_server_of_another_name) {
        check_server_refused("app-vm", "admin-vm",
                        "server's certificate names app-vm, not admin-vm as expected", "bad_certificate");
}

Test(tls, a_server_without_a_name) {
        check_server_refused("nameless-vm", "nameless-vm",
                        "server's certificate names nobody, not nameless-vm as expected", "bad_certificate");
}

Test(tls, a_server_whose_name_has_a_nul_in_it) {
        check_server_refused("nul-vm", "admin-vm",
                        "server's certificate names ok-vm, not admin-vm as expected", "bad_certificate");
}

Test(tls, a_name_that_is_none_cannot_be_asked_for) {
        static const char *const names[] = { "", "a b", "a\n" };
        struct rpc_address address;
        const char *error;
        struct fixture f;

        fixture_init(&f, "admin-vm", "app-vm");
        cr_assert(rpc_address_parse(&address, "127.0.0.1:1", &error) == 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                cr_assert(bytestream_new_connecting(&f.client.stream, f.event, &address, f.client_tls,
                                          names[i], PATIENCE_USEC, &end_ops, &f.client) == -EINVAL);
        cr_assert(bytestream_new_connecting(&f.client.stream, f.event, &address, f.client_tls, NULL,
                                  PATIENCE_USEC, &end_ops, &f.client) == -EINVAL);
        fixture_clear(&f);
}

/* --- strangers --- */

static void check_garbage(const void *p, size_t n, const char *reason) {
        sd_event *event = new_loop();
        struct tls_context *tls = load_tls("admin-vm");
        struct end server = {};
        int fd;

        fd = accept_raw(event, &server, tls, PATIENCE_USEC);
        cr_assert(write(fd, p, n) == (ssize_t) n);
        cr_assert(shutdown(fd, SHUT_WR) == 0);
        RUN_UNTIL(event, server.closed);
        cr_assert(!server.ready);
        if (reason)
                cr_assert_str_eq(server.reason, reason);
        close(fd);
        end_clear(&server);
        tls_context_unref(tls);
        sd_event_unref(event);
}

Test(tls, plain_text) {
        static const char http[] = "GET / HTTP/1.1\r\nHost: admin-vm\r\n\r\n";
        static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

        check_garbage(http, sizeof(http) - 1, "peer does not speak TLS (plain text?)");
        check_garbage(preface, sizeof(preface) - 1, "peer does not speak TLS (plain text?)");
        check_garbage("\n", 1, "peer closed the connection during the handshake");
        check_garbage("", 0, "peer closed the connection during the handshake");
}

Test(tls, random_garbage) {
        uint8_t data[512];

        srand(1);
        for (int i = 0; i < 300; i++) {
                size_t n = 1 + (size_t) rand() % sizeof(data);

                for (size_t k = 0; k < n; k++)
                        data[k] = (uint8_t) rand();
                /* Every other one gets past the first look: a handshake record. */
                if (i % 2 && n > 5)
                        memcpy(data, (const uint8_t[]){ 22, 3, 1, 0, (uint8_t) (n - 5) }, 5);
                check_garbage(data, n, NULL);
        }
}

/* What comes after the handshake is garbled: nothing of it is read. */
Test(tls, a_record_that_is_not_authentic) {
        uint8_t record[5 + 40] = { 23, 3, 3, 0, 40 };
        struct fixture f;

        shake_hands(&f, "admin-vm", "app-vm", "admin-vm");
        cr_assert(f.server.ready);
        cr_assert(send(bytestream_fd(f.client.stream), record, sizeof(record), 0) == sizeof(record));
        RUN_UNTIL(f.event, f.server.closed);
        cr_assert_str_eq(f.server.reason, "a record is not authentic");
        cr_assert(f.server.error == -EBADMSG);
        cr_assert(buffer_length(&f.server.got) == 0);
        RUN_UNTIL(f.event, f.client.closed);
        cr_assert(strstr(f.client.reason, "bad_record_mac"), "%s", f.client.reason);
        fixture_clear(&f);
}

Test(tls, a_peer_that_says_nothing_times_out) {
        sd_event *event = new_loop();
        struct tls_context *tls = load_tls("admin-vm");
        struct end server = {};
        int fd;

        fd = accept_raw(event, &server, tls, 100 * USEC_PER_MSEC);
        RUN_UNTIL(event, server.closed);
        cr_assert(server.error == -ETIMEDOUT);
        cr_assert_str_eq(server.reason, "handshake timed out");
        close(fd);
        end_clear(&server);
        tls_context_unref(tls);
        sd_event_unref(event);
}

/* --- openssl as the other end --- */

struct child {
        pid_t pid;
        int in, out; /* its standard input, and what it prints */
};

static struct child start(const char *format, ...) _printf_(1, 2);
static struct child start(const char *format, ...) {
        char command[2048];
        int in[2], out[2];
        struct child child;
        va_list ap;

        va_start(ap, format);
        vsnprintf(command, sizeof(command), format, ap);
        va_end(ap);
        cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
        child = (struct child){ .pid = fork(), .in = in[1], .out = out[0] };
        cr_assert(child.pid >= 0);
        if (child.pid == 0) {
                dup2(in[0], STDIN_FILENO);
                dup2(out[1], STDOUT_FILENO);
                dup2(out[1], STDERR_FILENO);
                execl("/bin/sh", "sh", "-c", command, NULL);
                _exit(127);
        }
        close(in[0]);
        close(out[1]);
        return child;
}

static void stop(struct child *child) {
        kill(child->pid, SIGTERM);
        waitpid(child->pid, NULL, 0);
        close(child->in);
        close(child->out);
}

/* A server of ours to which "openssl s_client OPTIONS" connects. */
static struct child openssl_client(struct fixture *f, const char *member, const char *options) {
        struct rpc_address address;
        struct child child;
        int listener, fd;

        listener = listen_on("127.0.0.1:0", &address);
        child = start("exec openssl s_client -connect 127.0.0.1:%u -CAfile %s %s%s %s%s %s",
                        ntohs(address.in.sin_port), cert_path("admin-vm", "ca-cert.pem"),
                        member ? "-cert " : "", member ? cert_path(member, "cert.pem") : "",
                        member ? "-key " : "", member ? cert_path(member, "key.pem") : "", options);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        close(listener);
        cr_assert(bytestream_new_accepted(&f->server.stream, f->event, fd, f->server_tls, PATIENCE_USEC,
                                  &end_ops, &f->server) == 0);
        return child;
}

static void check_openssl_refused(
                const char *member, const char *options, const char *reason, const char *alert) {
        char said[16384] = {};
        struct child child;
        struct fixture f;
        size_t n = 0;
        ssize_t k;

        fixture_init(&f, "admin-vm", "app-vm");
        child = openssl_client(&f, member, options);
        RUN_UNTIL(f.event, f.server.ready || f.server.closed);
        cr_assert(!f.server.ready, "%s", options);
        cr_assert_str_eq(f.server.reason, reason);
        f.server.stream = bytestream_free(f.server.stream);
        while (n < sizeof(said) - 1 && (k = read(child.out, said + n, sizeof(said) - 1 - n)) > 0)
                n += (size_t) k;
        cr_assert(strstr(said, alert), "%s", said);
        stop(&child);
        fixture_clear(&f);
}

Test(tls, openssl_without_a_certificate) {
        check_openssl_refused(NULL, "-alpn h2 -tls1_3", "peer sent no certificate", "alert number 116");
}

Test(tls, openssl_with_tls_1_2_only) {
        check_openssl_refused("app-vm", "-alpn h2 -tls1_2", "peer offers no TLS 1.3 (protocol version)",
                        "alert number 70");
}

Test(tls, openssl_without_alpn) {
        check_openssl_refused("app-vm", "-tls1_3", "peer does not offer h2 (ALPN)", "alert number 120");
}

Test(tls, openssl_with_another_alpn) {
        check_openssl_refused("app-vm", "-tls1_3 -alpn http/1.1", "peer does not offer h2 (ALPN)",
                        "alert number 120");
}

static void talk_with_openssl(const char *options) {
        struct child child;
        struct fixture f;
        char c = '\0';

        fixture_init(&f, "admin-vm", "app-vm");
        child = openssl_client(&f, "app-vm", options);
        RUN_UNTIL(f.event, f.server.ready || f.server.closed);
        cr_assert(f.server.ready, "%s: %s", options, f.server.reason);
        cr_assert(write(child.in, "to givc\n", 8) == 8);
        RUN_UNTIL(f.event, buffer_length(&f.server.got) == 8);
        cr_assert(memcmp(buffer_bytes(&f.server.got), "to givc\n", 8) == 0);
        cr_assert(bytestream_write(f.server.stream, "\001", 1) == 0);
        cr_assert(bytestream_flush(f.server.stream) == 0);
        while (c != '\001')
                cr_assert(read(child.out, &c, 1) == 1);
        stop(&child);
        fixture_clear(&f);
}

Test(tls, openssl_as_client) {
        talk_with_openssl("-quiet -alpn h2 -tls1_3 -servername admin-vm -verify_return_error");
        talk_with_openssl("-quiet -alpn http/1.1,h2 -groups P-256");
        talk_with_openssl("-quiet -alpn h2 -groups P-521:X25519"); /* a HelloRetryRequest */
        talk_with_openssl("-quiet -alpn h2 -ciphersuites TLS_AES_256_GCM_SHA384");
        talk_with_openssl("-quiet -alpn h2 -ciphersuites TLS_CHACHA20_POLY1305_SHA256");
}

Test(tls, openssl_is_given_our_first_choice_and_no_ticket) {
        char said[16384] = {};
        struct child child;
        struct fixture f;
        size_t n = 0;
        ssize_t k;

        fixture_init(&f, "admin-vm", "app-vm");
        child = openssl_client(&f, "app-vm",
                        "-alpn h2 -ciphersuites TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:"
                        "TLS_AES_128_GCM_SHA256");
        RUN_UNTIL(f.event, f.server.ready || f.server.closed);
        f.server.stream = bytestream_free(f.server.stream);
        while (n < sizeof(said) - 1 && (k = read(child.out, said + n, sizeof(said) - 1 - n)) > 0)
                n += (size_t) k;
        cr_assert(strstr(said, "TLS_AES_128_GCM_SHA256"), "%s", said);
        cr_assert(strstr(said, "ALPN protocol: h2"));
        cr_assert(strstr(said, "X25519"));
        cr_assert(!strstr(said, "Post-Handshake New Session Ticket"));
        stop(&child);
        fixture_clear(&f);
}

/* "openssl s_server OPTIONS" that a client of ours connects to. */
static void connect_to_openssl(struct fixture *f, const char *options, struct child *ret) {
        struct rpc_address address;
        char c = '\0', line[256];
        size_t n = 0;
        int fd;

        fixture_init(f, "admin-vm", "app-vm");
        fd = listen_on("127.0.0.1:0", &address); /* a free port */
        close(fd);
        *ret = start("exec openssl s_server -accept 127.0.0.1:%u -CAfile %s -cert %s -key %s %s",
                        ntohs(address.in.sin_port), cert_path("admin-vm", "ca-cert.pem"),
                        cert_path("admin-vm", "cert.pem"), cert_path("admin-vm", "key.pem"), options);
        /* It says ACCEPT when it listens. */
        do {
                for (n = 0; n < sizeof(line) - 1 && read(ret->out, &c, 1) == 1 && c != '\n';)
                        line[n++] = c;
                line[n] = '\0';
        } while (!strstr(line, "ACCEPT"));
        cr_assert(bytestream_new_connecting(&f->client.stream, f->event, &address, f->client_tls, "admin-vm",
                                  PATIENCE_USEC, &end_ops, &f->client) == 0);
        RUN_UNTIL(f->event, f->client.ready || f->client.closed);
}

Test(tls, openssl_as_server) {
        struct child child;
        struct fixture f;

        connect_to_openssl(&f, "-alpn h2 -tls1_3 -Verify 2 -verify_return_error -naccept 1", &child);
        cr_assert(f.client.ready, "%s", f.client.reason);
        cr_assert_str_eq(bytestream_peer_identity(f.client.stream)->name, "admin-vm");
        cr_assert(write(child.in, "from openssl\n", 13) == 13);
        RUN_UNTIL(f.event, buffer_length(&f.client.got) == 13);
        stop(&child);
        fixture_clear(&f);
}

Test(tls, openssl_as_server_without_alpn) {
        struct child child;
        struct fixture f;

        connect_to_openssl(&f, "-tls1_3", &child);
        cr_assert(f.client.closed);
        cr_assert_str_eq(f.client.reason, "peer did not choose h2 (ALPN)");
        stop(&child);
        fixture_clear(&f);
}

Test(tls, openssl_as_server_with_tls_1_2_only) {
        struct child child;
        struct fixture f;

        connect_to_openssl(&f, "-tls1_2 -alpn h2", &child);
        cr_assert(f.client.closed);
        cr_assert(strstr(f.client.reason, "protocol_version") || strstr(f.client.reason, "TLS 1.3"), "%s",
                        f.client.reason);
        stop(&child);
        fixture_clear(&f);
}

/* --- curl as the other end --- */

Test(tls, curl_as_client) {
        static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        struct rpc_address address;
        struct child child;
        struct fixture f;
        int listener, fd;

        fixture_init(&f, "admin-vm", "app-vm");
        listener = listen_on("127.0.0.1:0", &address);
        child = start("exec curl -sS --http2 --tlsv1.3 --cacert %s --cert %s --key %s --resolve "
                      "admin-vm:%u:127.0.0.1 "
                      "https://admin-vm:%u/",
                        cert_path("app-vm", "ca-cert.pem"), cert_path("app-vm", "cert.pem"),
                        cert_path("app-vm", "key.pem"), ntohs(address.in.sin_port),
                        ntohs(address.in.sin_port));
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        close(listener);
        cr_assert(bytestream_new_accepted(&f.server.stream, f.event, fd, f.server_tls, PATIENCE_USEC,
                                  &end_ops, &f.server) == 0);
        RUN_UNTIL(f.event, buffer_length(&f.server.got) >= sizeof(preface) - 1 || f.server.closed);
        cr_assert(!f.server.closed, "%s", f.server.reason);
        cr_assert(memcmp(buffer_bytes(&f.server.got), preface, sizeof(preface) - 1) == 0);
        stop(&child);
        fixture_clear(&f);
}

/* --- files --- */

static void check_files(int error, const char *text, const char *ca, const char *cert, const char *key) {
        _cleanup_(tls_context_unrefp) struct tls_context *tls = NULL;
        _cleanup_(freep) char *reason = NULL;

        cr_assert(tls_context_new(&tls, ca, cert, key, &reason) == error, "%s %s: %s", cert, key, reason);
        cr_assert(reason && strstr(reason, text), "%s", reason);
}

static const char *make_file(const char *name, const char *content, mode_t mode) {
        const char *path = cert_path(".", name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        cr_assert(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t) strlen(content));
        cr_assert(fchmod(fd, mode) == 0);
        close(fd);
        return path;
}

Test(tls, our_own_identity) {
        struct tls_context *tls = load_tls("admin-vm");

        cr_assert_str_eq(tls_context_identity(tls)->name, "admin-vm");
        cr_assert(tls_context_identity(tls)->n_ips == 2);
        tls_context_unref(tls);
        /* Expired is no reason not to start: the clock may be wrong. */
        tls_context_unref(load_tls("expired-vm"));
}

Test(tls, files_that_will_not_do) {
        const char *ca = cert_path("admin-vm", "ca-cert.pem"), *cert = cert_path("admin-vm", "cert.pem");
        const char *key = cert_path("admin-vm", "key.pem"), *junk = make_file("junk.pem", "junk\n", 0600);
        const char *empty = make_file("empty.pem", "", 0600);

        check_files(-ENOENT, "absent.pem: No such file", cert_path("admin-vm", "absent.pem"), cert, key);
        check_files(-ENOENT, "absent.pem: No such file", ca, cert_path("admin-vm", "absent.pem"), key);
        check_files(-ENOENT, "absent.pem: No such file", ca, cert, cert_path("admin-vm", "absent.pem"));
        check_files(-EBADMSG, "junk.pem: no usable CA", junk, cert, key);
        check_files(-EBADMSG, "empty.pem: no usable CA", empty, cert, key);
        check_files(-EBADMSG, "junk.pem: no usable certificate", ca, junk, key);
        check_files(-EBADMSG, "junk.pem: no usable private key", ca, cert, junk);
        check_files(-EBADMSG, "empty.pem: is empty", ca, cert, empty);
        check_files(-EBADMSG, "key.pem: is not the key of the certificate", ca, cert,
                        cert_path("expired-vm", "key.pem"));
        check_files(-EBADF, "is not a regular file", ca, cert, "/dev/null");
}

Test(tls, a_key_that_others_may_read) {
        static const mode_t modes[] = { 0640, 0604, 0660, 0620, 0444 };
        _cleanup_(freep) char *key = NULL;

        cr_assert(text_read_file(cert_path("admin-vm", "key.pem"), 65536, &key, NULL) == 0);
        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                check_files(-EKEYREJECTED, "others than its owner may read",
                                cert_path("admin-vm", "ca-cert.pem"), cert_path("admin-vm", "cert.pem"),
                                make_file("open.pem", key, modes[i]));
}

/* Of a credential, the group's permissions may be an ACL's mask: what others may do counts, and who may
 * write. */
Test(tls, a_key_that_the_service_manager_hands_over) {
        const char *ca = cert_path("admin-vm", "ca-cert.pem"), *cert = cert_path("admin-vm", "cert.pem");
        _cleanup_(freep) char *pem = NULL, *reason = NULL, *directory = NULL;
        struct tls_context *tls;
        const char *key;

        cr_assert(text_read_file(cert_path("admin-vm", "key.pem"), 65536, &pem, NULL) == 0);
        key = make_file("handed.pem", pem, 0440);
        cr_assert(setenv("CREDENTIALS_DIRECTORY", cert_path(".", "."), 1) == 0);
        check_files(-EKEYREJECTED, "others than its owner may read", ca, cert, key);
        cr_assert(setenv("CREDENTIALS_DIRECTORY", cert_path(".", ""), 1) == 0);
        check_files(-EKEYREJECTED, "others than its owner may read", ca, cert, key);

        directory = strndup(key, (size_t) (strrchr(key, '/') - key));
        cr_assert(setenv("CREDENTIALS_DIRECTORY", directory, 1) == 0);
        cr_assert(tls_context_new(&tls, ca, cert, key, &reason) == 0, "%s", reason);
        tls_context_unref(tls);
        check_files(-EKEYREJECTED, "others than its owner may read", ca, cert,
                        make_file("open.pem", pem, 0444));
        check_files(-EKEYREJECTED, "others than its owner may read", ca, cert,
                        make_file("open.pem", pem, 0460));
}

/* --- what certificates say --- */

Test(tls, a_certificate_is_told_to_people) {
        _cleanup_(tls_certificate_clear) struct tls_certificate certificate = TLS_CERTIFICATE_NULL;
        _cleanup_(freep) char *error = NULL;

        cr_assert_eq(tls_certificate_read(&certificate, cert_path("admin-vm", "cert.pem"), &error), 0);
        cr_assert_null(error);
        cr_assert_str_eq(certificate.subject, "/CN=admin-vm");
        cr_assert_str_eq(certificate.issuer, "/CN=GivcCA");
        cr_assert_lt(certificate.not_before, time(NULL));
        cr_assert_gt(certificate.not_after, time(NULL));
        cr_assert_str_eq(certificate.identity.name, "admin-vm");
        tls_certificate_clear(&certificate);
        cr_assert_eq(tls_certificate_read(&certificate, cert_path("expired-vm", "cert.pem"), &error), 0);
        cr_assert_lt(certificate.not_after, time(NULL));
}

static void check_no_certificate(const char *path, int expected, const char *text) {
        _cleanup_(tls_certificate_clear) struct tls_certificate certificate = TLS_CERTIFICATE_NULL;
        _cleanup_(freep) char *error = NULL;

        cr_assert_eq(tls_certificate_read(&certificate, path, &error), expected);
        cr_assert(error && strstr(error, text), "%s", error);
        cr_assert_null(certificate.subject);
}

Test(tls, what_is_no_certificate_is_not_told) {
        check_no_certificate(make_file("junk.pem", "junk\n", 0600), -EBADMSG, "junk.pem: no usable");
        check_no_certificate(make_file("empty.pem", "", 0600), -EBADMSG, "empty.pem: no usable");
        check_no_certificate(cert_path("admin-vm", "key.pem"), -EBADMSG, "key.pem: no usable");
        check_no_certificate(cert_path("admin-vm", "absent.pem"), -ENOENT, "absent.pem: No such file");
}

/* --- names in certificates --- */

Test(tls, no_byte_of_a_certificate_can_harm) {
        struct tls_identity identity;
        uint8_t der[4096], broken[4096];
        struct child child;
        ssize_t n;

        child = start("openssl x509 -in %s -outform DER", cert_path("admin-vm", "cert.pem"));
        waitpid(child.pid, NULL, 0);
        n = read(child.out, der, sizeof(der));
        close(child.in);
        close(child.out);
        cr_assert(n > 200);
        cr_assert(tls_identity_from_der(&identity, der, (size_t) n) == 0);
        cr_assert_str_eq(identity.name, "admin-vm");
        tls_identity_clear(&identity);

        /* Cut anywhere, and each byte changed: refused, or read, but never past its end (AddressSanitizer
         * watches). */
        for (size_t i = 0; i < (size_t) n; i++) {
                _cleanup_(freep) uint8_t *exact = malloc(MAX(i, (size_t) 1));

                memcpy(exact, der, i);
                cr_assert(tls_identity_from_der(&identity, exact, i) == -EBADMSG);
                for (int change = 0; change < 3; change++) {
                        memcpy(broken, der, (size_t) n);
                        broken[i] = (uint8_t) (change == 0 ? 0 : change == 1 ? 0xFF : broken[i] + 1);
                        if (tls_identity_from_der(&identity, broken, (size_t) n) == 0)
                                tls_identity_clear(&identity);
                }
        }
}
