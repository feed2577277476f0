/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "show.h"

#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"

int show_status(const struct options *options, const Systemd__UnitStatus *status) {
        int r = 0;

        if (options->json)
                r = output_json(stdout, output_status_json(status));
        else if (options->compatible)
                output_deployed(stdout, &status->base);
        else
                output_status(stdout, status);
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

int show_started(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Admin__StartResponse *started = (const Admin__StartResponse *) response;
        int r = 0;

        if (session->options->json)
                r = output_json(stdout,
                                json_pack("{s:s%}", "registry_id", started->registryid,
                                                strlen(started->registryid)));
        else if (session->options->compatible)
                output_deployed(stdout, &started->base);
        else
                printf("Started %s.\n", subject);
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

int show_application(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Admin__ApplicationResponse *stopped = (const Admin__ApplicationResponse *) response;
        int r = 0;

        if (session->options->json)
                r = output_json(stdout,
                                json_pack("{s:s%,s:s%}", "cmd_status", stopped->cmdstatus,
                                                strlen(stopped->cmdstatus), "app_status", stopped->appstatus,
                                                strlen(stopped->appstatus)));
        else if (!session->options->compatible)
                printf("%s.\n", subject);
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

int show_done(struct session *session, const ProtobufCMessage *response, const char *subject) {
        int r = 0;

        if (session->options->json)
                r = output_json(stdout, json_pack("{s:s}", "done", subject));
        else if (!session->options->compatible)
                printf("%s.\n", subject);
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}
