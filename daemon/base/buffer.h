/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A queue of bytes: appended at the end, consumed from the front; holds no memory while empty. */

#include "util.h"

struct buffer {
        char *data;
        size_t start, end, size; /* the bytes are data[start … end) */
};

#define BUFFER_NULL ((struct buffer){})

void buffer_clear(struct buffer *buffer);

static inline size_t buffer_length(const struct buffer *buffer) {
        return buffer->end - buffer->start;
}

/* NULL while empty. */
static inline char *buffer_bytes(const struct buffer *buffer) {
        return buffer->data ? buffer->data + buffer->start : NULL;
}

/* Makes room for n more bytes and returns where they go, or NULL (ENOMEM); count them in with
 * buffer_commit(). */
char *buffer_reserve(struct buffer *buffer, size_t n);
void buffer_commit(struct buffer *buffer, size_t n);
/* 0 or -ENOMEM. */
int buffer_append(struct buffer *buffer, const void *data, size_t n);
/* Takes n bytes, at most buffer_length(), off the front. Frees the memory when the last one goes. */
void buffer_consume(struct buffer *buffer, size_t n);
/* The last n bytes that were consumed are there again; since then nothing was appended, and it was never
 * empty. */
static inline void buffer_restore(struct buffer *buffer, size_t n) {
        buffer->start -= n;
}
