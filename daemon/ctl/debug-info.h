/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "util.h"

/*
 * The root cause that a server sent along with a status: the detail of the google.rpc.DebugInfo in the
 * serialised google.rpc.Status, or its last stack entry where it has no detail. On the heap; NULL: there is
 * none.
 */
char *debug_info_reason(const uint8_t *status, size_t n);
