/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-build.h"

void *cedar_grow(struct arena *arena, void *items, size_t n, size_t item_bytes) {
        size_t size = n == 0 ? 4 : n * 2;
        void *grown;

        if (n > 0 && (n < 4 || (n & (n - 1)) != 0))
                return items;
        grown = arena_alloc(arena, size * item_bytes);
        if (grown && n > 0)
                memcpy(grown, items, n * item_bytes);
        return grown;
}

struct cedar_node *cedar_node_new(struct arena *arena, const struct cedar_node *node) {
        struct cedar_node *copy = arena_alloc(arena, sizeof(*copy));
        const struct cedar_node *child;

        if (!copy)
                return NULL;
        *copy = *node;
        copy->depth = copy->steps = 1;
        for (size_t i = 0; (child = cedar_node_child(node, i)); i++) {
                copy->depth = MAX(copy->depth, child->depth + 1);
                if (__builtin_add_overflow(copy->steps, child->steps, &copy->steps))
                        copy->steps = UINT32_MAX;
        }
        return copy;
}

struct cedar_node *cedar_call_new(struct arena *arena, enum cedar_function function,
                const struct cedar_node *argument, struct cedar_span span) {
        struct cedar_node node = {
                .op = CEDAR_OP_CALL, .span = span, .left = argument, .function = function
        };
        struct cedar_value value;

        if (argument->op == CEDAR_OP_LITERAL && argument->literal.kind == CEDAR_STRING &&
                        cedar_function_apply(arena, function, argument->literal.text, &value) == 0)
                node = (struct cedar_node){ .op = CEDAR_OP_LITERAL, .span = span, .literal = value };
        return cedar_node_new(arena, &node);
}

/* ---- patterns ---- */

const struct cedar_pattern *cedar_pattern_new(
                struct arena *arena, struct cedar_text text, const uint8_t *stars) {
        struct cedar_pattern *pattern;
        size_t n = 1, start = 0;

        for (size_t i = 0; i < text.n; i++)
                n += stars[i];
        pattern = arena_alloc(arena, sizeof(*pattern) + n * sizeof(*pattern->pieces));
        if (!pattern)
                return NULL;
        pattern->n = 0;
        for (size_t i = 0; i <= text.n; i++)
                if (i == text.n || stars[i]) {
                        pattern->pieces[pattern->n++] = (struct cedar_text){ text.s + start, i - start };
                        start = i + 1;
                }
        return pattern;
}

/* The first piece begins the text, the last one ends it, and the others stand between them, each as early as
 * it can: if any choice of places fits, that one does. */
bool cedar_pattern_match(const struct cedar_pattern *pattern, struct cedar_text text) {
        const struct cedar_text *first = &pattern->pieces[0], *last = &pattern->pieces[pattern->n - 1];
        const char *at, *end;

        if (pattern->n == 1)
                return cedar_text_equal(*first, text);
        if (text.n < first->n + last->n || memcmp(text.s, first->s, first->n) != 0 ||
                        memcmp(text.s + text.n - last->n, last->s, last->n) != 0)
                return false;
        at = text.s + first->n;
        end = text.s + text.n - last->n;
        for (size_t i = 1; i + 1 < pattern->n; i++) {
                const struct cedar_text *piece = &pattern->pieces[i];

                if (piece->n == 0)
                        continue;
                at = memmem(at, (size_t) (end - at), piece->s, piece->n);
                if (!at)
                        return false;
                at += piece->n;
        }
        return true;
}
