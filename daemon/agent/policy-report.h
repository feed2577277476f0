/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What givc-policy-install tells the agent that has started it, on its standard output. */

#include "policy-book.h"

#include <limits.h>

struct policy_report {
        int result;                /* 1: installed; 0: it was there; or a negative errno */
        char sha[POLICY_SHA_SIZE]; /* unless that is negative */
        char place[PATH_MAX];      /* what could not be written; "": it is not known */
};
