/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions as a hostile peer asks them, decided on: principal, action, resource and context, a line each,
 * the last to the end. */
#include "fuzz.h"

#include "explain.h"
#include "question.h"

#define ARENA_BYTES (4 * 1024 * 1024)

static const char rules[] = "permit (principal == Source::\"gui-vm\", action, resource) when { "
                            "context.VmName like \"*-vm\" };\n"
                            "permit (principal is Source in Group::\"g\", action, resource)\n"
                            "when { context has a.b && context.a.b.contains(1) && context.n + 1 > 3 };\n"
                            "forbid (principal, action == Command::\"Poweroff\", resource)\n"
                            "unless { context has ip && context.ip.isInRange(ip(\"10.0.0.0/8\")) };\n";

/* The next line, in memory of its own, as a message has its strings. */
static char *take_line(const uint8_t **data, size_t *size, bool last) {
        const uint8_t *end = last || *size == 0 ? NULL : memchr(*data, '\n', *size);
        size_t n = end ? (size_t) (end - *data) : *size;
        char *line = strndup((const char *) *data, n);

        must(line, "there is memory");
        n += end ? 1 : 0;
        *data += n;
        *size -= n;
        return line;
}

static void decide(const struct cedar_request *request, struct arena *arena) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies = NULL;
        _cleanup_(freep) char *error = NULL;
        Access__DecideResponse *response;
        int r;

        must(cedar_policies_new(&policies, "rules", rules, sizeof(rules) - 1, &error) == 0,
                        "these are rules");
        r = access_explain(arena, policies, NULL, request, ACCESS_NEAR_ALL, &response);
        must(r == 0 || r == -ENOMEM, "whatever can be read can be decided");
        if (r < 0)
                return;
        must(!response->allowed || response->n_reasons > 0, "somebody has permitted it");
        must(response->n_nearest == 0 || response->n_reasons == 0,
                        "what is near is told where nobody decided");
        must(protobuf_c_message_check(&response->base), "the answer is a message");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *principal = take_line(&data, &size, false);
        _cleanup_(freep) char *action = take_line(&data, &size, false);
        _cleanup_(freep) char *resource = take_line(&data, &size, false);
        _cleanup_(freep) char *context = take_line(&data, &size, true), *error = NULL;
        Access__DecideRequest question = ACCESS__DECIDE_REQUEST__INIT;
        _cleanup_(arena_clear) struct arena arena = {};
        struct cedar_request request;
        int r;

        question.principal = principal;
        question.action = action;
        question.resource = resource;
        question.context = context;
        arena_init(&arena, ARENA_BYTES);
        r = access_read_question(&arena, &question, &request, &error);
        must(r == 0 ? !error : error || r == -ENOMEM, "what is wrong is said");
        if (r == 0)
                r = access_question_set_service(&arena, CEDAR_TEXT("AdminService"), &request);
        if (r == 0)
                decide(&request, &arena);
        return 0;
}
