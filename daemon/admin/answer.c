/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "answer.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>

/* The chain of reasons, outermost first; the last one is the root. */
static void finish(struct rpc_call *call, enum rpc_code code, const char *message, const char *root) {
        const char *chain[] = { message, root };
        _cleanup_(freep) uint8_t *details = NULL;
        struct rpc_status status = { .code = code, .message = message };

        details = rpc_status_debug_info(
                        code, message, chain, root ? 2 : 1, root ?: message, &status.n_details);
        status.details = details;
        rpc_call_finish(call, &status);
}

void answer_fail(struct rpc_call *call, enum rpc_code code, const char *format, ...) {
        _cleanup_(freep) char *message = NULL;
        va_list ap;

        va_start(ap, format);
        message = text_vprintf(format, ap);
        va_end(ap);
        finish(call, code, message ?: "out of memory", NULL);
}

void answer_failure_of(struct rpc_call *call, const struct rpc_status *status, const char *format, ...) {
        const char *reason = isempty(status->message) ? rpc_code_name(status->code) : status->message;
        _cleanup_(freep) char *context = NULL, *message = NULL;
        va_list ap;

        va_start(ap, format);
        context = text_vprintf(format, ap);
        va_end(ap);
        message = text_printf("%s: %s", strempty(context), reason);
        finish(call, status->code, message ?: reason, reason);
}
