/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reboot, poweroff, suspend: of the host, through its agent. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "session.h"

static const struct action {
        const char *verb, *method, *what;
} actions[] = {
        { "reboot", "Reboot", "cannot reboot the host" },
        { "poweroff", "Poweroff", "cannot switch the host off" },
        { "suspend", "Suspend", "cannot put the host to sleep" },
};

int verb_host(struct session *session, const struct options *options) {
        const Admin__Empty message = ADMIN__EMPTY__INIT;
        const struct action *action = actions;
        int r;

        while (!streq(action->verb, options->verb->words))
                action++;
        r = session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = action->method,
                                        .message = &message.base,
                                        .what = action->what,
                        });
        return r == EXIT_DONE ? session_run(session) : r;
}
