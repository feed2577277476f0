/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "cedar.h"
#include "text.h"

#include <criterion/criterion.h>

/* Policies that are right. */
static struct cedar_policies *load(const char *text) {
        _cleanup_(freep) char *error = NULL;
        struct cedar_policies *policies = NULL;

        cr_assert_eq(cedar_policies_new(&policies, "rules", text, strlen(text), &error), 0, "%s: %s", text,
                        strempty(error));
        return policies;
}
