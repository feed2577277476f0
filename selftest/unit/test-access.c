/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rules can ask of a request, and what they say of a call. */
#include "context.h"
#include "message.h"
#include "rules.h"
#include "text.h"

#include "admin.pb-c.h"
#include "logs.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define ARENA_BYTES (1024 * 1024)

static const struct cedar_record *context_of(struct arena *arena, const ProtobufCMessage *message) {
        const struct cedar_record *context = NULL;

        cr_assert_eq(access_context_new(arena, message, CEDAR_TEXT("AdminService"), &context), 0);
        return context;
}

static const struct cedar_value *get(const struct cedar_record *record, const char *key) {
        return cedar_record_get(record, cedar_text_of(key));
}

static void expect_text(const struct cedar_record *record, const char *key, const char *text) {
        const struct cedar_value *value = get(record, key);

        cr_assert(value && value->kind == CEDAR_STRING, "%s", key);
        cr_expect(cedar_text_equal(value->text, cedar_text_of(text)), "%s: %.*s", key, (int) value->text.n,
                        value->text.s);
}

Test(access, a_request_is_its_fields_that_are_set) {
        char *arguments[] = { (char *) "b", (char *) "a", (char *) "b" };
        Admin__ApplicationRequest request = ADMIN__APPLICATION_REQUEST__INIT;
        _cleanup_(arena_clear) struct arena arena = {};
        const struct cedar_record *context;

        arena_init(&arena, ARENA_BYTES);
        context = context_of(&arena, NULL);
        cr_expect_eq(context->n, 1);
        expect_text(context, "service", "AdminService");

        context = context_of(&arena, &request.base);
        cr_expect_eq(context->n, 1);

        request.appname = (char *) "editor";
        request.vm_name_presence_case = ADMIN__APPLICATION_REQUEST__VM_NAME_PRESENCE_VM_NAME;
        request.vmname = (char *) "";
        request.args = arguments;
        request.n_args = 3;
        context = context_of(&arena, &request.base);
        cr_expect_eq(context->n, 4);
        expect_text(context, "AppName", "editor");
        expect_text(context, "VmName", ""); /* with presence: set is set */
        cr_expect_eq(get(context, "Args")->set->n, 2);
}

Test(access, messages_enums_and_numbers_are_what_json_has) {
        Notify__UserNotification notification = NOTIFY__USER_NOTIFICATION__INIT;
        Admin__UserNotificationRequest request = ADMIN__USER_NOTIFICATION_REQUEST__INIT;
        Logs__LogsRequest logs = LOGS__LOGS_REQUEST__INIT;
        Admin__CtapRequest ctap = ADMIN__CTAP_REQUEST__INIT;
        _cleanup_(arena_clear) struct arena arena = {};
        const struct cedar_record *context;

        arena_init(&arena, ARENA_BYTES);
        notification.title = (char *) "hi";
        notification.urgency = NOTIFY__URGENCY_LEVEL__CRITICAL;
        request.notification = &notification;
        context = context_of(&arena, &request.base);
        cr_assert(get(context, "Notification") && get(context, "Notification")->kind == CEDAR_RECORD);
        expect_text(get(context, "Notification")->record, "Urgency", "CRITICAL");
        expect_text(get(context, "Notification")->record, "Title", "hi");

        logs.lines = UINT32_MAX;
        logs.sinceusec = UINT64_MAX;
        logs.follow = true;
        context = context_of(&arena, &logs.base);
        cr_expect_eq(get(context, "Lines")->number, UINT32_MAX);
        cr_expect_eq(get(context, "SinceUsec")->number, INT64_MAX);
        cr_expect(get(context, "Follow")->boolean);

        ctap.payload = (ProtobufCBinaryData){ .len = 2, .data = (uint8_t *) "\xff\x01" };
        expect_text(context_of(&arena, &ctap.base), "Payload", "/wE=");
}

Test(access, requests_of_too_many_fields_are_not_judged) {
        Admin__ApplicationRequest request = ADMIN__APPLICATION_REQUEST__INIT;
        static char *arguments[ACCESS_CONTEXT_VALUES_MAX + 1];
        _cleanup_(arena_clear) struct arena arena = {}, small = {};
        const struct cedar_record *context;

        for (size_t i = 0; i < ELEMENTSOF(arguments); i++)
                arguments[i] = (char *) "a";
        arena_init(&arena, ARENA_BYTES);
        arena_init(&small, 64);
        request.args = arguments;
        request.n_args = ELEMENTSOF(arguments);
        cr_expect_eq(access_context_new(&arena, &request.base, CEDAR_TEXT("s"), &context), -E2BIG);
        request.n_args = ELEMENTSOF(arguments) - 1;
        cr_expect_eq(access_context_new(&arena, &request.base, CEDAR_TEXT("s"), &context), 0);
        cr_expect_eq(access_context_new(&small, &request.base, CEDAR_TEXT("s"), &context), -ENOMEM);
}

static struct access_rules *load(const char *text) {
        char path[] = "/tmp/test-access-XXXXXX";
        _cleanup_(freep) char *error = NULL;
        struct access_rules *rules = NULL;
        int fd = mkstemp(path);

        cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text));
        close(fd);
        cr_assert_eq(access_rules_new(&rules, path, NULL, &error), 0, "%s", strempty(error));
        unlink(path);
        return rules;
}

static struct access_verdict judge(struct access_rules *rules, struct arena *arena, const char *who,
                const char *path, const char *vm) {
        Admin__StartVMRequest request = ADMIN__START_VMREQUEST__INIT;
        struct access_verdict verdict;

        request.vmname = (char *) vm;
        cr_assert_eq(access_rules_judge(rules, who, path, &request.base, arena, &verdict), 0);
        return verdict;
}

Test(access, calls_are_judged_under_the_names_of_the_rules) {
        _cleanup_(access_rules_freep) struct access_rules *rules = load(
                        "permit (principal, action, resource)\n"
                        "when { (principal == Source::\"gui-vm\") && resource == Module::\"admin\" && "
                        "(action == "
                        "Command::\"StartVM\")\n&& (context has \"VmName\" && (context.VmName == "
                        "\"app-vm\")) };\n"
                        "@id(\"no sleep\") forbid (principal, action == Command::\"Suspend\", resource);\n"
                        "permit (principal == Source::\"x\", action, resource == Module::\"grpc\")\n"
                        "when { context.service == \"reflection.v1.ServerReflection\" };");
        _cleanup_(arena_clear) struct arena arena = {};
        struct access_verdict verdict;

        arena_init(&arena, ARENA_BYTES);
        cr_expect_eq(access_rules_count(rules), 3);
        verdict = judge(rules, &arena, "gui-vm", "/admin.AdminService/StartVM", "app-vm");
        cr_expect(verdict.allow && startswith(verdict.rule, "policy0 at test-access-") &&
                        endswith(verdict.rule, ":1"));
        verdict = judge(rules, &arena, "gui-vm", "/admin.AdminService/StartVM", "secret-vm");
        cr_expect(!verdict.allow && strstr(verdict.reason, "when context.VmName == \"app-vm\"") &&
                        !strstr(verdict.reason, "secret"));
        verdict = judge(rules, &arena, "gui-vm", "/admin.AdminService/Suspend", "");
        cr_expect(!verdict.allow && startswith(verdict.reason, "policy1 (no sleep) at ") &&
                        endswith(verdict.reason, ":4 forbids it"));
        verdict = judge(rules, &arena, "net-vm", "/admin.AdminService/QueryList", "");
        cr_expect_str_eq(verdict.reason, "no rule permits it");
        verdict = judge(rules, &arena, "x", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "");
        cr_expect(verdict.allow);
}

Test(access, rules_that_cannot_be_read_say_where) {
        _cleanup_(freep) char *error = NULL, *second = NULL;
        struct access_rules *rules;

        cr_expect_eq(access_rules_new(&rules, "/nonexistent/rules", NULL, &error), -ENOENT);
        cr_expect_str_eq(error, "/nonexistent/rules: No such file or directory");
        cr_expect_eq(access_rules_new(&rules, "/proc/self/status", NULL, &second), -EINVAL);
        cr_expect(startswith(
                        second, "/proc/self/status:1:1: found Name where permit or forbid is expected"));
}

/* A request that is passed on is what was judged, and no more. */
Test(access, fields_that_nobody_judged_are_forgotten) {
        ProtobufCMessageUnknownField unknown = {
                .tag = 1000,
                .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT,
                .len = 1,
                .data = (uint8_t *) "\1",
        };
        Notify__UserNotification notification = NOTIFY__USER_NOTIFICATION__INIT;
        Admin__UserNotificationRequest request = ADMIN__USER_NOTIFICATION_REQUEST__INIT;
        _cleanup_(arena_clear) struct arena arena = {};
        ProtobufCMessage *decoded = NULL;
        uint8_t bytes[128];
        size_t n;

        arena_init(&arena, ARENA_BYTES);
        notification.title = (char *) "hi";
        notification.base.n_unknown_fields = 1;
        notification.base.unknown_fields = &unknown;
        request.notification = &notification;
        request.base.n_unknown_fields = 1;
        request.base.unknown_fields = &unknown;
        n = protobuf_c_message_pack(&request.base, bytes);
        cr_assert_eq(message_decode(request.base.descriptor, bytes, n, &arena, &decoded), 0);
        cr_expect_eq(protobuf_c_message_get_packed_size(decoded), n);
        message_forget_unknown(decoded);

        notification.base.n_unknown_fields = 0;
        request.base.n_unknown_fields = 0;
        cr_expect_eq(protobuf_c_message_get_packed_size(decoded),
                        protobuf_c_message_get_packed_size(&request.base));
        cr_expect_str_eq(((Admin__UserNotificationRequest *) decoded)->notification->title, "hi");
}
