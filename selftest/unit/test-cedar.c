/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cedar: what expressions come to, what is refused and where, and who decides. */
#include "cedar-load.h"
#include "text.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char entities_json[] =
                "[{\"uid\": {\"type\": \"VM\", \"id\": \"app\"}, \"attrs\": {\"trust\": 3, \"owner\": "
                "{\"__entity\": {\"type\": "
                "\"User\", \"id\": \"kim\"}}, \"ip\": {\"__extn\": {\"fn\": \"ip\", \"arg\": "
                "\"10.0.0.4\"}}}, \"tags\": "
                "{\"room\": \"lab\"}, \"parents\": [{\"type\": \"Zone\", \"id\": \"inner\"}]},"
                " {\"uid\": {\"type\": \"Zone\", \"id\": \"inner\"}, \"attrs\": {}, \"parents\": "
                "[{\"type\": \"Zone\", \"id\": "
                "\"all\"}]}]";

/* VM::"app" does Action::"start" to Unit::"clock", where the context is {n: 7, s: "héllo*", list: [1, 2],
 * in: {deep: true}}. */
static void make_request(struct arena *arena, struct cedar_request *request) {
        struct cedar_value list[] = { cedar_long(2), cedar_long(1), cedar_long(2) }, set, inner, context;
        struct cedar_field deep[] = { { CEDAR_TEXT("deep"), cedar_bool(true) } };

        request->principal = cedar_uid_new(arena, CEDAR_TEXT("VM"), CEDAR_TEXT("app"));
        request->action = cedar_uid_new(arena, CEDAR_TEXT("Action"), CEDAR_TEXT("start"));
        request->resource = cedar_uid_new(arena, CEDAR_TEXT("Unit"), CEDAR_TEXT("clock"));
        cr_assert_eq(cedar_set_new(arena, list, ELEMENTSOF(list), &set), 0);
        cr_assert_eq(cedar_record_new(arena, deep, 1, &inner), 0);
        cr_assert_eq(cedar_record_new(arena,
                                     (struct cedar_field[]){
                                                     { CEDAR_TEXT("n"), cedar_long(7) },
                                                     { CEDAR_TEXT("s"), cedar_string(CEDAR_TEXT("héllo*")) },
                                                     { CEDAR_TEXT("list"), set },
                                                     { CEDAR_TEXT("nested"), inner },
                                     },
                                     4, &context),
                        0);
        request->context = context.record;
}

/* "allow: policy0", "deny: policy1 policy2; errors: policy3" */
static char *decide(const char *text) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies = load(text);
        _cleanup_(cedar_entities_freep) struct cedar_entities *entities = load_entities(entities_json);
        _cleanup_(arena_clear) struct arena arena = {};
        struct cedar_request request;
        struct cedar_decision decision;
        char *said, *longer;

        arena_init(&arena, 1024 * 1024);
        make_request(&arena, &request);
        cr_assert_eq(cedar_authorize(policies, entities, &request, &arena, &decision), 0);
        said = text_printf("%s:", decision.allow ? "allow" : "deny");
        for (size_t i = 0; i < decision.n_reasons; i++) {
                longer = text_printf("%s %s", said, decision.reasons[i]->id.s);
                free(said);
                said = longer;
        }
        for (size_t i = 0; i < decision.n_failures; i++) {
                longer = text_printf("%s%s %s", said, i == 0 ? "; errors:" : "",
                                decision.failures[i].policy->id.s);
                free(said);
                said = longer;
        }
        return said;
}

static void expect_decision(const char *text, const char *expected) {
        _cleanup_(freep) char *said = decide(text);

        cr_expect_str_eq(said, expected, "%s: %s, not %s", text, said, expected);
}

static void expect_condition(const char *condition, const char *expected) {
        _cleanup_(freep) char *text =
                        text_printf("permit (principal, action, resource) when { %s };", condition);

        expect_decision(text, expected);
}

#define TRUE  "allow: policy0"
#define FALSE "deny:"
#define FAILS "deny:; errors: policy0"

Test(cedar, conditions_come_to_what_they_say) {
        static const char *const cases[][2] = {
                { "true", TRUE },
                { "!true", FALSE },
                { "!!!!true", TRUE },
                { "false && context.missing", FALSE },
                { "true || context.missing", TRUE },
                { "context.missing && false", FAILS },
                { "1 && true", FAILS },
                { "true && 1", FAILS },
                { "if context.n > 6 then true else context.missing", TRUE },
                { "if 1 then true else true", FAILS },
                { "context.n == 7", TRUE },
                { "context[\"n\"] == 7", TRUE },
                { "1 == \"1\"", FALSE },
                { "1 != true", TRUE },
                { "-9223372036854775808 < 9223372036854775807", TRUE },
                { "-(-9223372036854775808) == 0", FAILS },
                { "9223372036854775807 + 1 == 0", FAILS },
                { "-9223372036854775808 - 1 == 0", FAILS },
                { "4294967296 * 4294967296 == 0", FAILS },
                { "2 + 3 * 4 - 1 == 13", TRUE },
                { "\"a\" < \"b\"", FAILS },
                { "context has n && context has nested.deep && !(context has nested.deeper) && !(context "
                  "has a.b.c)",
                                TRUE },
                { "context has \"n\"", TRUE },
                { "1 has a", FAILS },
                { "context.s like \"h*o\\*\"", TRUE },
                { "context.s like \"h*o\"", FALSE },
                { "context.s like \"*\\u{e9}*l*\"", TRUE },
                { "\"\" like \"*\" && \"a*b\" like \"a\\*b\" && !(\"axb\" like \"a\\*b\") && \"aab\" like "
                  "\"*ab\"",
                                TRUE },
                { "1 like \"*\"", FAILS },
                { "\"\\u{1F600}\\x41\\0\\n\\t\\r\\\\\\'\\\"\" like \"*A*\"", TRUE },
                { "[1, 2, 2] == [2, 1]", TRUE },
                { "context.list == [1, 2] && context.list.contains(2) && !context.list.contains(\"2\")",
                                TRUE },
                { "[1, 2, 3].containsAll(context.list) && [1].containsAny(context.list) && [].isEmpty()",
                                TRUE },
                { "context.list.containsAny([]) || ![].containsAll([1]) == false", FALSE },
                { "{a: 1, \"b c\": [true]} == {\"b c\": [true], a: 1}", TRUE },
                { "{a: {b: 2}}.a.b == 2", TRUE },
                { "principal is VM && principal is VM in Zone::\"all\" && !(principal is User)", TRUE },
                { "principal in Zone::\"inner\" && principal in [User::\"x\", Zone::\"all\"] && principal "
                  "in principal",
                                TRUE },
                { "Zone::\"all\" in principal", FALSE },
                { "principal in [1]", FAILS },
                { "principal in []", FALSE },
                { "principal.trust == 3 && principal.owner == User::\"kim\" && !(principal.owner has name)",
                                TRUE },
                { "resource.trust == 3", FAILS },
                { "resource has trust", FALSE },
                { "principal.missing == 3", FAILS },
                { "principal.hasTag(\"room\") && principal.getTag(\"room\") == \"lab\" && "
                  "!resource.hasTag(\"room\")",
                                TRUE },
                { "principal.getTag(\"none\") == 1", FAILS },
                { "ip(\"10.0.0.4\") == principal.ip && principal.ip.isInRange(ip(\"10.0.0.0/8\")) && "
                  "principal.ip.isIpv4()",
                                TRUE },
                { "ip(\"::1\").isLoopback() && ip(\"ff02::1\").isMulticast() && ip(\"::1\").isIpv6()",
                                TRUE },
                { "ip(\"10.0.0.4/33\").isIpv4()", FAILS },
                { "ip(\"010.0.0.4\").isIpv4()", FAILS },
                { "ip(\"::ffff:1.2.3.4\").isIpv6()", FAILS },
                { "ip(\"10.0.0.0/7\").isInRange(ip(\"10.0.0.0/8\"))", FALSE },
                { "decimal(\"1.20\") == decimal(\"1.2\") && decimal(\"-0.0001\").lessThan(decimal(\"0.0\"))",
                                TRUE },
                { "decimal(\"1.23456\") == decimal(\"1.2\")", FAILS },
                { "decimal(\"922337203685477.5807\").greaterThan(decimal(\"-922337203685477.5808\"))",
                                TRUE },
                { "decimal(\"922337203685477.5808\") == decimal(\"0.0\")", FAILS },
                { "decimal(\"1\") == decimal(\"1.0\")", FAILS },
                { "decimal(\"1.0\") < decimal(\"2.0\")", FAILS },
                { "datetime(\"2024-02-29\") < datetime(\"2024-02-29T00:00:00.001Z\")", TRUE },
                { "datetime(\"2023-02-29\") < datetime(\"2024-01-01\")", FAILS },
                { "datetime(\"2024-10-15T11:35:00+0200\") == datetime(\"2024-10-15T09:35:00Z\")", TRUE },
                { "datetime(\"1970-01-02\").durationSince(datetime(\"1970-01-01\")) == duration(\"1d\")",
                                TRUE },
                { "datetime(\"1969-12-31T23:00:00Z\").toDate() == datetime(\"1969-12-31\")", TRUE },
                { "datetime(\"1969-12-31T23:00:00Z\").toTime() == duration(\"23h\")", TRUE },
                { "datetime(\"1970-01-01\").offset(duration(\"-1h\")).toTime().toHours() == 23", TRUE },
                { "duration(\"1d2h3m4s5ms\").toSeconds() == 93784 && duration(\"-90s\").toMinutes() == -1",
                                TRUE },
                { "duration(\"1h1d\") == duration(\"0s\")", FAILS },
                { "duration(\"106751991168d\") == duration(\"0s\")", FAILS },
                { "[ip(\"bad\")].isEmpty()", FAILS },
                { "true // a comment }; \n", TRUE },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                expect_condition(cases[i][0], cases[i][1]);
}

Test(cedar, policies_are_combined) {
        expect_decision("", "deny:");
        expect_decision("permit (principal, action, resource); permit (principal, action, resource);",
                        "allow: policy0 policy1");
        expect_decision("permit (principal, action, resource); forbid (principal is VM, action, resource);",
                        "deny: policy1");
        expect_decision("permit (principal, action, resource); forbid (principal, action, resource) unless "
                        "{ true };",
                        "allow: policy0");
        expect_decision("permit (principal, action, resource); forbid (principal, action, resource) when { "
                        "1 };",
                        "allow: policy0; errors: policy1");
        expect_decision("permit (principal == VM::\"app\", action in [Action::\"stop\", Action::\"start\"], "
                        "resource is Unit);"
                        "permit (principal in Zone::\"all\", action, resource) when { true } unless { false "
                        "} when { true };"
                        "permit (principal is VM in Zone::\"other\", action, resource);"
                        "permit (principal == ?principal, action, resource);",
                        "allow: policy0 policy1");
}

/* What the index leaves out must make no difference: nor may an error be lost that comes before what it
 * looks at. */
Test(cedar, what_cannot_apply_is_left_out_and_what_fails_is_not) {
        expect_decision("permit (principal, action, resource) when { (principal == VM::\"other\") && "
                        "context.missing };"
                        "permit (principal, action, resource) when { context.missing && principal == "
                        "VM::\"other\" };"
                        "permit (principal, action, resource) when { Action::\"start\" == action && "
                        "(principal == VM::\"x\" || "
                        "principal == VM::\"app\") };"
                        "forbid (principal == VM::\"other\", action, resource) when { context.missing };"
                        "forbid (principal, action, resource) unless { principal == VM::\"app\" };"
                        "permit (principal == VM::\"app\", action, resource) when { principal == "
                        "VM::\"other\" };",
                        "allow: policy2; errors: policy1");
}

/* What Cedar's own takes although nobody writes it. */
Test(cedar, texts_are_read_as_liberally_as_by_cedars_own) {
        expect_decision("permit(principal == ((VM::\"app\")), action in ([(Action::\"start\"),]), resource "
                        "in "
                        "(Unit::\"clock\"),);",
                        "allow: policy0");
        expect_decision("\xC2\xA0permit\xE2\x80\x83(principal,\xE3\x80\x80"
                        "action, resource)\xE2\x80\xA8;\xC2\x85",
                        "allow: policy0");
        expect_condition("- 9223372036854775808 == -9223372036854775807 - 1", TRUE);
        expect_condition("---5 == -5 && 007 == 7", TRUE);
        expect_condition("ip() == 1", FAILS);
        expect_condition("principal.ip.isIpv4(1)", FAILS);
        expect_condition("context . nested [ \"deep\" ]", TRUE);
        expect_condition("principal::\"x\" != principal && permit::\"x\" != when::\"x\"", TRUE);
}

Test(cedar, json_says_the_same_as_text) {
        expect_decision("{\"staticPolicies\": {\"a\": {\"effect\": \"permit\", \"principal\": {\"op\": "
                        "\"is\", \"entity_type\": "
                        "\"VM\", \"in\": {\"entity\": {\"type\": \"Zone\", \"id\": \"all\"}}}, \"action\": "
                        "{\"op\": \"in\", "
                        "\"entities\": [{\"type\": \"Action\", \"id\": \"start\"}]}, \"resource\": {\"op\": "
                        "\"All\"}, "
                        "\"conditions\": [{\"kind\": \"when\", \"body\": {\"&&\": {\"left\": {\"like\": "
                        "{\"left\": {\".\": "
                        "{\"left\": {\"Var\": \"context\"}, \"attr\": \"s\"}}, \"pattern\": [{\"Literal\": "
                        "\"h\"}, \"Wildcard\"]}}, "
                        "\"right\": {\"isInRange\": [{\"ip\": [{\"Value\": \"10.1.1.1\"}]}, {\"ip\": "
                        "[{\"Value\": "
                        "\"10.0.0.0/8\"}]}]}}}}]}},"
                        "\"templates\": {\"t\": {\"effect\": \"permit\", \"principal\": {\"op\": \"==\", "
                        "\"slot\": "
                        "\"?principal\"}, \"action\": {\"op\": \"All\"}, \"resource\": {\"op\": \"All\"}, "
                        "\"conditions\": []}},"
                        "\"templateLinks\": [{\"templateId\": \"t\", \"newId\": \"b\", \"values\": "
                        "{\"?principal\": {\"type\": "
                        "\"VM\", \"id\": \"app\"}}}, {\"templateId\": \"t\", \"newId\": \"c\", \"values\": "
                        "{\"?principal\": "
                        "{\"type\": \"VM\", \"id\": \"x\"}}}]}",
                        "allow: a b");
        expect_decision("{\"effect\": \"permit\", \"principal\": {\"op\": \"All\"}, \"action\": {\"op\": "
                        "\"All\"}, \"resource\": "
                        "{\"op\": \"All\"}, \"conditions\": [{\"kind\": \"unless\", \"body\": {\"has\": "
                        "{\"left\": {\"Var\": "
                        "\"context\"}, \"attr\": \"none\"}}}]}",
                        "allow: policy0");
}

#define JSON_POLICY(body)                                                                                   \
        "{'staticPolicies': {'a': {'effect': 'permit', 'principal': {'op': 'All'}, 'action': {'op': "       \
        "'All'}, "                                                                                          \
        "'resource': {'op': 'All'}, 'conditions': [{'kind': 'when', 'body': " body                          \
        "}]}}, 'templates': {}, "                                                                           \
        "'templateLinks': []}"

Test(cedar, json_has_what_only_json_has) {
        static const char *const cases[][2] = {
                { JSON_POLICY("{'has': {'left': {'Var': 'context'}, 'attr': ['nested', 'deep']}}"),
                                "allow: a" },
                { JSON_POLICY("{'has': {'left': {'Var': 'context'}, 'attr': ['nested', 'other']}}"),
                                "deny:" },
                { JSON_POLICY("{'has': {'left': {'Var': 'context'}, 'attr': ['n', 'deep']}}"),
                                "deny:; errors: a" },
                { JSON_POLICY("{'is': {'left': {'Var': 'principal'}, 'entity_type': 'VM', 'in': null}}"),
                                "allow: a" },
                { JSON_POLICY("{'like': {'left': {'Value': 'ab*'}, 'pattern': [{'Literal': 'a'}, "
                              "{'Wildcard': null}, {'Literal': '*'}]}}"),
                                "allow: a" },
                { JSON_POLICY("{'ip': []}"), "deny:; errors: a" },
                { JSON_POLICY("{'ip': [{'Value': 'x'}]}"), "deny:; errors: a" },
                { JSON_POLICY("{'isInRange': [{'Value': 1}]}"), "deny:; errors: a" },
                { JSON_POLICY("{'==': {'left': {'Value': 1}, 'right': {'Value': {'__extn': {'fn': 'ip', "
                              "'arg': 'x'}}}}}"),
                                "deny:; errors: a" },
                { JSON_POLICY("{'isIpv6': [{'Value': {'__extn': {'fn': 'ip', 'arg': '::1'}}}]}"),
                                "allow: a" },
                { JSON_POLICY("{'==': {'left': {'Value': {'a': [1, 2]}}, 'right': {'Record': {'a': {'Set': "
                              "[{'Value': 2}, "
                              "{'Value': 1}, {'Value': 2}]}}}}}"),
                                "allow: a" },
                { "{'effect': 'permit', 'principal': {'op': '==', 'slot': '?principal', 'entity': {'type': "
                  "'VM', 'id': 'app'}}, 'action': {'op': 'in', 'entity': {'type': 'Action', 'id': 'stop'}, "
                  "'entities': [{'type': 'Action', 'id': 'start'}]}, 'resource': {'op': 'All'}, "
                  "'conditions': []}",
                                "deny:" },
                { "{'staticPolicies': {}, 'templates': {'t': {'effect': 'permit', 'principal': {'op': "
                  "'All'}, 'action': "
                  "{'op': 'All'}, 'resource': {'op': 'All'}, 'conditions': []}}, 'templateLinks': []}",
                                "deny:" },
                { "{'staticPolicies': {}, 'templates': {'t': {'effect': 'permit', 'principal': {'op': "
                  "'All'}, 'action': "
                  "{'op': 'All'}, 'resource': {'op': 'All'}, 'conditions': []}}, 'templateLinks': "
                  "[{'templateId': 't', "
                  "'newId': 'l', 'values': {}}]}",
                                "allow: l" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *json = quoted(cases[i][0]);

                expect_decision(json, cases[i][1]);
        }
}

static void expect_refusal(const char *text, const char *where) {
        _cleanup_(freep) char *error = NULL;
        struct cedar_policies *policies = NULL;
        int r = cedar_policies_new(&policies, "rules", text, strlen(text), &error);

        cr_expect(r == -EINVAL && startswith(strempty(error), where), "%s: %i, %s", text, r,
                        strempty(error));
        cedar_policies_free(policies);
}

Test(cedar, what_is_no_policy_is_refused_where_it_is) {
        static const char *const conditions[] = { "1 < 2 < 3", "1 == 1 == true", "1 = 1", "a",
                "principal.foo()", "contains(1)", "[1].contains()", "[1].isEmpty(1)", "ip", "1 / 2",
                "-----1 == 1", "!!!!!true", "9223372036854775808 == 1", "\"\\q\" == \"\"",
                "\"\\u{110000}\" == \"\"", "\"\\xff\" == \"\"", "\"open", "{a: 1, a: 2} == {}", "context.if",
                "context[n]", "?principal == principal", "principal is \"VM\"", "context.s like context.s",
                "principal has 1", "VM::app", "if true then false", "", "true true", "true &",
                "__cedar::X::\"y\" == principal", "#", "-9223372036854775808.n == 1", "context has a[\"b\"]",
                "\xE2\x80\x8Btrue" };
        static const char *const json[] = {
                "{'staticPolicies': {}, 'template': {}}",
                "{'effect': 'permit', 'principal': {'op': 'All'}, 'action': {'op': 'All'}, 'resource': "
                "{'op': 'All'}}",
                JSON_POLICY("{'==': {'left': {'Value': 1}, 'right': {'Value': 1}, 'more': 1}}"),
                JSON_POLICY("{'contains': [{'Value': 1}, {'Value': 1}]}"),
                JSON_POLICY("{'Value': 1, 'Var': 'context'}"),
                JSON_POLICY("{'like': {'left': {'Value': ''}, 'pattern': [{'Literal': '', 'more': 1}]}}"),
                JSON_POLICY("{'unknown': [{'Value': 1}]}"),
                JSON_POLICY("{'Value': null}"),
                JSON_POLICY("{'has': {'left': {'Var': 'context'}, 'attr': []}}"),
                "{'effect': 'permit', 'principal': {'op': 'All'}, 'action': {'op': 'All'}, 'resource': "
                "{'op': 'All'}, "
                "'conditions': [], 'annotations': {'a b': 'x'}}",
        };

        for (size_t i = 0; i < ELEMENTSOF(conditions); i++) {
                _cleanup_(freep) char *text = text_printf(
                                "permit (principal, action, resource)\nwhen { %s };", conditions[i]);

                expect_refusal(text, "rules:2:");
        }
        expect_refusal("permit (principal, action, resource)", "rules:1:37: the text ends");
        expect_refusal("permit (principal, action);", "rules:1:26:");
        expect_refusal("allow (principal, action, resource);",
                        "rules:1:1: found allow where permit or forbid is expected");
        expect_refusal("permit (action, principal, resource);", "rules:1:9:");
        expect_refusal("permit (principal, action is X, resource);", "rules:1:27:");
        expect_refusal("permit (principal == ?resource, action, resource);", "rules:1:22:");
        expect_refusal("@a(\"1\") @a(\"2\") permit (principal, action, resource);", "rules:1:10:");
        expect_refusal("\xff", "rules: not UTF-8");
        expect_refusal("{\"staticPolicies\": 1}", "rules: ");
        for (size_t i = 0; i < ELEMENTSOF(json); i++) {
                _cleanup_(freep) char *text = quoted(json[i]);

                expect_refusal(text, "rules: ");
        }
        expect_refusal("{\"a\": {\"effect\": ", "rules:1:");
}

Test(cedar, expressions_too_deep_are_refused) {
        _cleanup_(freep) char *text = malloc(64 * 1024);
        char *p = stpcpy(text, "permit (principal, action, resource) when { ");

        for (size_t i = 0; i < 5000; i++)
                *p++ = '(';
        strcpy(p, "true");
        expect_refusal(text, "rules:1:");
        p = stpcpy(text, "permit (principal, action, resource) when { true");
        for (size_t i = 0; i < 5000; i++)
                p = stpcpy(p, " && true");
        strcpy(p, " };");
        expect_refusal(text, "rules:1:");
        p = stpcpy(text, "permit (principal, action, resource) when { true");
        for (size_t i = 0; i < 1000; i++)
                p = stpcpy(p, " && true");
        strcpy(p, " };");
        expect_decision(text, "allow: policy0");
}

/* Each has is no deeper than JSON may be, and as deep as it has names. */
static void deep_has(char *text) {
        char *p = stpcpy(text,
                        "{\"effect\": \"permit\", \"principal\": {\"op\": \"All\"}, \"action\": {\"op\": "
                        "\"All\"}, "
                        "\"resource\": {\"op\": \"All\"}, \"conditions\": [{\"kind\": \"when\", \"body\": ");

        for (size_t i = 0; i < 100; i++) {
                p = stpcpy(p, "{\"has\": {\"attr\": [\"a\"");
                for (size_t j = 0; j < 100; j++)
                        p = stpcpy(p, ", \"a\"");
                p = stpcpy(p, "], \"left\": ");
        }
        p = stpcpy(p, "{\"Var\": \"context\"}");
        for (size_t i = 0; i < 100; i++)
                p = stpcpy(p, "}}");
        strcpy(p, "}]}");
}

Test(cedar, more_than_anybody_writes_is_refused) {
        static const char policy[] = "permit (principal, action, resource);";
        _cleanup_(freep) char *text = malloc(17000 * sizeof(policy));
        char *p = text;

        for (size_t i = 0; i < 16385; i++)
                p = stpcpy(p, policy);
        expect_refusal(text, "rules:1:606209: there are more than 16384 policies");
        p = text;
        for (size_t i = 0; i < 257; i++)
                p += sprintf(p, "@a%zu\n", i);
        strcpy(p, policy);
        expect_refusal(text, "rules:257:2: a policy has more than 256 annotations");
        p = stpcpy(text, "permit (principal, action, resource) when { context has a");
        for (size_t i = 0; i < 3000; i++)
                p = stpcpy(p, ".a");
        strcpy(p, " };");
        expect_refusal(text, "rules:1:");
        deep_has(text);
        expect_refusal(text, "rules: policy0: an expression is more than 2048 levels deep");
}

/* Each has evaluates what stands before it for each of its names: that is to the power of. */
Test(cedar, what_would_take_for_ever_is_refused) {
        static const char end[] = " has a.b.c.d.e.f.g.h then context else context)";
        _cleanup_(freep) char *text = malloc(64 * 1024);

        for (size_t n = 4; n <= 40; n += 36) {
                char *p = stpcpy(text, "permit (principal, action, resource) when { ");

                for (size_t i = 0; i < n; i++)
                        p = stpcpy(p, "(if ");
                p = stpcpy(p, "context");
                for (size_t i = 0; i < n; i++)
                        p = stpcpy(p, end);
                strcpy(p, " has n };");
                if (n == 4)
                        expect_decision(text, "allow: policy0");
                else
                        expect_refusal(text, "rules: a decision would take more than 16777216 steps");
        }
}

Test(cedar, lines_and_columns_are_those_of_an_editor) {
        expect_refusal("// h\xC3\xA9llo\npermit (principal, action, resource) when { "
                       "\"\xC3\xA9\xF0\x9F\x98\x80\" == };",
                        "rules:2:53: found } where an expression is expected");
        expect_refusal("{\"staticPolicies\": {\"a\": {\"effect\": \"allow\"}}}",
                        "rules: a: \"effect\" is neither");
}

Test(cedar, comments_may_hold_anything) {
        static const char text[] = "// \0 permit (principal, action, resource);\n";
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies = NULL;
        _cleanup_(freep) char *error = NULL;

        cr_assert_eq(cedar_policies_new(&policies, "rules", text, sizeof(text) - 1, &error), 0, "%s",
                        strempty(error));
        cr_expect_eq(cedar_policies_count(policies), 0);
}

Test(cedar, what_is_wrong_is_said_in_whole_characters) {
        static const char before[] = "permit (principal, action, resource) when { decimal(\"x";
        char text[256], *p = stpcpy(text, before);
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies = NULL;
        _cleanup_(arena_clear) struct arena arena = {};
        struct cedar_request request;
        struct cedar_decision decision;

        for (size_t i = 0; i < 60; i++)
                p = stpcpy(p, "\xC3\xA9");
        strcpy(p, "\") == 1 };");
        policies = load(text);
        arena_init(&arena, 1024 * 1024);
        make_request(&arena, &request);
        cr_assert_eq(cedar_authorize(policies, NULL, &request, &arena, &decision), 0);
        cr_assert_eq(decision.n_failures, 1);
        cr_expect(startswith(decision.failures[0].message, "\"x\xC3\xA9"));
        cr_expect(text_is_utf8(decision.failures[0].message, strlen(decision.failures[0].message)));
}

Test(cedar, a_denial_names_the_condition_that_is_not_met) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies =
                        load("permit (principal == VM::\"x\", action, resource) when { context.n == 8 };\n"
                             "@id(\"nearly\") permit (principal, action, resource)\nwhen { context.n == 7 "
                             "&& context.s == \"\" };");
        _cleanup_(arena_clear) struct arena arena = {};
        struct cedar_request request;
        struct cedar_near near[2];
        unsigned line, column;

        arena_init(&arena, 1024 * 1024);
        make_request(&arena, &request);
        cr_assert_eq(cedar_nearest(policies, NULL, &request, false, &arena, near, 2), 2);
        cr_expect(cedar_text_equal(near[0].policy->name, CEDAR_TEXT("nearly")));
        cr_expect(near[0].explanation.n_met == 4 && near[0].explanation.n_conditions == 5);
        cr_expect(cedar_text_equal(cedar_policies_text(policies, near[0].explanation.span),
                        CEDAR_TEXT("context.s == \"\"")));
        cedar_policies_position(policies, near[0].explanation.span, &line, &column);
        cr_expect(line == 3 && column == 26);
        cr_expect(near[1].explanation.in_scope && near[1].explanation.var == CEDAR_PRINCIPAL);
        cr_assert_eq(cedar_nearest(policies, NULL, &request, true, &arena, near, 2), 1);
}

Test(cedar, without_memory_nothing_is_allowed) {
        _cleanup_(cedar_policies_freep) struct cedar_policies *policies =
                        load("permit (principal, action, resource) when { [1, 2, 3].contains(1) };");
        _cleanup_(arena_clear) struct arena arena = {}, none = {};
        struct cedar_decision decision = { .allow = true };
        struct cedar_request request;

        arena_init(&arena, 1024 * 1024);
        arena_init(&none, 0);
        make_request(&arena, &request);
        cr_expect_eq(cedar_authorize(policies, NULL, &request, &none, &decision), -ENOMEM);
        cr_expect(!decision.allow);
}
