/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies, as text or JSON: what can be read is asked to decide, and to explain. */
#include "fuzz.h"

#include "cedar-print.h"
#include "cedar.h"
#include "text.h"

/* More than any input of this size makes: 64 KiB of text at most, each byte of which may be a node. */
#define ARENA_BYTES (64 * 1024 * 1024)

static const struct cedar_record empty;

/* What a policy is printed as is read back, unless it has become too deep for that, and decides the same. */
static void try_print(const struct cedar_policy *policy, const struct cedar_request *request,
                struct arena *arena) {
        _cleanup_(freep) char *text = cedar_print_policy(policy), *error = NULL;
        _cleanup_(cedar_policies_freep) struct cedar_policies *again = NULL;
        struct cedar_explanation before, after;
        int r;

        must(text, "there is memory to print");
        r = cedar_policies_new(&again, "again", text, strlen(text), &error);
        must(r == 0 || (error && strstr(error, "deep")), "what was printed is read again");
        if (r < 0 || policy->is_template)
                return;
        must(cedar_explain(policy, NULL, request, arena, &before) == 0 &&
                                        cedar_explain(cedar_policies_get(again, 0), NULL, request, arena,
                                                        &after) == 0,
                        "there is memory to explain");
        must(before.applies == after.applies && !before.failure == !after.failure, "it decides the same");
}

static void try_policies(const struct cedar_policies *policies) {
        _cleanup_(arena_clear) struct arena arena = {};
        struct cedar_decision decision;
        struct cedar_near near[3];
        struct cedar_request request = { .context = &empty };
        bool found;

        arena_init(&arena, ARENA_BYTES);
        request.principal = cedar_uid_new(&arena, CEDAR_TEXT("A"), CEDAR_TEXT("a"));
        request.action = cedar_uid_new(&arena, CEDAR_TEXT("A"), CEDAR_TEXT("b"));
        request.resource = cedar_uid_new(&arena, CEDAR_TEXT("A"), CEDAR_TEXT("c"));
        must(cedar_authorize(policies, NULL, &request, &arena, &decision) == 0,
                        "there is memory for a decision");
        must(!decision.allow || decision.n_reasons > 0, "what is allowed has a reason");
        must(cedar_nearest(policies, NULL, &request, false, &arena, near, ELEMENTSOF(near)) >= 0,
                        "there is memory to explain");

        /* What the index leaves out neither applies nor fails. */
        for (size_t i = 0; i < cedar_policies_count(policies); i++) {
                const struct cedar_policy *policy = cedar_policies_get(policies, i);
                struct cedar_explanation explanation;

                must(cedar_explain(policy, NULL, &request, &arena, &explanation) == 0,
                                "there is memory to explain");
                found = decision.n_reasons > 0 && decision.reasons[0]->forbid && !policy->forbid;
                for (size_t j = 0; j < decision.n_reasons; j++)
                        found = found || decision.reasons[j] == policy;
                must(!explanation.applies || found, "what applies is a reason");
                try_print(policy, &request, &arena);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies = NULL;
        _cleanup_(freep) char *error = NULL;
        int r = cedar_policies_new(&policies, "rules", (const char *) data, size, &error);

        must(r == 0 || (r == -EINVAL && error), "what cannot be read is said to be so");
        if (r == 0)
                try_policies(policies);
        return 0;
}
