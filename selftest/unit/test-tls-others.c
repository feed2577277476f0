/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS of others at the other end: what they say of us, and we of them. */
#include "stream-pair.h"

#include <fcntl.h>
#include <signal.h>

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

/* All that it prints, up to its end. */
static const char *read_all_of(const struct child *child) {
        static char said[16384];
        size_t n = 0;
        ssize_t k;

        while (n < sizeof(said) - 1 && (k = read(child->out, said + n, sizeof(said) - 1 - n)) > 0)
                n += (size_t) k;
        said[n] = '\0';
        return said;
}

/* --- openssl --- */

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
        struct child child;
        struct fixture f;
        const char *said;

        fixture_init(&f, "admin-vm", "app-vm");
        child = openssl_client(&f, member, options);
        RUN_UNTIL(f.event, f.server.ready || f.server.closed);
        cr_assert(!f.server.ready, "%s", options);
        cr_assert_str_eq(f.server.reason, reason);
        f.server.stream = bytestream_free(f.server.stream);
        said = read_all_of(&child);
        cr_assert(strstr(said, alert), "%s", said);
        stop(&child);
        fixture_clear(&f);
}

Test(tls_others, openssl_without_a_certificate) {
        check_openssl_refused(NULL, "-alpn h2 -tls1_3", "peer sent no certificate", "alert number 116");
}

Test(tls_others, openssl_with_tls_1_2_only) {
        check_openssl_refused("app-vm", "-alpn h2 -tls1_2", "peer offers no TLS 1.3 (protocol version)",
                        "alert number 70");
}

Test(tls_others, openssl_without_alpn) {
        check_openssl_refused("app-vm", "-tls1_3", "peer does not offer h2 (ALPN)", "alert number 120");
}

Test(tls_others, openssl_with_another_alpn) {
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

Test(tls_others, openssl_as_client) {
        talk_with_openssl("-quiet -alpn h2 -tls1_3 -servername admin-vm -verify_return_error");
        talk_with_openssl("-quiet -alpn http/1.1,h2 -groups P-256");
        talk_with_openssl("-quiet -alpn h2 -groups P-521:X25519"); /* a HelloRetryRequest */
        talk_with_openssl("-quiet -alpn h2 -ciphersuites TLS_AES_256_GCM_SHA384");
        talk_with_openssl("-quiet -alpn h2 -ciphersuites TLS_CHACHA20_POLY1305_SHA256");
}

Test(tls_others, openssl_is_given_our_first_choice_and_no_ticket) {
        struct child child;
        struct fixture f;
        const char *said;

        fixture_init(&f, "admin-vm", "app-vm");
        child = openssl_client(&f, "app-vm",
                        "-alpn h2 -ciphersuites TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:"
                        "TLS_AES_128_GCM_SHA256");
        RUN_UNTIL(f.event, f.server.ready || f.server.closed);
        f.server.stream = bytestream_free(f.server.stream);
        said = read_all_of(&child);
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

Test(tls_others, openssl_as_server) {
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

Test(tls_others, openssl_as_server_without_alpn) {
        struct child child;
        struct fixture f;

        connect_to_openssl(&f, "-tls1_3", &child);
        cr_assert(f.client.closed);
        cr_assert_str_eq(f.client.reason, "peer did not choose h2 (ALPN)");
        stop(&child);
        fixture_clear(&f);
}

Test(tls_others, openssl_as_server_with_tls_1_2_only) {
        struct child child;
        struct fixture f;

        connect_to_openssl(&f, "-tls1_2 -alpn h2", &child);
        cr_assert(f.client.closed);
        cr_assert(strstr(f.client.reason, "protocol_version") || strstr(f.client.reason, "TLS 1.3"), "%s",
                        f.client.reason);
        stop(&child);
        fixture_clear(&f);
}

/* --- curl --- */

Test(tls_others, curl_as_client) {
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
