/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How a test talks to a program of ours: commands on stdin, events on stdout, each a JSON object on a line.
 */

#include "buffer.h"

#include <jansson.h>
#include <systemd/sd-event.h>

struct lines {
        sd_event_source *source;
        struct buffer buffer;
        size_t searched; /* bytes of the buffer that are known to hold no newline */
        void (*command)(const json_t *command, void *userdata);
        void *userdata;
};

/* Reads commands from stdin; its end ends the loop. Exits on failure, as do all of these: a test sees it. */
void lines_init(struct lines *lines, sd_event *event, void (*command)(const json_t *command, void *userdata),
                void *userdata);
void lines_clear(struct lines *lines);

/* Prints an object, made by json_pack(), and frees it. */
void lines_print(json_t *object);

/* A member that has to be there. */
const char *lines_text(const json_t *command, const char *key);
/* A member, or 0 where it is not there. */
uint64_t lines_number(const json_t *command, const char *key);
/* A member in base64, decoded, or NULL where it is not there. The caller's. */
uint8_t *lines_bytes(const json_t *command, const char *key, size_t *ret_n);
/* Bytes as JSON text in base64. */
json_t *lines_pack_bytes(const uint8_t *bytes, size_t n);

void lines_fail(const char *format, ...) _printf_(1, 2) __attribute__((noreturn));
