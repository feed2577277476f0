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

/* How the main process has ended; NULL: that is not what it was about, or ENOMEM. */
static char *process_text(const struct run_result *result) {
        switch (result->exit_code) {
        case CLD_EXITED:
                if (result->exit_status == EXIT_STATUS_EXEC)
                        return strdup("its program could not be executed");
                return text_printf("its main process exited with status %" PRIi32, result->exit_status);
        case CLD_KILLED:
        case CLD_DUMPED:
                return text_printf("its main process was killed by SIG%s%s",
                                sigabbrev_np(result->exit_status) ?: "?",
                                result->exit_code == CLD_DUMPED ? " and dumped core" : "");
        default:
                return NULL;
        }
}

char *run_result_text(const struct run_result *result) {
        static const struct {
                const char *result, *text;
        } texts[] = {
                { "oom-kill", "memory ran out" },
                { "timeout", "it took longer than its configuration allows" },
                { "watchdog", "it did not feed its watchdog" },
                { "resources", "it lacked what it needs to be started" },
        };
        const char *word = strempty(result->result);
        char *text = NULL;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (streq(word, texts[i].result))
                        return strdup(texts[i].text);
        if (streq(word, "success") || streq(word, "exit-code") || streq(word, "signal") ||
                        streq(word, "core-dump"))
                text = process_text(result);
        return text ?: strdup(isempty(word) ? "nobody knows how" : word);
}
