/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ratelimit.h"

bool ratelimit_pass(struct ratelimit *limit, unsigned *ret_suppressed) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (ret_suppressed)
                *ret_suppressed = 0;
        if (limit->begin_usec == 0 || now - limit->begin_usec >= limit->interval_usec) {
                if (ret_suppressed && limit->n > limit->burst)
                        *ret_suppressed = limit->n - limit->burst;
                limit->begin_usec = now;
                limit->n = 0;
        }
        if (limit->n < UINT32_MAX)
                limit->n++;
        return limit->n <= limit->burst;
}
