/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Policies out of their text (https://docs.cedarpolicy.com/policies/syntax-grammar.html). */

#include "cedar-node.h"

/* A file of policies is a few hundred KiB at most. */
#define CEDAR_TEXT_MAX (4 * 1024 * 1024)
/* A thousand are many; so many templates and links are still found by looking through them. */
#define CEDAR_POLICIES_MAX (16 * 1024)
/* Each is compared with those before it. */
#define CEDAR_ANNOTATIONS_MAX 256
/* Parentheses, sets, records and ifs inside of each other: what recurses while it is read. */
#define CEDAR_NEST_MAX 256

/*
 * Reads all policies of the text, which must last as long as they do. They and their number are put into
 * *ret and *ret_n, in the arena. -EINVAL: *ret_error, which becomes the caller's, says NAME:LINE:COLUMN,
 * what was found and what was expected; -E2BIG; -ENOMEM, with *ret_error NULL.
 */
int cedar_parse_text(struct arena *arena, const char *name, const char *text, size_t size,
                struct cedar_policy **ret, size_t *ret_n, char **ret_error);

/* Reads an entity's name, Type::"id", and nothing else, into the arena, which the text need not outlast. As
 * above. */
int cedar_parse_uid(struct arena *arena, const char *name, struct cedar_text text,
                const struct cedar_uid **ret, char **ret_error);
