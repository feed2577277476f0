/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What cedar-eval.c and cedar-method.c share. False, or NULL: the evaluation has failed, and says why. */

#include "cedar-eval.h"
#include "util.h"

/* Always false. */
bool cedar_fail(struct cedar_evaluation *e, const char *format, ...) _printf_(2, 3);

/* what: who takes that kind alone, for messages. */
bool cedar_expect_kind(struct cedar_evaluation *e, const struct cedar_value *value, enum cedar_kind kind,
                const char *what);
const struct cedar_entity *cedar_expect_entity(struct cedar_evaluation *e, const struct cedar_uid *uid);

/* For %.*s in a message: whole characters, as messages are told as texts, which must be UTF-8. */
int cedar_shown_length(struct cedar_text text);
#define CEDAR_SHOWN(text) cedar_shown_length(text), (text).s

/* cedar-method.c: node is a CEDAR_OP_METHOD. */
bool cedar_evaluate_method(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret);
