/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <criterion/criterion.h>
#include <stdlib.h>

/* What valgrind itself does not do is not asked of what runs under it (contrib/check valgrind). */
static inline void skip_under_valgrind(const char *why) {
        if (getenv("GIVC_VALGRIND"))
                cr_skip("valgrind %s", why);
}

/* It makes a fork(2) of vfork(2): how far the child has come is not seen by who waits for it. */
static inline void skip_without_vfork(void) {
        skip_under_valgrind("lets nobody know that a program could not be started");
}
