/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cedar: policies printed as text, which says the same when it is read back. */
#include "cedar-load.h"
#include "cedar-print.h"
#include "text.h"

#include <criterion/criterion.h>

/* Once as it was written, and once more as it was printed. */
static void expect_printed(const char *text, const char *expected) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies = load(text);
        _cleanup_(freep) char *printed = cedar_print_policy(cedar_policies_get(policies, 0));
        _cleanup_(cedar_policies_freep) struct cedar_policies *again = load(printed);
        _cleanup_(freep) char *reprinted = cedar_print_policy(cedar_policies_get(again, 0));

        cr_expect_str_eq(printed, expected, "%s: %s, not %s", text, printed, expected);
        cr_expect_str_eq(reprinted, printed, "%s: %s, and then %s", text, printed, reprinted);
}

static void expect_expression(const char *text, const char *expected) {
        _cleanup_(freep) char *policy = text_printf(
                                              "permit (principal, action, resource)\nwhen { %s };\n", text),
                              *printed = text_printf("permit (principal, action, resource)\nwhen { %s };\n",
                                              expected);

        expect_printed(policy, printed);
}

Test(cedar_print, parentheses_stand_where_they_are_needed) {
        static const char *const same[] = {
                "1 + 2 * 3 - 4 == 3",
                "(1 + 2) * 3 == 9 && true || false",
                "true && (true || false)",
                "1 - (2 - 3) == 2",
                "(1 == 1) == true",
                "(principal in resource) == (principal is A)",
                "!(!true) && -(-1) == 1",
                "!(true && true)",
                "(if true then false else true) || true",
                "if true then if false then 1 else 2 else 3",
                "(-1).n == -9223372036854775808",
                "(principal is A::B in [resource, A::B::\"x\"]) == true",
                "context has a && context.a.b[\"if\"] has \"c d\"",
                "[1, [], {}, {a: 1, \"b c\": {}}].contains(principal.getTag(\"a\"))",
                "ip(context.a).isInRange(ip(\"10.0.0.0/8\")) && [].isEmpty()",
                "\"\\n\\r\\t\\\\\\\"\\u{0}\\u{7f}'é*\" like \"*a\\*b**\\u{0}\"",
                "ip(\"none\") == decimal(1)",
        };

        for (size_t i = 0; i < ELEMENTSOF(same); i++)
                expect_expression(same[i], same[i]);
        expect_expression("((1) + (2 + 3)) == ((6))", "1 + (2 + 3) == 6");
        expect_expression("context has a.b", "context has a && context.a has b");
        expect_expression("ip(1, 2, 3) == principal.isIpv4(1)", "ip(0, 0) == context.isIpv4(0, 0)");
}

Test(cedar_print, values_of_extension_types_are_calls) {
        expect_expression("ip(\"10.0.0.1\") != ip(\"::ffff:0:1/3\")",
                        "ip(\"10.0.0.1/32\") != ip(\"0:0:0:0:0:ffff:0:1/3\")");
        expect_expression("decimal(\"-0.5\") == decimal(\"-922337203685477.5808\")",
                        "decimal(\"-0.5000\") == decimal(\"-922337203685477.5808\")");
        expect_expression("duration(\"1d1ms\") == duration(\"-9223372036854775808ms\")",
                        "duration(\"86400001ms\") == duration(\"-9223372036854775808ms\")");
        expect_expression("datetime(\"2024-02-29\") < datetime(\"0000-01-01T00:00:00.001+0100\")",
                        "datetime(\"2024-02-29T00:00:00.000Z\") < "
                        "datetime(\"1970-01-01T00:00:00.000Z\").offset(duration(\"-62167222799999ms\"))");
        expect_expression("datetime(\"1969-12-31T23:59:59.999Z\") == 1",
                        "datetime(\"1969-12-31T23:59:59.999Z\") == 1");
}

Test(cedar_print, scopes_annotations_and_clauses_are_kept) {
        static const char *const same[] = {
                "@id(\"a \\\"b\\\"\")\n@if(\"\")\nforbid (principal == A::\"x\", action in [A::\"y\", "
                "A::B::\"z\"], "
                "resource is A::B in C::\"\")\nwhen { true }\nunless { false };\n",
                "permit (principal is A, action == A::\"y\", resource in ?resource);\n",
                "permit (principal is A in ?principal, action in A::\"y\", resource == ?resource);\n",
                "permit (principal in A::\"x\", action in [], resource);\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(same); i++)
                expect_printed(same[i], same[i]);
        expect_printed("{\"effect\": \"permit\", \"principal\": {\"op\": \"==\", \"entity\": {\"type\": "
                       "\"A\", \"id\": "
                       "\"x\"}}, \"action\": {\"op\": \"All\"}, \"resource\": {\"op\": \"All\"}, "
                       "\"conditions\": [{\"kind\": "
                       "\"unless\", \"body\": {\"Value\": {\"a\": [1, \"b\", {\"__entity\": {\"type\": "
                       "\"A\", \"id\": \"\"}}]}}}]}",
                        "permit (principal == A::\"x\", action, resource)\nunless { {a: [1, \"b\", "
                        "A::\"\"]} };\n");
}

/* As a linter goes through them. */
static size_t count_nodes(const struct cedar_node *node, enum cedar_op op) {
        const struct cedar_node *child;
        size_t n = node->op == op;

        for (size_t i = 0; (child = cedar_node_child(node, i)); i++)
                n += count_nodes(child, op);
        return n;
}

Test(cedar_print, every_node_is_reached_from_the_one_above) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies =
                        load("permit (principal, action, resource) when { if context.a then [context.b, {c: "
                             "context.c}] "
                             "== ip(context.d) else !context.e.contains(context.f) && context.g is A in "
                             "context.h && context.i "
                             "like \"\" && context.j has k };");
        const struct cedar_policy *policy = cedar_policies_get(policies, 0);

        cr_expect_eq(count_nodes(policy->clauses[0].node, CEDAR_OP_GET), 10);
}
