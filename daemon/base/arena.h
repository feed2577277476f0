/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Memory that is allocated piece by piece and freed in one step: a call's. Never given back piece by piece.
 * It is wiped, as a call may carry a password.
 */

#include "util.h"

struct arena {
        struct arena_chunk *chunks; /* newest first */
        char *at, *end;             /* what is left of the newest */
        size_t allocated;           /* bytes taken from the heap so far */
        size_t limit;               /* most that may be taken; past it, allocations fail */
};

void arena_init(struct arena *arena, size_t limit);
void arena_clear(struct arena *arena);

/* Aligned for any type, not initialised; NULL with errno ENOMEM, or past the limit. */
void *arena_alloc(struct arena *arena, size_t size);
/* Zeroed. */
void *arena_alloc0(struct arena *arena, size_t size);
char *arena_strdup(struct arena *arena, const char *s);
char *arena_memdup_text(struct arena *arena, const void *text, size_t n);
