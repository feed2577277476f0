/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "util.h"

#include <stdarg.h>

/* Formatted text on the heap, or NULL (ENOMEM). */
char *text_printf(const char *format, ...) _printf_(1, 2) _must_check_;
char *text_vprintf(const char *format, va_list ap) _printf_(1, 0) _must_check_;

/*
 * Reads a decimal number: digits alone, no sign, no blank, at most max. Returns 0, -EINVAL (not a number) or
 * -ERANGE (greater than max).
 */
int text_to_uint(const char *s, uint64_t max, uint64_t *ret);

/*
 * Reads a whole file of at most max bytes into NUL-terminated memory, which becomes the caller's. *ret_size,
 * when not NULL, excludes the NUL. Returns 0, -E2BIG, or what open() or read() said.
 */
int text_read_file(const char *path, size_t max, char **ret, size_t *ret_size);

/* Whether the n bytes are well-formed UTF-8 (RFC 3629), as every proto3 string must be. */
bool text_is_utf8(const char *s, size_t n);

/*
 * How many of the n bytes of UTF-8 at s are a character at the front that a terminal obeys in place of
 * showing it, or that has it show what follows elsewhere: a control character, or one that changes the
 * direction of writing (Unicode's UAX #9, sections 2.1 to 2.6). 0: it is another one, or cut off, or there
 * is none.
 */
size_t text_hidden_length(const char *s, size_t n);

/*
 * How many bytes at the end of the n of UTF-8 at s begin a character of which the rest is missing, as where
 * a text was cut: 0 to 3.
 */
size_t text_unfinished_length(const char *s, size_t n);

/*
 * A copy in which control characters and bytes outside of ASCII's printable range stand as \xHH, at most max
 * source bytes and then "…": what a peer sent, made fit for a log line. On the heap, or NULL (ENOMEM).
 */
char *text_escape(const char *s, size_t n, size_t max);

/* A valid systemd unit name that ends in one of the unit suffixes, at most 255 bytes (systemd's
 * UNIT_NAME_MAX). */
bool text_is_unit_name(const char *s);
/* A VM or identity name: a DNS label or host name of [A-Za-z0-9._-], starting with a letter or digit, at
 * most 253. */
bool text_is_host_name(const char *s);
