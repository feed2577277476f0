/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "buffer.h"

/* Wiped, as it may have held a password. */
static void free_data(struct buffer *buffer) {
        if (buffer->data)
                explicit_bzero(buffer->data, buffer->end);
        free(buffer->data);
}

void buffer_clear(struct buffer *buffer) {
        free_data(buffer);
        *buffer = BUFFER_NULL;
}

char *buffer_reserve(struct buffer *buffer, size_t n) {
        size_t length = buffer_length(buffer), need, size;
        char *data;

        if (buffer->size - buffer->end >= n && buffer->data)
                return buffer->data + buffer->end;
        if (__builtin_add_overflow(length, n, &need)) {
                errno = ENOMEM;
                return NULL;
        }
        /* Move to the front where that alone makes room, and is paid for by what was consumed since. */
        if (need <= buffer->size && buffer->start >= length) {
                memcpy(buffer->data, buffer->data + buffer->start, length);
                explicit_bzero(buffer->data + length, buffer->end - length);
                buffer->start = 0;
                buffer->end = length;
                return buffer->data + length;
        }

        size = MAX(buffer->size, (size_t) 256);
        while (size < need)
                size = size > SIZE_MAX / 2 ? need : size * 2;
        data = malloc(size);
        if (!data)
                return NULL;
        if (length > 0)
                memcpy(data, buffer->data + buffer->start, length);
        free_data(buffer);
        *buffer = (struct buffer){ .data = data, .end = length, .size = size };
        return data + length;
}

void buffer_commit(struct buffer *buffer, size_t n) {
        buffer->end += n;
}

int buffer_append(struct buffer *buffer, const void *data, size_t n) {
        char *p;

        if (n == 0)
                return 0;
        p = buffer_reserve(buffer, n);
        if (!p)
                return -ENOMEM;
        memcpy(p, data, n);
        buffer_commit(buffer, n);
        return 0;
}

void buffer_consume(struct buffer *buffer, size_t n) {
        buffer->start += n;
        if (buffer->start == buffer->end)
                buffer_clear(buffer);
}
