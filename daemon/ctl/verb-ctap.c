/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctap: one operation of the security key; the payload comes from standard input, the answer goes to
 * standard output. */
#include "admin.pb-c.h"
#include "failure.h"
#include "options.h"
#include "session.h"

#include <stdio.h>

/* CTAP messages have at most 7609 bytes (CTAP 2.1, 11.2.4); a call's message has 4 MiB. */
#define PAYLOAD_MAX (1024 * 1024)

static int read_payload(ProtobufCBinaryData *payload) {
        size_t n;

        payload->data = malloc(PAYLOAD_MAX + 1);
        if (!payload->data)
                return fail_errno(-ENOMEM, "payload");
        n = fread(payload->data, 1, PAYLOAD_MAX + 1, stdin);
        if (ferror(stdin))
                return fail_errno(-errno, "cannot read standard input");
        if (n > PAYLOAD_MAX)
                return fail_usage("the payload has more than %d bytes", PAYLOAD_MAX);
        payload->len = n;
        return EXIT_DONE;
}

/* Bytes as they are: whom they are for is no terminal. Flushed, and a failure told, when main() ends. */
static int show_answer(struct session *session, const ProtobufCMessage *response, const char *subject) {
        const Ctap__CtapResponse *answer = (const Ctap__CtapResponse *) response;

        if (answer->output.len > 0)
                fwrite(answer->output.data, 1, answer->output.len, stdout);
        return session_flush(session) ? EXIT_DONE : EXIT_FAILED;
}

int verb_ctap(struct session *session, const struct options *options) {
        Ctap__CtapRequest message = CTAP__CTAP_REQUEST__INIT;
        const char *given = options->arguments[0], *plus = strchr(given, '+');
        _cleanup_(freep) char *operation = plus ? strndup(given, (size_t) (plus - given)) : strdup(given);
        char *argument = plus ? (char *) plus + 1 : NULL;
        int r;

        if (!operation)
                return fail_errno(-ENOMEM, given);
        if (isempty(operation))
                return fail_usage("'%s' names no operation", given);
        message.req = operation;
        if (argument) {
                message.args = &argument;
                message.n_args = 1;
        }
        r = read_payload(&message.payload);
        if (r == EXIT_DONE)
                r = session_call(session,
                                &(struct session_request){
                                                .service = &admin__admin_service__descriptor,
                                                .method = "Ctap",
                                                .message = &message.base,
                                                .what = "cannot ask the security key",
                                                .show = show_answer,
                                });
        free(message.payload.data);
        return r == EXIT_DONE ? session_run(session) : r;
}
