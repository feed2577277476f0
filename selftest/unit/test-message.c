/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "message.h"

#include "descriptor_subset.pb-c.h"
#include "exec.pb-c.h"
#include "http2.h"
#include "systemd.pb-c.h"

#include <criterion/criterion.h>

#define LIMIT 1000

/* --- the reader --- */

struct reading {
        struct message_budget budget;
        struct message_reader reader;
};

static void reading_init(struct reading *r, size_t limit, size_t budget) {
        r->budget = (struct message_budget){ .limit = budget };
        message_reader_init(&r->reader, limit, &r->budget);
}

/* A message of n bytes that tell where they stand. */
static void append_message(struct buffer *wire, size_t n) {
        const uint8_t prefix[] = { 0, (uint8_t) (n >> 24), (uint8_t) (n >> 16), (uint8_t) (n >> 8),
                (uint8_t) n };

        cr_assert_eq(buffer_append(wire, prefix, sizeof(prefix)), 0);
        for (size_t i = 0; i < n; i++)
                cr_assert_eq(buffer_append(wire, &(char){ (char) (n + i) }, 1), 0);
}

static const size_t lengths[] = { 0, 1, 2, 5, 0, 0, 127, 128, 999, 1000, 3, 0 };

/* Feeds in pieces of `step` bytes, and expects the messages of `lengths`. */
static void check_steps(size_t step) {
        struct buffer wire = BUFFER_NULL;
        struct reading r;
        size_t seen = 0;

        reading_init(&r, LIMIT, LIMIT);
        for (size_t i = 0; i < ELEMENTSOF(lengths); i++)
                append_message(&wire, lengths[i]);

        for (size_t at = 0; at < buffer_length(&wire);) {
                /* Memory of its own, so that reading past its end is noticed. */
                size_t n = MIN(step, buffer_length(&wire) - at), left = n;
                _cleanup_(freep) uint8_t *piece = malloc(n);

                memcpy(piece, buffer_bytes(&wire) + at, n);
                while (left > 0) {
                        const uint8_t *message;
                        size_t taken, length;
                        int result;

                        result = message_reader_feed(
                                        &r.reader, piece + n - left, left, &taken, &message, &length);
                        cr_assert_geq(result, 0);
                        cr_assert_leq(taken, left);
                        left -= taken;
                        if (result == 0) {
                                cr_assert_eq(left, 0);
                                continue;
                        }
                        cr_assert_lt(seen, ELEMENTSOF(lengths));
                        cr_assert_eq(length, lengths[seen]);
                        for (size_t i = 0; i < length; i++)
                                cr_assert_eq(message[i], (uint8_t) (length + i));
                        cr_assert(message_reader_is_between(&r.reader));
                        seen++;
                }
                at += n;
        }
        cr_assert_eq(seen, ELEMENTSOF(lengths));
        message_reader_clear(&r.reader);
        cr_assert_eq(r.budget.used, 0);
        buffer_clear(&wire);
}

Test(reader, the_size_of_the_pieces_does_not_matter) {
        for (size_t step = 1; step < 20; step++)
                check_steps(step);
        check_steps(1004);
        check_steps(1005);
        check_steps(100000);
}

static int feed(struct reading *r, const void *bytes, size_t n) {
        const uint8_t *message;
        size_t taken, length;

        return message_reader_feed(&r->reader, bytes, n, &taken, &message, &length);
}

Test(reader, a_message_in_its_middle_is_not_between) {
        struct reading r;

        reading_init(&r, LIMIT, LIMIT);
        cr_assert(message_reader_is_between(&r.reader));
        cr_assert_eq(feed(&r, "\0\0", 2), 0);
        cr_assert_not(message_reader_is_between(&r.reader));
        cr_assert_eq(feed(&r, "\0\0\2", 3), 0);
        cr_assert_not(message_reader_is_between(&r.reader));
        cr_assert_eq(feed(&r, "a", 1), 0);
        cr_assert_not(message_reader_is_between(&r.reader));
        cr_assert_eq(feed(&r, "b", 1), 1);
        cr_assert(message_reader_is_between(&r.reader));
        message_reader_clear(&r.reader);
}

Test(reader, the_limit_is_told_before_any_byte_is_kept) {
        struct reading r;

        reading_init(&r, LIMIT, SIZE_MAX);
        cr_assert_eq(feed(&r, "\0\0\0\x03\xe9", 5), -EMSGSIZE);
        cr_assert_null(r.reader.data);
        message_reader_clear(&r.reader);

        reading_init(&r, LIMIT, SIZE_MAX);
        cr_assert_eq(feed(&r, "\0\xff\xff\xff\xff", 5), -EMSGSIZE);
        message_reader_clear(&r.reader);
}

Test(reader, flags) {
        struct reading r;

        reading_init(&r, LIMIT, LIMIT);
        cr_assert_eq(feed(&r, "\1\0\0\0\0", 5), -EPROTO);
        message_reader_clear(&r.reader);
        for (int flag = 2; flag < 256; flag++) {
                const uint8_t prefix[] = { (uint8_t) flag, 0, 0, 0, 0 };

                reading_init(&r, LIMIT, LIMIT);
                cr_assert_eq(feed(&r, prefix, sizeof(prefix)), -EBADMSG);
                message_reader_clear(&r.reader);
        }
}

Test(reader, the_budget_is_shared_and_given_back) {
        struct message_budget budget = { .limit = 1500 };
        struct message_reader a, b;
        const uint8_t *message;
        size_t taken, length;

        message_reader_init(&a, LIMIT, &budget);
        message_reader_init(&b, LIMIT, &budget);
        /* Announced, not begun: nothing is charged. */
        cr_assert_eq(message_reader_feed(
                                     &a, (const uint8_t *) "\0\0\0\x03\xe8", 5, &taken, &message, &length),
                        0);
        cr_assert_eq(budget.used, 0);
        cr_assert_eq(message_reader_feed(&a, (const uint8_t *) "x", 1, &taken, &message, &length), 0);
        cr_assert_eq(budget.used, 1000);
        cr_assert_eq(message_reader_feed(
                                     &b, (const uint8_t *) "\0\0\0\x03\xe8x", 6, &taken, &message, &length),
                        -ENOBUFS);
        cr_assert_eq(budget.used, 1000);
        message_reader_clear(&b);
        message_reader_clear(&b);
        cr_assert_eq(budget.used, 1000);
        message_reader_clear(&a);
        cr_assert_eq(budget.used, 0);
}

Test(reader, a_length_that_lies_takes_no_memory) {
        struct reading r;

        reading_init(&r, 64 * 1024 * 1024, SIZE_MAX);
        cr_assert_eq(feed(&r,
                                     "\0\x03\xff\xff\xff"
                                     "x",
                                     6),
                        0);
        cr_assert_leq(r.reader.size, 128 * 1024);
        message_reader_clear(&r.reader);
}

Test(reader, a_large_message_grows_with_what_comes) {
        static uint8_t piece[10007];
        size_t total = 3 * 1024 * 1024 + 1, sent = 0, taken, length;
        const uint8_t prefix[] = { 0, 0, 0x30, 0, 1 };
        const uint8_t *message = NULL;
        struct reading r;
        int result = 0;

        reading_init(&r, 4 * 1024 * 1024, 4 * 1024 * 1024);
        cr_assert_eq(feed(&r, prefix, sizeof(prefix)), 0);
        while (sent < total) {
                size_t n = MIN(sizeof(piece), total - sent);

                for (size_t i = 0; i < n; i++)
                        piece[i] = (uint8_t) ((sent + i) * 31);
                result = message_reader_feed(&r.reader, piece, n, &taken, &message, &length);
                cr_assert_eq(taken, n);
                sent += n;
                cr_assert_eq(result, sent == total);
                cr_assert_leq(r.reader.size, MAX(2 * sent, (size_t) 128 * 1024) + sizeof(piece));
        }
        cr_assert_eq(length, total);
        for (size_t i = 0; i < total; i++)
                cr_assert_eq(message[i], (uint8_t) (i * 31));
        message_reader_clear(&r.reader);
        cr_assert_eq(r.budget.used, 0);
}

/* --- decoding --- */

static int decode(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t n) {
        /* Memory of its own, so that reading past its end is noticed. */
        _cleanup_(freep) uint8_t *copy = malloc(n + (n == 0));
        ProtobufCMessage *message;
        struct arena arena;
        int r;

        memcpy(copy, bytes, n);
        arena_init(&arena, 1024 * 1024);
        r = message_decode(descriptor, copy, n, &arena, &message);
        arena_clear(&arena);
        return r;
}

Test(decode, a_message_and_every_truncation_of_it) {
        Exec__StartCommand__EnvVarsEntry entry = EXEC__START_COMMAND__ENV_VARS_ENTRY__INIT,
                                         *entries[] = { &entry };
        Exec__StartCommand start = EXEC__START_COMMAND__INIT;
        Exec__CommandRequest request = EXEC__COMMAND_REQUEST__INIT;
        char *arguments[] = { (char *) "get", (char *) "gr\xc3\xbc\xc3\x9f" };
        const Exec__CommandRequest *back;
        ProtobufCMessage *message;
        struct arena arena;
        uint8_t bytes[200];
        unsigned whole = 0;
        size_t n;

        entry.key = (char *) "LANG";
        entry.value = (char *) "C";
        start.command = (char *) "ota-update";
        start.arguments = arguments;
        start.n_arguments = ELEMENTSOF(arguments);
        start.envvars = entries;
        start.n_envvars = ELEMENTSOF(entries);
        request.command_case = EXEC__COMMAND_REQUEST__COMMAND_START;
        request.start = &start;
        n = exec__command_request__pack(&request, bytes);
        cr_assert_lt(n, sizeof(bytes));

        arena_init(&arena, 64 * 1024);
        cr_assert_eq(message_decode(request.base.descriptor, bytes, n, &arena, &message), 0);
        back = (const Exec__CommandRequest *) message;
        cr_assert_eq(back->command_case, EXEC__COMMAND_REQUEST__COMMAND_START);
        cr_assert_str_eq(back->start->command, "ota-update");
        cr_assert_str_eq(back->start->arguments[1], "gr\xc3\xbc\xc3\x9f");
        cr_assert_str_eq(back->start->envvars[0]->value, "C");
        arena_clear(&arena);

        for (size_t i = 0; i < n; i++) {
                int r = decode(request.base.descriptor, bytes, i);

                cr_assert(r == 0 || r == -EBADMSG);
                whole += r == 0;
        }
        cr_assert_eq(whole, 1, "the one field begins with the first byte");
}

Test(decode, strings_are_utf8_without_nul) {
        const ProtobufCMessageDescriptor *d = &systemd__unit_request__descriptor;

        cr_assert_eq(decode(d,
                                     "\x0a\x03"
                                     "abc",
                                     5),
                        0);
        cr_assert_eq(decode(d, "\x0a\x02\xc3\xbc", 4), 0);
        cr_assert_eq(decode(d, "\x0a\x02\xc3(", 4), -EBADMSG);
        cr_assert_eq(decode(d, "\x0a\x01\xff", 3), -EBADMSG);
        cr_assert_eq(decode(d,
                                     "\x0a\x03"
                                     "a\0b",
                                     5),
                        -EBADMSG);
        /* The last of several counts, and all must be well-formed. */
        cr_assert_eq(decode(d, "\x0a\x01\xff\x0a\x01x", 6), -EBADMSG);
        /* Nested, too; bytes may be what they like. */
        cr_assert_eq(decode(&systemd__unit_response__descriptor, "\x0a\x03\x0a\x01\xff", 5), -EBADMSG);
        cr_assert_eq(decode(&systemd__unit_response__descriptor, "\x0a\x03\x0a\x01x", 5), 0);
        cr_assert_eq(decode(&exec__command_io__descriptor, "\x0a\x02\xff\0", 4), 0);
}

Test(decode, unknown_fields_are_passed_over) {
        const ProtobufCMessageDescriptor *d = &systemd__unit_request__descriptor;

        cr_assert_eq(decode(d, "\xf8\x7f\x01", 3), 0);
        cr_assert_eq(decode(d, "\xfa\x7f\x02\xff\0", 5), 0);
        cr_assert_eq(decode(d,
                                     "\xfd\x7f"
                                     "1234",
                                     6),
                        0);
        cr_assert_eq(decode(d,
                                     "\xf9\x7f"
                                     "12345678",
                                     10),
                        0);
        cr_assert_eq(decode(d, "", 0), 0);
}

Test(decode, garbage) {
        const ProtobufCMessageDescriptor *d = &systemd__unit_request__descriptor;

        cr_assert_eq(decode(d, "\x0a", 1), -EBADMSG, "no length");
        cr_assert_eq(decode(d,
                                     "\x0a\x05"
                                     "abc",
                                     5),
                        -EBADMSG, "longer than what there is");
        cr_assert_eq(decode(d, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), -EBADMSG,
                        "a length of 2^64 - 1");
        cr_assert_eq(decode(d, "\x0a\xff\xff\xff\xff\x0f", 6), -EBADMSG);
        cr_assert_eq(decode(d, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12), -EBADMSG,
                        "an endless tag");
        cr_assert_eq(decode(d, "\x00\x01", 2), -EBADMSG, "field 0");
        cr_assert_eq(decode(d, "\x80\x00\x01", 3), -EBADMSG, "field 0, said at length");
        cr_assert_eq(decode(d, "\x80\x80\x80\x80\x10\x01", 6), -EBADMSG, "field 2^29");
        cr_assert_eq(decode(d, "\x0b\x0c", 2), -EBADMSG, "groups");
        cr_assert_eq(decode(d, "\x0e", 1), -EBADMSG, "wire type 6");
        cr_assert_eq(decode(d,
                                     "\x0d"
                                     "1234",
                                     5),
                        -EBADMSG, "a string that is a fixed32");
        for (unsigned first = 0; first < 256; first++)
                for (unsigned second = 0; second < 256; second++) {
                        const uint8_t bytes[] = { (uint8_t) first, (uint8_t) second };
                        int r = decode(d, bytes, sizeof(bytes));

                        cr_assert(r == 0 || r == -EBADMSG);
                }
}

/* message DescriptorProto { repeated DescriptorProto nested_type = 3; } */
static size_t nest(uint8_t *bytes, size_t size, unsigned depth) {
        size_t at = size;

        for (unsigned i = 0; i < depth; i++) {
                size_t n = size - at;

                if (n >= 128) {
                        bytes[--at] = (uint8_t) (n >> 7);
                        bytes[--at] = (uint8_t) (n & 0x7F) | 0x80;
                } else
                        bytes[--at] = (uint8_t) n;
                bytes[--at] = 0x1A;
        }
        return at;
}

Test(decode, nesting_has_an_end) {
        const ProtobufCMessageDescriptor *d = &givc__descriptor__descriptor_proto__descriptor;
        uint8_t bytes[8192];
        size_t at;

        at = nest(bytes, sizeof(bytes), 16);
        cr_assert_eq(decode(d, bytes + at, sizeof(bytes) - at), 0);
        at = nest(bytes, sizeof(bytes), 17);
        cr_assert_eq(decode(d, bytes + at, sizeof(bytes) - at), -EBADMSG);
        at = nest(bytes, sizeof(bytes), 2000);
        cr_assert_eq(decode(d, bytes + at, sizeof(bytes) - at), -EBADMSG);
}

Test(decode, many_small_fields_stay_within_the_arena) {
        static uint8_t bytes[1024 * 1024];
        ProtobufCMessage *message;
        struct arena arena;

        /* string Args = 2 of AppUnitRequest, empty, half a million times. */
        for (size_t i = 0; i < sizeof(bytes); i += 2) {
                bytes[i] = 0x12;
                bytes[i + 1] = 0;
        }
        arena_init(&arena, 4 * sizeof(bytes));
        cr_assert_eq(message_decode(&systemd__app_unit_request__descriptor, bytes, sizeof(bytes), &arena,
                                     &message),
                        -ENOBUFS);
        cr_assert_leq(arena.allocated, 4 * sizeof(bytes));
        arena_clear(&arena);
}

/* --- packing --- */

Test(pack, a_chunk_is_prefix_and_message) {
        Systemd__UnitRequest request = SYSTEMD__UNIT_REQUEST__INIT;
        _cleanup_(freep) struct http2_chunk *chunk = NULL;
        size_t n;

        request.unitname = (char *) "a.service";
        n = systemd__unit_request__get_packed_size(&request);
        chunk = message_pack_chunk(&request.base, n);
        cr_assert_eq(chunk->length, MESSAGE_PREFIX_BYTES + n);
        cr_assert_eq(memcmp(chunk->data,
                                     "\0\0\0\0\x0b\x0a\x09"
                                     "a.service",
                                     chunk->length),
                        0);
}
