/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What is wrong with rules that can be read: those that never apply, that add nothing, and that ask for
 * methods and fields that no call has. Each finding is certain. */

#include "auth.h"

struct lint_finding {
        const struct cedar_policy *policy;
        struct cedar_span span;
        const char *message;
};

/* In the arena: findings in the order of the file. 0 or -ENOMEM. */
int lint_rules(const struct auth_files *files, struct arena *arena, struct lint_finding **ret,
                size_t *ret_n);
