/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How a service's last run ended, in systemd's words (org.freedesktop.systemd1(5): Result, ExecMainCode,
 * ExecMainStatus) and in people's. */

#include "util.h"

struct run_result {
        const char *result; /* success, exit-code, signal, core-dump, oom-kill, timeout, …; "": not known */
        int32_t exit_code;  /* CLD_EXITED, CLD_KILLED, CLD_DUMPED (waitid(2)); 0: it did not end */
        int32_t exit_status; /* its exit status, or the signal */
};

/* Whether it ended other than it should. */
bool run_result_is_failure(const struct run_result *result);
/* A clause: "its main process exited with status 3", "memory ran out", … On the heap; NULL: ENOMEM. */
char *run_result_text(const struct run_result *result);
