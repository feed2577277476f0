/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "arena.h"
#include "buffer.h"
#include "json-text.h"
#include "list.h"
#include "peer-limit.h"
#include "ratelimit.h"
#include "text.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdio.h>

/* --- arena --- */

Test(arena, memory_is_aligned_apart_and_freed_in_one_step) {
        struct arena arena;
        char *last = NULL;

        arena_init(&arena, 64 * 1024);
        for (size_t size = 1; size < 200; size++) {
                char *p = arena_alloc(&arena, size);

                cr_assert_not_null(p);
                cr_assert_eq((uintptr_t) p % alignof(max_align_t), 0);
                memset(p, 0xFF, size);
                if (last)
                        cr_assert_neq(p, last);
                last = p;
        }
        arena_clear(&arena);
        cr_assert_eq(arena.allocated, 0);
        cr_assert_not_null(arena_alloc(&arena, 1));
        arena_clear(&arena);
}

Test(arena, the_limit_holds) {
        struct arena arena;

        arena_init(&arena, 4096);
        cr_assert_null(arena_alloc(&arena, 4097));
        cr_assert_eq(errno, ENOMEM);
        cr_assert_not_null(arena_alloc(&arena, 4096));
        errno = 0;
        cr_assert_null(arena_alloc(&arena, 1));
        cr_assert_eq(errno, ENOMEM);
        cr_assert_leq(arena.allocated, 4096);
        arena_clear(&arena);
}

Test(arena, sizes_that_overflow_are_refused) {
        struct arena arena;

        arena_init(&arena, 1024 * 1024);
        for (size_t less = 0; less < 32; less++)
                cr_assert_null(arena_alloc(&arena, SIZE_MAX - less));
        arena_clear(&arena);
}

Test(arena, copies) {
        struct arena arena;
        char *zeros;

        arena_init(&arena, 4096);
        zeros = arena_alloc0(&arena, 100);
        for (size_t i = 0; i < 100; i++)
                cr_assert_eq(zeros[i], 0);
        cr_assert_str_eq(arena_strdup(&arena, "givc"), "givc");
        cr_assert_str_eq(arena_memdup_text(&arena, "givc-net-vm", 4), "givc");
        cr_assert_str_eq(arena_memdup_text(&arena, NULL, 0), "");
        arena_clear(&arena);
}

/* --- buffer --- */

Test(buffer, bytes_come_out_as_they_went_in) {
        struct buffer buffer = BUFFER_NULL;
        uint8_t in = 0, out = 0;

        /* More goes in than out, then the other way round. */
        for (unsigned round = 0; round < 2000; round++) {
                size_t n_in = round < 1000 ? 1 + round % 37 : round % 5;
                size_t n_out = MIN(round < 1000 ? round % 17 : 1 + round % 41, buffer_length(&buffer));

                for (size_t i = 0; i < n_in; i++) {
                        cr_assert_eq(buffer_append(&buffer, &in, 1), 0);
                        in++;
                }
                for (size_t i = 0; i < n_out; i++)
                        cr_assert_eq((uint8_t) buffer_bytes(&buffer)[i], (uint8_t) (out + i));
                buffer_consume(&buffer, n_out);
                out = (uint8_t) (out + n_out);
        }
        cr_assert_leq(buffer.size, 64 * 1024, "what was consumed makes room again");
        buffer_clear(&buffer);
}

Test(buffer, holds_no_memory_while_empty) {
        struct buffer buffer = BUFFER_NULL;

        cr_assert_eq(buffer_append(&buffer, "", 0), 0);
        cr_assert_null(buffer.data);
        cr_assert_eq(buffer_append(&buffer, "abc", 3), 0);
        buffer_consume(&buffer, 1);
        cr_assert_eq(buffer_length(&buffer), 2);
        buffer_consume(&buffer, 2);
        cr_assert_null(buffer.data);
        buffer_clear(&buffer);
}

Test(buffer, reserve_and_commit) {
        struct buffer buffer = BUFFER_NULL;
        char *p = buffer_reserve(&buffer, 1000);

        cr_assert_not_null(p);
        cr_assert_eq(buffer_length(&buffer), 0);
        memcpy(p, "hello", 5);
        buffer_commit(&buffer, 5);
        cr_assert_eq(buffer_length(&buffer), 5);
        cr_assert_eq(memcmp(buffer_bytes(&buffer), "hello", 5), 0);
        cr_assert_null(buffer_reserve(&buffer, SIZE_MAX - 4));
        cr_assert_eq(errno, ENOMEM);
        cr_assert_eq(buffer_length(&buffer), 5, "a refusal leaves what there is");
        buffer_clear(&buffer);
}

/* --- list --- */

struct item {
        int number;
        struct list link;
};

Test(list, keeps_order_and_survives_removal_while_walking) {
        struct item items[5], *i, *next;
        struct list head;
        int expected = 0;

        list_init(&head);
        cr_assert_null(LIST_FIRST(&head, struct item, link));
        for (int n = 0; n < 5; n++) {
                items[n].number = n;
                list_append(&head, &items[n].link);
        }
        LIST_FOREACH(i, &head, link)
                cr_assert_eq(i->number, expected++);
        cr_assert_eq(expected, 5);
        LIST_FOREACH_SAFE(i, next, &head, link)
                if (i->number % 2 == 0)
                        list_remove(&i->link);
        cr_assert_eq(LIST_FIRST(&head, struct item, link)->number, 1);
        list_remove(&items[0].link);
        list_remove(&items[0].link);
        cr_assert_eq(LIST_FIRST(&head, struct item, link)->number, 1);
        list_remove(&items[1].link);
        list_remove(&items[3].link);
        cr_assert(list_is_empty(&head));
}

/* --- ratelimit --- */

Test(ratelimit, a_burst_passes_and_the_rest_is_counted) {
        struct ratelimit limit = { .interval_usec = 3600 * USEC_PER_SEC, .burst = 3 };
        unsigned suppressed = 99;

        for (int i = 0; i < 3; i++)
                cr_assert(ratelimit_pass(&limit, &suppressed));
        cr_assert_eq(suppressed, 0);
        for (int i = 0; i < 4; i++)
                cr_assert_not(ratelimit_pass(&limit, NULL));

        /* The interval ends. */
        limit.begin_usec = now_usec(CLOCK_MONOTONIC) - limit.interval_usec;
        cr_assert(ratelimit_pass(&limit, &suppressed));
        cr_assert_eq(suppressed, 4);
        cr_assert(ratelimit_pass(&limit, &suppressed));
        cr_assert_eq(suppressed, 0);
}

/* --- text --- */

Test(text, numbers) {
        uint64_t n = 7;

        cr_assert_eq(text_to_uint("0", 10, &n), 0);
        cr_assert_eq(n, 0);
        cr_assert_eq(text_to_uint("65535", 65535, &n), 0);
        cr_assert_eq(n, 65535);
        cr_assert_eq(text_to_uint("18446744073709551615", UINT64_MAX, &n), 0);
        cr_assert_eq(n, UINT64_MAX);
        n = 7;
        cr_assert_eq(text_to_uint("65536", 65535, &n), -ERANGE);
        cr_assert_eq(text_to_uint("18446744073709551616", UINT64_MAX, &n), -ERANGE);
        cr_assert_eq(text_to_uint("99999999999999999999999", UINT64_MAX, &n), -ERANGE);
        for (size_t i = 0; i < 8; i++) {
                static const char *const wrong[] = { "", " 1", "1 ", "+1", "-1", "0x1", "1.", "one" };

                cr_assert_eq(text_to_uint(wrong[i], UINT64_MAX, &n), -EINVAL, "%s", wrong[i]);
        }
        cr_assert_eq(text_to_uint(NULL, 1, &n), -EINVAL);
        cr_assert_eq(n, 7);
}

Test(text, utf8) {
        static const char *const good[] = { "", "plain", "gr\xc3\xbc\xc3\x9f", "\xe2\x82\xac",
                "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\x7f", "\xc2\x80",
                "\xe0\xa0\x80", "\xf0\x90\x80\x80" };
        /* Truncated, overlong, surrogates, past U+10FFFF, stray continuation. */
        static const char *const bad[] = { "\x80", "\xc3", "\xc3(", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80",
                "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
                "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "ok\xf0\x9f\x98" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                cr_assert(text_is_utf8(good[i], strlen(good[i])), "%zu", i);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_assert_not(text_is_utf8(bad[i], strlen(bad[i])), "%zu", i);
        cr_assert(text_is_utf8("a\0b", 3), "NUL is a character");
        cr_assert_not(text_is_utf8("\xc3\xbc", 1), "the length counts, not what follows");
}

Test(text, hidden_characters) {
        static const char *const hidden[] = { "\x01", "\x1f", "\x7f", "\n", "\xc2\x80", "\xc2\x9f",
                "\xd8\x9c", "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac",
                "\xe2\x80\xad", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa7", "\xe2\x81\xa8",
                "\xe2\x81\xa9" };
        /* Their neighbours, and letters. */
        static const char *const shown[] = { "", " ", "~", "\xc2\xa0", "\xd8\x9b", "\xd8\x9d",
                "\xe2\x80\x8d", "\xe2\x80\x90", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\xa5",
                "\xe2\x81\xaa", "\xd7\x90", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };

        for (size_t i = 0; i < ELEMENTSOF(hidden); i++) {
                size_t n = strlen(hidden[i]);

                cr_assert_eq(text_hidden_length(hidden[i], n), n, "%zu", i);
                for (size_t cut = 0; cut < n; cut++) {
                        _cleanup_(freep) char *exact = malloc(MAX(cut, (size_t) 1));

                        memcpy(exact, hidden[i], cut);
                        cr_assert_eq(text_hidden_length(exact, cut), 0, "%zu cut to %zu", i, cut);
                }
        }
        for (size_t i = 0; i < ELEMENTSOF(shown); i++)
                cr_assert_eq(text_hidden_length(shown[i], strlen(shown[i])), 0, "%zu", i);
        cr_assert_eq(text_hidden_length("\0x", 2), 1);
        cr_assert_eq(text_hidden_length("\xe2\x80\xaexyz", 6), 3);
}

Test(text, unfinished_characters) {
        static const char *const characters[] = { "a", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };

        cr_assert_eq(text_unfinished_length("", 0), 0);
        for (size_t i = 0; i < ELEMENTSOF(characters); i++) {
                char text[8] = "z";
                size_t n = strlen(strcat(text, characters[i]));

                cr_assert_eq(text_unfinished_length(text, n), 0, "%zu", i);
                for (size_t cut = 1; cut < n; cut++)
                        cr_assert_eq(text_unfinished_length(text, cut), cut - 1, "%zu cut to %zu", i, cut);
                /* Without what stands before it, too. */
                cr_assert_eq(text_unfinished_length(text + 1, n - 2), n - 2, "%zu", i);
        }
}

static void check_escape(const char *text, size_t n, size_t max, const char *expected) {
        _cleanup_(freep) char *escaped = text_escape(text, n, max);

        cr_assert_str_eq(escaped, expected);
}

Test(text, escape) {
        check_escape("plain text", 10, 100, "plain text");
        check_escape("a\nb\x1b[31m\0z", 10, 100, "a\\x0ab\\x1b[31m\\x00z");
        check_escape("\xc3\xbc", 2, 100, "\\xc3\\xbc");
        check_escape("abcdef", 6, 3, "abc\xe2\x80\xa6");
        check_escape("abc", 3, 3, "abc");
        check_escape("", 0, 0, "");
        check_escape("\xff\xff\xff\xff", 4, 4, "\\xff\\xff\\xff\\xff");
        check_escape("\xff\xff", 2, 1, "\\xff\xe2\x80\xa6");
}

Test(text, unit_names) {
        static const char *const good[] = { "a.service", "getty@tty1.service", "microvm@app-vm.service",
                "x.y.target", "dev-disk-by\\x2dlabel.device", "a:b_c.socket" };
        static const char *const bad[] = { "", "a", ".service", "@.service", "@a.service", "a.exe",
                "a b.service", "a/b.service", "../a.service", "a.service\n", "a\xc3\xbc.service",
                "a*.service", "a.service.", "service" };
        char longest[300];

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                cr_assert(text_is_unit_name(good[i]), "%s", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_assert_not(text_is_unit_name(bad[i]), "%s", bad[i]);
        memset(longest, 'a', sizeof(longest));
        memcpy(longest + 255 - 8, ".service", 9);
        cr_assert(text_is_unit_name(longest));
        memcpy(longest + 256 - 8, ".service", 9);
        longest[255 - 8] = 'a';
        cr_assert_not(text_is_unit_name(longest));
}

Test(text, host_names) {
        static const char *const good[] = { "a", "net-vm", "ghaf_host", "admin-vm.ghaf.local", "9" };
        static const char *const bad[] = { "", "-a", ".a", "_a", "a b", "a/b", "a\n", "\xc3\xbc", "a@b",
                "a:1" };
        char longest[300];

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                cr_assert(text_is_host_name(good[i]), "%s", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_assert_not(text_is_host_name(bad[i]), "%s", bad[i]);
        memset(longest, 'a', 254);
        longest[254] = '\0';
        cr_assert_not(text_is_host_name(longest));
        longest[253] = '\0';
        cr_assert(text_is_host_name(longest));
}

/* A file that is gone when the test is. */
struct scratch {
        char path[32];
};

static void scratch_write(struct scratch *scratch, const char *text, size_t n) {
        int fd;

        strcpy(scratch->path, "/tmp/test-base.XXXXXX");
        fd = mkstemp(scratch->path);
        cr_assert_geq(fd, 0);
        cr_assert_eq(write(fd, text, n), (ssize_t) n);
        close(fd);
}

static void scratch_remove(struct scratch *scratch) {
        unlink(scratch->path);
}

Test(text, read_file) {
        _cleanup_(scratch_remove) struct scratch scratch;
        _cleanup_(freep) char *bytes = malloc(100000), *data = NULL;
        size_t n;

        for (size_t i = 0; i < 100000; i++)
                bytes[i] = (char) i;
        scratch_write(&scratch, bytes, 100000);
        cr_assert_eq(text_read_file(scratch.path, 99999, &data, &n), -E2BIG);
        cr_assert_eq(text_read_file(scratch.path, 100000, &data, &n), 0);
        cr_assert_eq(n, 100000);
        cr_assert_eq(memcmp(data, bytes, n), 0);
        cr_assert_eq(data[n], '\0');
        cr_assert_eq(text_read_file("/nonexistent/file", 10, &data, NULL), -ENOENT);
        cr_assert_eq(text_read_file("/", 10, &data, NULL), -EISDIR);
}

/* --- json-text --- */

static void json_load(struct json_text *json, const char *text) {
        _cleanup_(scratch_remove) struct scratch scratch;
        _cleanup_(freep) char *error = NULL;

        scratch_write(&scratch, text, strlen(text));
        cr_assert_eq(json_text_load(json, scratch.path, &error), 0, "%s", error);
        cr_assert_null(error);
}

Test(json_text, a_place_has_a_line) {
        static const char text[] = "{\n"                                             /* 1 */
                                   "  \"identity\": { \"name\": \"a \\\" } [\" },\n" /* 2 */
                                   "  \"capabilities\": {\n"                         /* 3 */
                                   "    \"services\": [ \"x,\", \"y]\",\n"           /* 4 */
                                   "      \"z\" ],\n"                                /* 5 */
                                   "    \"Applications\": [\n"                       /* 6 */
                                   "      { \"name\": 1 },\n"                        /* 7 */
                                   "      { \"args\": [ true, null,\n"               /* 8 */
                                   "          [ 1 ] ],\n"                            /* 9 */
                                   "        \"name\": -1.5e3 },\n"                   /* 10 */
                                   "      {}, [],\n"                                 /* 11 */
                                   "      \"last\" ] } }\n";                         /* 12 */
        static const struct {
                const char *place;
                unsigned line;
        } table[] = {
                { "", 1 },
                { "identity", 2 },
                { "identity.name", 2 },
                { "IDENTITY.Name", 2 },
                { "capabilities", 3 },
                { "capabilities.services", 4 },
                { "capabilities.services[1]", 4 },
                { "capabilities.services[2]", 5 },
                { "capabilities.services[3]", 0 },
                { "capabilities.applications[0].name", 7 },
                { "capabilities.applications[1].args[2]", 9 },
                { "capabilities.applications[1].args[2][0]", 9 },
                { "capabilities.applications[1].name", 10 },
                { "capabilities.applications[2].name", 0 },
                { "capabilities.applications[3][0]", 0 },
                { "capabilities.applications[4]", 12 },
                { "capabilities.applications[99999999999999999999]", 0 },
                { "capabilities.applications[", 0 },
                { "capabilities.applications[x]", 0 },
                { "identity[0]", 0 },
                { "identity.name.deeper", 0 },
                { "nothing", 0 },
                { "identity..name", 0 },
        };
        struct json_text json;

        json_load(&json, text);
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                cr_assert_eq(json_text_line(&json, table[i].place), table[i].line, "%s: %u", table[i].place,
                                json_text_line(&json, table[i].place));
        cr_assert_not_null(json_get_nocase(json.root, "IDENTITY"));
        cr_assert_null(json_get_nocase(json.root, "identit"));
        json_text_clear(&json);
        json_text_clear(&json);
}

static void check_json_error(const char *text, const char *place) {
        _cleanup_(scratch_remove) struct scratch scratch;
        _cleanup_(freep) char *error = NULL, *expected = NULL;
        struct json_text json;

        scratch_write(&scratch, text, strlen(text));
        cr_assert_eq(json_text_load(&json, scratch.path, &error), -EINVAL);
        expected = text_printf("%s:%s", scratch.path, place);
        cr_assert(startswith(error, expected), "%s", error);
        cr_assert_null(json.root);
}

Test(json_text, an_error_names_its_place) {
        check_json_error("", "1:");
        check_json_error("{\n \"a\": 1,\n \"b\" 2 }", "3:");
        check_json_error("{ \"a\": 1,\n\n \"a\": 2 }", "3:");
        check_json_error("{} {}", "1:");
        check_json_error("{ \"a\": \"\xff\" }", "1:");
}

Test(json_text, a_missing_file_is_named) {
        _cleanup_(freep) char *error = NULL;
        struct json_text json;

        cr_assert_eq(json_text_load(&json, "/nonexistent/x.json", &error), -ENOENT);
        cr_assert(startswith(error, "/nonexistent/x.json: "), "%s", error);
}

/* --- peer-limit --- */

/* One who comes under ever new names (addresses of an IPv6 network) gets no more for it. */
Test(peer_limit, many_names_pass_no_more_than_the_table_has_room_for) {
        struct peer_limit limit = PEER_LIMIT_NULL;
        unsigned n_passed = 0;
        char name[16];

        cr_expect(peer_limit_pass(&limit, "honest"));
        for (unsigned i = 0; i < 10000; i++) {
                (void) snprintf(name, sizeof(name), "peer%u", i);
                n_passed += peer_limit_pass(&limit, name);
        }
        cr_expect_leq(n_passed, PEER_LIMIT_PEERS + 3);
        /* Who was there before is still heard. */
        cr_expect(peer_limit_pass(&limit, "honest"));
        cr_expect(peer_limit_pass(&limit, "honest"));
        cr_expect_not(peer_limit_pass(&limit, "honest"));
}

struct rests {
        char text[256];
};

static void on_rest(const char *peer, unsigned n, void *userdata) {
        struct rests *rests = userdata;
        size_t used = strlen(rests->text);

        (void) snprintf(rests->text + used, sizeof(rests->text) - used, "%s %u; ", peer ?: "others", n);
}

static void flood(struct peer_limit *limit, const char *name, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                (void) peer_limit_pass(limit, name);
}

static bool is_running(const struct peer_limit *limit) {
        return sd_event_source_get_enabled(limit->timer, NULL) > 0;
}

/* As if a minute had gone by; then what is due is told. */
static void skip_minute(sd_event *event, struct peer_limit *limit) {
        for (size_t i = 0; i < ELEMENTSOF(limit->slots); i++)
                limit->slots[i].limit.begin_usec -= 60 * USEC_PER_SEC;
        limit->others.begin_usec -= 60 * USEC_PER_SEC;
        if (!event)
                return;
        cr_assert(is_running(limit));
        cr_assert_eq(sd_event_source_set_time(limit->timer, 0), 0);
        cr_assert_gt(sd_event_run(event, UINT64_MAX), 0);
}

static void watch(struct peer_limit *limit, sd_event **ret, struct rests *rests) {
        cr_assert_geq(sd_event_new(ret), 0);
        cr_assert_eq(peer_limit_watch(limit, *ret, on_rest, rests), 0);
}

Test(peer_limit, what_did_not_pass_is_told_of_when_the_flood_has_ended) {
        struct peer_limit limit = { .burst = 2 };
        struct rests rests = {};
        sd_event *event = NULL;
        uint64_t usec;

        watch(&limit, &event, &rests);
        flood(&limit, "modest", 2);
        cr_expect_not(is_running(&limit));
        flood(&limit, "one", 5);
        flood(&limit, "other", 3);
        cr_expect_eq(sd_event_source_get_time(limit.timer, &usec), 0);
        cr_expect_leq(usec, now_usec(CLOCK_MONOTONIC) + 60 * USEC_PER_SEC);
        cr_expect_str_eq(rests.text, "");
        skip_minute(event, &limit);
        cr_expect_str_eq(rests.text, "one 3; other 1; ");
        cr_expect_not(is_running(&limit));

        /* Nor is it lost, or told twice, where the next comes before the timer does. */
        flood(&limit, "one", 4);
        skip_minute(NULL, &limit);
        cr_expect(peer_limit_pass(&limit, "one"));
        cr_expect_str_eq(rests.text, "one 3; other 1; one 2; ");
        skip_minute(event, &limit);
        cr_expect_str_eq(rests.text, "one 3; other 1; one 2; ");
        cr_expect_not(is_running(&limit));

        peer_limit_clear(&limit);
        sd_event_unref(event);
}

Test(peer_limit, those_who_share_a_limit_are_told_of_together) {
        struct peer_limit limit = { .burst = 1 };
        struct rests rests = {};
        sd_event *event = NULL;
        char name[16];

        watch(&limit, &event, &rests);
        for (unsigned i = 0; i < PEER_LIMIT_PEERS + 5; i++) {
                (void) snprintf(name, sizeof(name), "peer%u", i);
                (void) peer_limit_pass(&limit, name);
        }
        skip_minute(event, &limit);
        cr_expect_str_eq(rests.text, "others 4; ");
        peer_limit_clear(&limit);
        sd_event_unref(event);
}
