/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "failure.h"

#include "debug-info.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

static void _printf_(1, 0) complain_va(const char *format, va_list ap) {
        _cleanup_(freep) char *text = NULL;

        text = text_vprintf(format, ap);
        fprintf(stderr, "%s: ", program_invocation_short_name);
        output_text(stderr, text ?: "out of memory");
        fputc('\n', stderr);
}

void complain(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        complain_va(format, ap);
        va_end(ap);
}

int fail_usage(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        complain_va(format, ap);
        va_end(ap);
        fprintf(stderr, "'%s --help' says what can be done.\n", program_invocation_short_name);
        return EXIT_USAGE;
}

int fail_errno(int error, const char *what) {
        complain("%s: %s", what, strerror(-error));
        return EXIT_FAILED;
}

static enum exit_code exit_code_of_status(enum rpc_code code) {
        switch (code) {
        case RPC_OK:
                return EXIT_DONE;
        case RPC_NOT_FOUND:
                return EXIT_NOT_FOUND;
        case RPC_PERMISSION_DENIED:
        case RPC_UNAUTHENTICATED:
                return EXIT_DENIED;
        case RPC_UNAVAILABLE:
                return EXIT_UNAVAILABLE;
        case RPC_DEADLINE_EXCEEDED:
                return EXIT_DEADLINE;
        default:
                return EXIT_FAILED;
        }
}

/* Who refused: what the admin passes on of an agent says so. */
static void hint_denied(const struct session *session, bool by_agent) {
        if (by_agent)
                fputs("That agent's configuration and access rules decide what may be had of it.\n", stderr);
        else
                fprintf(stderr, "The access rules of %s decide what %s may do.\n", session->peer,
                                session->identity ?: "a caller without certificate");
}

static void hint_not_offered(const struct session *session, const char *message) {
        if (session->options->verb->of_agent || strstr(message, " is not offered by ") ||
                        strstr(message, "agent cannot run "))
                fputs("That agent is older than this program, or its configuration does not have it.\n",
                                stderr);
        else if (!streq(message, "Not supported")) /* by anybody: wakeup */
                fprintf(stderr, "%s does not offer this; it may be older than this program.\n",
                                session->peer);
}

/* Whether somebody is there, who does not take us, or whom we do not take. */
static bool is_up(const struct session *session, const char *message) {
        const char *why = isempty(message) && session->channel ? rpc_channel_reason(session->channel)
                                                               : message;

        return strstr(strempty(why), "certificate") || strstr(strempty(why), "refused us");
}

/* What the user can do about it, in a line of its own. */
static void hint(const struct session *session, enum rpc_code code, const char *message) {
        bool of_agent = session->options->verb->of_agent;
        bool by_agent = of_agent || strncmp(message, "agent ", strlen("agent ")) == 0;

        if (!session_is_connected(session) && (code == RPC_UNAVAILABLE || code == RPC_DEADLINE_EXCEEDED)) {
                fprintf(stderr, "Tried %s%s%s. %s--addr, --port and --name say where and who it is.\n",
                                session->peer, session->identity ? " as " : "", strempty(session->identity),
                                is_up(session, message) ? "" : "Is it up? ");
                return;
        }
        switch (code) {
        case RPC_NOT_FOUND:
                if (by_agent)
                        fputs("An agent shows only the units that its configuration lists.\n", stderr);
                else
                        fprintf(stderr, "'%s query' shows what is registered.\n",
                                        program_invocation_short_name);
                return;
        case RPC_PERMISSION_DENIED:
        case RPC_UNAUTHENTICATED:
                hint_denied(session, by_agent);
                return;
        case RPC_UNAVAILABLE:
                if (!of_agent)
                        fprintf(stderr, "'%s query' shows in ONLINE which agents answer.\n",
                                        program_invocation_short_name);
                return;
        case RPC_DEADLINE_EXCEEDED:
                fputs("It may still come to pass. --timeout gives it longer.\n", stderr);
                return;
        case RPC_UNIMPLEMENTED:
                hint_not_offered(session, message);
                return;
        default:
                return;
        }
}

char *status_text(const struct session *session, const struct rpc_status *status) {
        _cleanup_(freep) char *reason = debug_info_reason(status->details, status->n_details);
        const char *lost = session_is_connected(session) ? "" : rpc_channel_reason(session->channel);

        if (!reason && status->code == RPC_UNAVAILABLE && !isempty(lost))
                reason = strdup(lost);
        /* Deployed servers tell the reason in the details alone; ours in the message, too. */
        if (reason && !strstr(status->message, reason))
                return text_printf("%s: %s (%s)", rpc_code_name(status->code), status->message, reason);
        return text_printf("%s%s%s", rpc_code_name(status->code), isempty(status->message) ? "" : ": ",
                        status->message);
}

int fail_status(const struct session *session, const char *what, const struct rpc_status *status) {
        _cleanup_(freep) char *text = status_text(session, status);

        complain("%s: %s", what, text ?: strerror(ENOMEM));
        hint(session, status->code, status->message);
        return exit_code_of_status(status->code);
}

int output_failure(void) {
        if (fflush(stdout) == 0 && !ferror(stdout))
                return 0;
        return errno > 0 ? -errno : -EIO;
}

int exit_finish(int code, int error, bool compatible) {
        /* Deployed scripts know of 1 alone. */
        if (compatible && code > EXIT_USAGE && code < EXIT_INTERRUPTED)
                code = EXIT_FAILED;
        error = error < 0 ? error : output_failure();
        if (error < 0 && code == EXIT_DONE)
                return error == -EPIPE ? EXIT_FAILED : fail_errno(error, "cannot print");
        return code;
}
