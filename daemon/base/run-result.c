/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run-result.h"
#include "text.h"

#include <inttypes.h>
#include <signal.h>

/* systemd.exec(5), "Process exit codes": execve() itself failed. */
#define EXIT_STATUS_EXEC 203

bool run_result_is_failure(const struct run_result *result) {
        return !isempty(result->result) && !streq(result->result, "success");
}

/* The results that say more than how the process ended. */
static const char *cause_text(const char *result) {
        static const struct {
                const char *result, *text;
        } causes[] = {
                { "oom-kill", "was killed as memory ran out" },
                { "timeout", "took longer than its configuration allows" },
                { "watchdog", "did not feed its watchdog" },
                { "resources", "lacked what it needs to be started" },
        };

        for (size_t i = 0; i < ELEMENTSOF(causes); i++)
                if (streq(result, causes[i].result))
                        return causes[i].text;
        return NULL;
}

char *run_result_text(const struct run_result *result) {
        const char *cause = cause_text(strempty(result->result));

        if (cause)
                return strdup(cause);
        switch (result->exit_code) {
        case CLD_EXITED:
                if (result->exit_status == EXIT_STATUS_EXEC)
                        return strdup("could not be executed");
                return text_printf("exited with status %" PRIi32, result->exit_status);
        case CLD_KILLED:
        case CLD_DUMPED:
                return text_printf("was killed by SIG%s%s", sigabbrev_np(result->exit_status) ?: "?",
                                result->exit_code == CLD_DUMPED ? " and dumped core" : "");
        default:
                return text_printf(
                                "ended (%s)", isempty(result->result) ? "nobody knows how" : result->result);
        }
}
