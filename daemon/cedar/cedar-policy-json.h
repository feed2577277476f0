/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Policies in JSON (https://docs.cedarpolicy.com/policies/json-format.html): one policy, or a policy set. */

#include "cedar-node.h"

/* As cedar_parse_text(); nothing of the text is kept. Links of templates come last. */
int cedar_parse_policy_json(struct arena *arena, const char *name, const char *text, size_t size,
                struct cedar_policy **ret, size_t *ret_n, char **ret_error);
