/* SPDX-License-Identifier: GPL-2.0-or-later */
/* givcctl, and what it is when called as givc-cli. See givcctl(1). */
#include "failure.h"
#include "help.h"
#include "options.h"
#include "session.h"

#include <signal.h>
#include <stdio.h>

static int run(const struct options *options, int *ret_error) {
        struct session session;
        int code;

        if (options->version) {
                printf("givcctl %s\n", GIVC_VERSION);
                return EXIT_DONE;
        }
        if (options->help) {
                help_print(stdout, options->verb, options->family);
                return EXIT_DONE;
        }
        session_init(&session, options);
        code = options->verb->run(&session, options);
        session_note_output(&session);
        *ret_error = session.output_error;
        session_clear(&session);
        return code;
}

int main(int argc, char **argv) {
        _cleanup_(options_clear) struct options options = OPTIONS_NULL;
        _cleanup_(freep) char *error = NULL;
        int r, output_error = 0;

        signal(SIGPIPE, SIG_IGN); /* a server that goes away is an error like others */
        r = options_parse(&options, argc, argv, &error);
        if (r < 0 && error)
                return fail_usage("%s", error);
        if (r < 0)
                return fail_errno(r, "cannot read the command line");

        r = run(&options, &output_error);
        return exit_finish(r, output_error, options.compatible);
}
