/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How nodes are made: what the two parsers, of text and of JSON, share. NULL and -ENOMEM: the arena has no
 * more. */

#include "cedar-node.h"

/* One more place in a list of n items in an arena, which may move. NULL: ENOMEM. */
void *cedar_grow(struct arena *arena, void *items, size_t n, size_t item_bytes);

/* With the depth and the steps that follow from those below it, which are in left, right and the union by
 * now. */
struct cedar_node *cedar_node_new(struct arena *arena, const struct cedar_node *node);

/*
 * A call of a function. With a string that it takes, the value itself: nothing is left to be done at each
 * decision. With one that it does not, the error is the evaluation's.
 */
struct cedar_node *cedar_call_new(struct arena *arena, enum cedar_function function,
                const struct cedar_node *argument, struct cedar_span span);

/* A pattern out of a text and its wildcards, as cedar_unescape() gives them. */
const struct cedar_pattern *cedar_pattern_new(
                struct arena *arena, struct cedar_text text, const uint8_t *stars);
bool cedar_pattern_match(const struct cedar_pattern *pattern, struct cedar_text text);
