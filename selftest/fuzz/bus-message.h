/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* D-Bus messages made of the input, for what reads them: sd-bus has seen to it that the bytes are a message.
 */

#include "fuzz.h"

#include <sys/socket.h>
#include <systemd/sd-bus.h>

/* Its end is ours to keep open, and nobody reads there: no message is ever sent. */
static inline sd_bus *bus_of_nobody(void) {
        static sd_bus *bus;
        int fds[2];

        if (bus)
                return bus;
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0 && sd_bus_new(&bus) >= 0 &&
                                        sd_bus_set_fd(bus, fds[0], fds[0]) >= 0 && sd_bus_start(bus) >= 0,
                        "there is a bus");
        return bus;
}

static inline sd_bus_message *new_message(void) {
        sd_bus_message *m = NULL;

        must(sd_bus_message_new_signal(bus_of_nobody(), &m, "/", "a.b", "C") >= 0, "there is a message");
        return m;
}

#define pick(from, n) (from)[(n) % ELEMENTSOF(from)]

/* A variant of a type, of which the input says what is in it; of texts, the first three are paths. */
static inline void append_value(sd_bus_message *m, const char *type, const char *const *texts,
                size_t n_texts, const uint8_t **data, size_t *size) {
        uint8_t byte = take_byte(data, size);
        uint64_t number = byte * UINT64_C(0x0101010101010101);
        uint32_t half = (uint32_t) number;
        int boolean = byte & 1;
        size_t n = MIN(*size, byte % 40u);
        const char *path = texts[byte % 3u];

        must(sd_bus_message_open_container(m, 'v', type) >= 0, "a variant is begun");
        if (strcmp(type, "ay") == 0) {
                must(sd_bus_message_append_array(m, 'y', *data, n) >= 0, "bytes are added");
                *data += n;
                *size -= n;
        } else if (type[0] == 'a')
                must(sd_bus_message_append(m, type, 2, path, "/2") >= 0, "texts are added");
        else if (type[0] == '(')
                must(sd_bus_message_append(m, type, half, path) >= 0, "a struct is added");
        else
                must(sd_bus_message_append_basic(m, type[0],
                                     type[0] == 'y'                   ? (const void *) &byte
                                                     : type[0] == 't' ? (const void *) &number
                                                     : type[0] == 'u' || type[0] == 'i'
                                                     ? (const void *) &half
                                                     : type[0] == 'b' ? (const void *) &boolean
                                                     : type[0] == 's' ? texts[byte % n_texts]
                                                                      : path) >= 0,
                                "a value is added");
        must(sd_bus_message_close_container(m) >= 0, "a variant is ended");
}

/* Of a{sv}, one entry. */
static inline void append_property(sd_bus_message *m, const char *name, const char *type,
                const char *const *texts, size_t n_texts, const uint8_t **data, size_t *size) {
        must(sd_bus_message_open_container(m, 'e', "sv") >= 0 && sd_bus_message_append(m, "s", name) >= 0,
                        "a property is begun");
        append_value(m, type, texts, n_texts, data, size);
        must(sd_bus_message_close_container(m) >= 0, "a property is ended");
}

static inline void seal(sd_bus_message *m) {
        must(sd_bus_message_seal(m, 1, 0) >= 0 && sd_bus_message_rewind(m, true) >= 0, "it is a message");
}
