/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reboot, poweroff, suspend, wakeup, sysinfo: of the host, through its agent. */
#include "admin.pb-c.h"
#include "failure.h"
#include "manage.h"
#include "options.h"
#include "output.h"
#include "session.h"

static const struct action {
        const char *verb, *method, *what;
        const char *target; /* the unit that --no-block starts */
} actions[] = {
        { "reboot", "Reboot", "cannot reboot the host", "reboot.target" },
        { "poweroff", "Poweroff", "cannot switch the host off", "poweroff.target" },
        { "suspend", "Suspend", "cannot put the host to sleep", "suspend.target" },
        { "wakeup", "Wakeup", "cannot wake the host up", NULL },
};

int verb_host(struct session *session, const struct options *options) {
        const Admin__Empty message = ADMIN__EMPTY__INIT;
        const struct action *action = actions;
        int r;

        while (!streq(action->verb, options->verb->words))
                action++;
        if (options->no_block) {
                r = manage_unit(session, "", action->target, &manage_start);
                return r == EXIT_DONE ? session_run(session) : r;
        }
        r = session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = action->method,
                                        .message = &message.base,
                                        .what = action->what,
                        });
        return r == EXIT_DONE ? session_run(session) : r;
}

static const char *enabled(bool known, bool value) {
        return !known ? "unknown" : value ? "enabled" : "disabled";
}

static int show_sysinfo(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Stats__SysinfoResponse *info = (const Stats__SysinfoResponse *) response;
        bool boot_known = info->secure_boot_presence_case, disk_known = info->disk_encrypted_presence_case;
        int r = 0;

        if (session->options->json)
                r = output_json(stdout, output_sysinfo_json(info));
        else {
                fputs("Ghaf Version: ", stdout);
                output_text(stdout,
                                isempty(info->ghafversion) && !session->options->compatible
                                                ? "unknown"
                                                : info->ghafversion);
                printf("\nSecure Boot: %s\nDisk Encryption: %s\n", enabled(boot_known, info->secureboot),
                                enabled(disk_known, info->diskencrypted));
        }
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

int verb_sysinfo(struct session *session, const struct options *options) {
        const Admin__Empty message = ADMIN__EMPTY__INIT;
        int r = session_call(session,
                        &(struct session_request){
                                        .service = &admin__admin_service__descriptor,
                                        .method = "Sysinfo",
                                        .message = &message.base,
                                        .what = "cannot ask the host what it is",
                                        .show = show_sysinfo,
                        });

        return r == EXIT_DONE ? session_run(session) : r;
}
