/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "util.h"

/* Lets burst events pass per interval; one for each message that may repeat, so that it limits itself alone.
 */
struct ratelimit {
        uint64_t interval_usec;
        unsigned burst;
        uint64_t begin_usec; /* CLOCK_MONOTONIC */
        unsigned n;          /* events seen since begin_usec */
};

/* True if this one may pass. *ret_suppressed, when not NULL: how many did not in the interval that just
 * ended. */
bool ratelimit_pass(struct ratelimit *limit, unsigned *ret_suppressed);
