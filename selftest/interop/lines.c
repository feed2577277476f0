/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lines.h"

#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>

/* A message of 4 MiB in base64, and more: tests go past the limit. */
#define LINE_BYTES (32 * 1024 * 1024)
#define READ_BYTES (64 * 1024)

void lines_fail(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        exit(EXIT_FAILURE);
}

static void run_line(struct lines *lines, const char *line, size_t n) {
        json_error_t error;
        json_t *command = json_loadb(line, n, 0, &error);

        if (!command)
                lines_fail("Bad command: %s", error.text);
        lines->command(command, lines->userdata);
        json_decref(command);
}

static void run_lines(struct lines *lines) {
        for (;;) {
                char *line = buffer_bytes(&lines->buffer), *end;
                size_t n = buffer_length(&lines->buffer);

                if (n == 0)
                        return;
                end = memchr(line + lines->searched, '\n', n - lines->searched);
                lines->searched = end ? 0 : n;
                if (!end)
                        return;
                run_line(lines, line, (size_t) (end - line));
                buffer_consume(&lines->buffer, (size_t) (end - line) + 1);
        }
}

static int on_stdin(sd_event_source *source, int fd, _unused_ uint32_t events, void *userdata) {
        struct lines *lines = userdata;
        char *space = buffer_reserve(&lines->buffer, READ_BYTES);
        ssize_t n;

        if (!space || buffer_length(&lines->buffer) > LINE_BYTES)
                lines_fail("No room for a command");
        n = read(fd, space, READ_BYTES);
        if (n <= 0)
                return sd_event_exit(sd_event_source_get_event(source), EXIT_SUCCESS);
        buffer_commit(&lines->buffer, (size_t) n);
        run_lines(lines);
        return 0;
}

void lines_init(struct lines *lines, sd_event *event, void (*command)(const json_t *command, void *userdata),
                void *userdata) {
        *lines = (struct lines){ .command = command, .userdata = userdata };
        if (sd_event_add_io(event, &lines->source, STDIN_FILENO, EPOLLIN, on_stdin, lines) < 0)
                lines_fail("Cannot watch stdin");
}

void lines_clear(struct lines *lines) {
        sd_event_source_unref(lines->source);
        buffer_clear(&lines->buffer);
}

void lines_print(json_t *object) {
        if (!object || json_dumpf(object, stdout, JSON_COMPACT) < 0 || fputc('\n', stdout) == EOF ||
                        fflush(stdout) < 0)
                lines_fail("Cannot print");
        json_decref(object);
}

const char *lines_text(const json_t *command, const char *key) {
        const char *text = json_string_value(json_object_get(command, key));

        if (!text)
                lines_fail("The command needs \"%s\"", key);
        return text;
}

uint64_t lines_number(const json_t *command, const char *key) {
        return (uint64_t) json_integer_value(json_object_get(command, key));
}

uint8_t *lines_bytes(const json_t *command, const char *key, size_t *ret_n) {
        const json_t *text = json_object_get(command, key);
        uint8_t *bytes = NULL;

        if (text && rpc_base64_decode(json_string_value(text), json_string_length(text), &bytes, ret_n) < 0)
                lines_fail("\"%s\" is not base64", key);
        return bytes;
}

json_t *lines_pack_bytes(const uint8_t *bytes, size_t n) {
        _cleanup_(freep) char *text = rpc_base64_encode(bytes, n);

        return text ? json_string(text) : NULL;
}
