/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the options of both echo programs need. Each ends the program on failure. */

#include "tls.h"

/* From a directory as contrib/make-certs writes them. */
struct tls_context *echo_load_tls(const char *directory);
uint64_t echo_read_number(const char *text);
