/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run-result.h"

#include <criterion/criterion.h>
#include <signal.h>

Test(run_result, in_words) {
        static const struct {
                struct run_result result;
                bool failure;
                const char *text;
        } cases[] = {
                { { "success", CLD_EXITED, 0 }, false, "its main process exited with status 0" },
                { { "success", CLD_KILLED, SIGTERM }, false, "its main process was killed by SIGTERM" },
                { { "exit-code", CLD_EXITED, 3 }, true, "its main process exited with status 3" },
                { { "exit-code", CLD_EXITED, 203 }, true, "its program could not be executed" },
                { { "signal", CLD_KILLED, SIGSEGV }, true, "its main process was killed by SIGSEGV" },
                { { "core-dump", CLD_DUMPED, SIGABRT }, true,
                                "its main process was killed by SIGABRT and dumped core" },
                { { "signal", CLD_KILLED, 4711 }, true, "its main process was killed by SIG?" },
                { { "oom-kill", CLD_KILLED, SIGKILL }, true, "memory ran out" },
                { { "timeout", CLD_KILLED, SIGTERM }, true, "it took longer than its configuration allows" },
                { { "start-limit-hit", CLD_EXITED, 1 }, true, "start-limit-hit" },
                { { "success", 0, 0 }, false, "success" },
                { { "", 0, 0 }, false, "nobody knows how" },
                { { NULL, 0, 0 }, false, "nobody knows how" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *text = run_result_text(&cases[i].result);

                cr_expect_str_eq(text, cases[i].text);
                cr_expect_eq(run_result_is_failure(&cases[i].result), cases[i].failure, "%s", text);
        }
}
