/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a decision by access rules costs, the making of its request included:
 *
 *      bench-cedar RULES DECISIONS
 *              so many rules in the shape in which they are generated; prints microseconds for a decision
 *
 * Requests go round all rules: half of them are allowed, the others lack what the rule's last condition
 * wants.
 */
#include "buffer.h"
#include "cedar.h"
#include "text.h"

#include <stdio.h>

/* As many actions, peers and modules as a fleet may have. */
#define ACTIONS 40
#define MODULES 8

static void __attribute__((noreturn)) fail(const char *what) {
        (void) fprintf(stderr, "bench-cedar: %s\n", what);
        exit(1);
}

static void append_rule(struct buffer *text, uint64_t i) {
        _cleanup_(freep) char *rule = text_printf(
                        "@id(\"rule %zu\")\npermit (principal, action, resource)\nwhen { (principal == "
                        "Source::\"vm-%zu\") && resource == Module::\"module-%zu\" && (action == "
                        "Command::\"Do%zu\" || "
                        "action == Command::\"Do%zu\")\n       && (context has \"VmName\" && "
                        "(context.VmName == "
                        "\"app-vm-%zu\")) };\n",
                        (size_t) i, (size_t) (i / MODULES), (size_t) (i % MODULES), (size_t) (i % ACTIONS),
                        (size_t) ((i + 1) % ACTIONS), (size_t) i);

        if (!rule || buffer_append(text, rule, strlen(rule)) < 0)
                fail("out of memory");
}

static struct cedar_policies *make_rules(uint64_t n) {
        _cleanup_(buffer_clear) struct buffer text = BUFFER_NULL;
        _cleanup_(freep) char *error = NULL;
        struct cedar_policies *policies = NULL;

        for (uint64_t i = 0; i < n; i++)
                append_rule(&text, i);
        if (cedar_policies_new(&policies, "rules", buffer_bytes(&text), buffer_length(&text), &error) < 0)
                fail(error ?: "out of memory");
        return policies;
}

/* The texts of a request, which a daemon has before it asks. */
struct texts {
        char peer[32], module[32], action[32], vm[32];
};

static void make_texts(struct texts *texts, uint64_t rule, bool allowed) {
        (void) snprintf(texts->peer, sizeof(texts->peer), "vm-%zu", (size_t) (rule / MODULES));
        (void) snprintf(texts->module, sizeof(texts->module), "module-%zu", (size_t) (rule % MODULES));
        (void) snprintf(texts->action, sizeof(texts->action), "Do%zu", (size_t) (rule % ACTIONS));
        (void) snprintf(texts->vm, sizeof(texts->vm), "app-vm-%zu", (size_t) (allowed ? rule : rule + 1));
}

static bool decide(const struct cedar_policies *policies, const struct texts *texts) {
        _cleanup_(arena_clear) struct arena arena = {};
        struct cedar_field fields[] = {
                { CEDAR_TEXT("service"), cedar_string(CEDAR_TEXT("module.Service")) },
                { CEDAR_TEXT("VmName"), cedar_string(cedar_text_of(texts->vm)) },
                { CEDAR_TEXT("UnitName"), cedar_string(CEDAR_TEXT("firefox.service")) },
        };
        struct cedar_decision decision;
        struct cedar_request request;
        struct cedar_value context;

        arena_init(&arena, 64 * 1024);
        request.principal = cedar_uid_new(&arena, CEDAR_TEXT("Source"), cedar_text_of(texts->peer));
        request.action = cedar_uid_new(&arena, CEDAR_TEXT("Command"), cedar_text_of(texts->action));
        request.resource = cedar_uid_new(&arena, CEDAR_TEXT("Module"), cedar_text_of(texts->module));
        if (cedar_record_new(&arena, fields, ELEMENTSOF(fields), &context) < 0)
                fail("out of memory");
        request.context = context.record;
        if (cedar_authorize(policies, NULL, &request, &arena, &decision) < 0)
                fail("out of memory");
        return decision.allow;
}

int main(int argc, char **argv) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies = NULL;
        _cleanup_(freep) struct texts *texts = NULL;
        uint64_t n_rules, n_decisions, begin;

        if (argc != 3 || text_to_uint(argv[1], 16 * 1024, &n_rules) < 0 || n_rules == 0 ||
                        text_to_uint(argv[2], UINT32_MAX, &n_decisions) < 0 || n_decisions == 0)
                fail("usage: bench-cedar RULES DECISIONS");
        policies = make_rules(n_rules);
        texts = calloc(2 * n_rules, sizeof(*texts));
        if (!texts)
                fail("out of memory");
        for (uint64_t i = 0; i < 2 * n_rules; i++)
                make_texts(&texts[i], i / 2, i % 2 == 0);
        begin = now_usec(CLOCK_MONOTONIC);
        for (uint64_t i = 0; i < n_decisions; i++)
                if (decide(policies, &texts[i % (2 * n_rules)]) != (i % 2 == 0))
                        fail("a decision is wrong");
        printf("%.4f\n", (double) (now_usec(CLOCK_MONOTONIC) - begin) / (double) n_decisions);
        return 0;
}
