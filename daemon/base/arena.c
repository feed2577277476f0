/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "arena.h"

#include <stdalign.h>

/* Most calls carry a few hundred bytes: one chunk. */
#define CHUNK_BYTES 1024

struct arena_chunk {
        struct arena_chunk *next;
        size_t size;
        alignas(max_align_t) char data[];
};

void arena_init(struct arena *arena, size_t limit) {
        *arena = (struct arena){ .limit = limit };
}

void arena_clear(struct arena *arena) {
        struct arena_chunk *chunk = arena->chunks;

        while (chunk) {
                struct arena_chunk *next = chunk->next;

                explicit_bzero(chunk->data, chunk->size);
                free(chunk);
                chunk = next;
        }
        arena_init(arena, arena->limit);
}

void *arena_alloc(struct arena *arena, size_t size) {
        size_t aligned = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
        void *p;

        if (aligned < size) {
                errno = ENOMEM;
                return NULL;
        }
        if ((size_t) (arena->end - arena->at) < aligned || !arena->at) {
                size_t bytes = MAX(aligned, (size_t) CHUNK_BYTES);
                struct arena_chunk *chunk;

                if (bytes > arena->limit - MIN(arena->allocated, arena->limit)) {
                        errno = ENOMEM;
                        return NULL;
                }
                chunk = malloc(sizeof(*chunk) + bytes);
                if (!chunk)
                        return NULL;
                chunk->next = arena->chunks;
                chunk->size = bytes;
                arena->chunks = chunk;
                arena->allocated += bytes;
                arena->at = chunk->data;
                arena->end = chunk->data + bytes;
        }

        p = arena->at;
        arena->at += aligned;
        return p;
}

void *arena_alloc0(struct arena *arena, size_t size) {
        void *p = arena_alloc(arena, size);

        return p ? memset(p, 0, size) : NULL;
}

char *arena_memdup_text(struct arena *arena, const void *text, size_t n) {
        char *copy = arena_alloc(arena, n + 1);

        if (!copy)
                return NULL;
        if (n > 0)
                memcpy(copy, text, n);
        copy[n] = '\0';
        return copy;
}

char *arena_strdup(struct arena *arena, const char *s) {
        return arena_memdup_text(arena, s, strlen(s));
}
