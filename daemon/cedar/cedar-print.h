/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Nodes as Cedar's text: what is read out of JSON has none of its own. Read back, it decides the same. Each
 * on the heap and without NUL, on one line for each clause; NULL: ENOMEM.
 */

#include "cedar-node.h"

char *cedar_print_node(const struct cedar_node *node);
/* "principal is VM in Zone::\"all\"". Of a link, with what its slot stands for. */
char *cedar_print_scope(const struct cedar_policy *policy, enum cedar_var var);
/* The whole of it, with its annotations. */
char *cedar_print_policy(const struct cedar_policy *policy);
