/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a call has carried is nowhere in the process's memory when the call is over. */
#include "rpc-pair.h"
#include "stream-pair.h"
#include "valgrind.h"

#include <fcntl.h>

/* Of several records, and its end not on a record's edge; and one for which memory grows as it comes in. */
#define RECORDS_BYTES ((size_t) 40 * 1000)
#define GROWING_BYTES ((size_t) 900 * 1000)

/* The secret is never written down as it is, so that it is found only where a call has left it. */
#define MASK 0xa5
static const uint8_t masked[32] = { 0x31, 0xc2, 0x07, 0x9e, 0x5d, 0x48, 0xfb, 0x66, 0x1a, 0xd3, 0x80, 0x2f,
        0xe9, 0x74, 0xbc, 0x15, 0x43, 0xa8, 0x6e, 0xf1, 0x0c, 0x97, 0x52, 0xdd, 0x38, 0x8b, 0xc6, 0x21, 0x7f,
        0xb4, 0xea, 0x19 };

static uint8_t secret_byte(size_t i) {
        return masked[i % sizeof(masked)] ^ MASK;
}

/* What is sent: the secret, or before it something else of the same length. */
static uint8_t flip;
static size_t secret_bytes;

static size_t count_secrets(const uint8_t *p, size_t n) {
        size_t count = 0;

        for (size_t i = 0; i + sizeof(masked) <= n; i++) {
                size_t k = 0;

                while (k < sizeof(masked) && p[i + k] == secret_byte(k))
                        k++;
                count += k == sizeof(masked);
        }
        return count;
}

/* In all that can be written to, the stack too; what a sanitizer keeps for itself is larger than any of
 * ours. */
static size_t find_secrets(void) {
        static uint8_t piece[64 * 1024];
        _cleanup_(closep) int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[512], writable;
        size_t start, end, count = 0;

        cr_assert(memory >= 0 && maps);
        while (fgets(line, sizeof(line), maps)) {
                if (sscanf(line, "%zx-%zx r%c", &start, &end, &writable) != 3 || writable != 'w' ||
                                end - start > (size_t) 256 * 1024 * 1024)
                        continue;
                for (size_t at = start; at < end;) {
                        ssize_t n = pread(memory, piece, MIN(end - at, sizeof(piece)), (off_t) at);

                        if (n <= 0)
                                break;
                        count += count_secrets(piece, (size_t) n);
                        explicit_bzero(piece, (size_t) n);
                        at += (size_t) n;
                }
        }
        fclose(maps);
        return count;
}

static uint8_t *make_secret(Exec__CommandIO *io) {
        uint8_t *bytes = malloc(secret_bytes);

        cr_assert(bytes);
        for (size_t i = 0; i < secret_bytes; i++)
                bytes[i] = secret_byte(i) ^ flip;
        io->payload = (ProtobufCBinaryData){ .data = bytes, .len = secret_bytes };
        return bytes;
}

static void free_secret(uint8_t *bytes) {
        explicit_bzero(bytes, secret_bytes);
        free(bytes);
}

static void answer_secret(struct rpc_call *call, const ProtobufCMessage *message, void *userdata _unused_) {
        Exec__CommandResponse response = EXEC__COMMAND_RESPONSE__INIT;
        Exec__CommandIO io = EXEC__COMMAND_IO__INIT;
        uint8_t *bytes = make_secret(&io);

        cr_assert_eq(stdin_bytes(message), secret_bytes);
        response.event_case = EXEC__COMMAND_RESPONSE__EVENT_STDOUT;
        response.stdout = &io;
        cr_assert_geq(rpc_call_send(call, &response.base), 0);
        free_secret(bytes);
        call_end(call);
}

static void open_secret(struct pair *pair, struct rpc_call *call) {
        static const struct rpc_call_ops ops = { .message = answer_secret, .gone = count_gone };

        rpc_call_set_ops(call, &ops, pair);
}

static void send_secret(struct rpc_client_call *call) {
        Exec__CommandRequest request = EXEC__COMMAND_REQUEST__INIT;
        Exec__CommandIO io = EXEC__COMMAND_IO__INIT;
        uint8_t *bytes = make_secret(&io);

        request.command_case = EXEC__COMMAND_REQUEST__COMMAND_STDIN;
        request.stdin = &io;
        cr_assert_geq(rpc_client_send(call, &request.base), 0);
        free_secret(bytes);
}

static size_t queued(const struct client clients[static 2]) {
        return rpc_client_queued(clients[0].call) + rpc_client_queued(clients[1].call);
}

/* By two calls at once, whose memory grows past the other's. */
static void exchange(struct pair *pair) {
        struct client clients[2] = {};

        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                client_run(&clients[i], pair);
                send_secret(clients[i].call);
        }
        cr_assert_eq(find_secrets() > 0, flip == 0, "the search works");
        if (secret_bytes == RECORDS_BYTES) {
                /* Sent, and nothing is read yet: that could go over what is left. */
                while (queued(clients) > 0)
                        pair_turn(pair);
                cr_assert_eq(find_secrets(), 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                PAIR_UNTIL(pair, clients[i].done);
                cr_assert_eq(clients[i].code, RPC_OK);
                cr_assert_eq(clients[i].bytes, secret_bytes);
        }
        pair_settle(pair);
        cr_assert_eq(find_secrets(), 0);
}

static void check_wiped(size_t n, struct tls_context *server_tls, struct tls_context *client_tls) {
        struct pair pair;

        skip_under_valgrind("keeps registers in memory of its own");
        pair_begin(&pair);
        pair.run = open_secret;
        pair_serve(&pair, NULL);
        rpc_server_set_tls(pair.server, server_tls);
        pair_channel(&pair, (struct rpc_channel_config){ .tls = client_tls, .server_name = "admin-vm" });
        /* Where a library calls a function for the first time, the loader leaves the registers on the stack.
         */
        secret_bytes = n;
        flip = 1;
        exchange(&pair);
        flip = 0;
        exchange(&pair);
        pair_end(&pair);
}

Test(wiped, in_clear) {
        check_wiped(RECORDS_BYTES, NULL, NULL);
        check_wiped(GROWING_BYTES, NULL, NULL);
}

Test(wiped, under_tls) {
        struct tls_context *server = load_tls("admin-vm"), *client = load_tls("app-vm");

        check_wiped(RECORDS_BYTES, server, client);
        check_wiped(GROWING_BYTES, server, client);
        tls_context_unref(server);
        tls_context_unref(client);
}
