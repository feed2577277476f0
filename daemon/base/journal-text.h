/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "util.h"

/*
 * What a journal's field holds (systemd.journal-fields(7): any bytes) as text that the wire takes: bytes
 * that are not of a UTF-8 character, and NUL, stand as \xHH; at most max bytes are taken, in whole
 * characters, and then "…". On the heap, or NULL (ENOMEM).
 */
char *journal_text(const void *bytes, size_t n, size_t max);

/*
 * The same of a text that ends with a NUL, as one line that no terminal obeys: nor do control characters and
 * those that change the direction of writing stand in it as they are.
 */
char *journal_line(const char *s, size_t max);
