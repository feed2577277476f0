/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is taken for whom, who is refused, and what comes that is no TLS. */
#include "stream-pair.h"
#include "tls-internal.h"

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
