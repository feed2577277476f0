/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A target is one file with one function: fed by libFuzzer (meson option "fuzz", clang), or by replay.c with
 * the files of corpus/NAME in every build. It returns 0, and reports a finding by abort().
 */

#include "util.h"

#include <stdio.h>

/* https://llvm.org/docs/LibFuzzer.html */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold. Unlike assert(), in every build. */
static inline void must(bool holds, const char *what) {
        if (holds)
                return;
        (void) fprintf(stderr, "finding: %s\n", what);
        abort();
}

/* Takes the first byte off the input: targets choose by it. 0 where there is none. */
static inline uint8_t take_byte(const uint8_t **data, size_t *size) {
        if (*size == 0)
                return 0;
        (*size)--;
        return *(*data)++;
}
