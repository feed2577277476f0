/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "descriptor-index.h"

#include "descriptor_subset.pb-c.h"
#include "descriptors.h"

#include <criterion/criterion.h>

static struct descriptor_index *givc_index(void) {
        struct descriptor_index *index;

        cr_assert_eq(descriptor_index_new(&index, givc_descriptors, givc_descriptors_size()), 0);
        return index;
}

static void check_symbol(const struct descriptor_index *index, const char *symbol, const char *file) {
        const struct descriptor_file *found = descriptor_index_find_symbol(index, symbol);

        if (!file) {
                cr_assert_null(found, "%s", symbol);
                return;
        }
        cr_assert_not_null(found, "%s", symbol);
        cr_assert_str_eq(found->name, file, "%s", symbol);
}

Test(descriptor_index, finds_the_file_of_every_kind_of_symbol) {
        _cleanup_(descriptor_index_freep) struct descriptor_index *index = givc_index();

        check_symbol(index, "admin.AdminService", "admin.proto");
        check_symbol(index, "admin.AdminService.QueryList", "admin.proto");
        check_symbol(index, "admin.TransportConfig", "admin.proto");
        check_symbol(index, "admin.TransportConfig.Port", "admin.proto");
        check_symbol(index, "admin.WatchItem.Status", "admin.proto");
        check_symbol(index, "exec.StartCommand.EnvVarsEntry.key", "exec.proto");
        check_symbol(index, "locale.LocaleMacroKey", "locale.proto");
        check_symbol(index, "grpc.health.v1.HealthCheckResponse.ServingStatus", "health.proto");
}

Test(descriptor_index, enum_values_are_siblings_of_their_enum) {
        _cleanup_(descriptor_index_freep) struct descriptor_index *index = givc_index();

        check_symbol(index, "locale.LC_TIME", "locale.proto");
        check_symbol(index, "locale.LocaleMacroKey.LC_TIME", NULL);
        check_symbol(index, "grpc.health.v1.HealthCheckResponse.SERVING", "health.proto");
}

Test(descriptor_index, finds_nothing_that_is_not_there) {
        _cleanup_(descriptor_index_freep) struct descriptor_index *index = givc_index();
        int32_t *numbers;

        check_symbol(index, "", NULL);
        check_symbol(index, "admin", NULL);
        check_symbol(index, ".admin.AdminService", NULL);
        check_symbol(index, "admin.AdminService.", NULL);
        check_symbol(index, "admin.Admin", NULL);
        check_symbol(index, "AdminService", NULL);
        cr_assert_null(descriptor_index_find_file(index, "admin"));
        cr_assert_null(descriptor_index_find_extension(index, "admin.Empty", 1));
        cr_assert_eq(descriptor_index_list_extensions(index, "admin.Nobody", &numbers), -ENOENT);
        cr_assert_eq(descriptor_index_list_extensions(index, "admin.AdminService", &numbers), -ENOENT);
        cr_assert_eq(descriptor_index_list_extensions(index, "admin.Empty", &numbers), 0);
        cr_assert_null(numbers);
}

Test(descriptor_index, a_file_comes_with_all_that_it_imports) {
        _cleanup_(descriptor_index_freep) struct descriptor_index *index = givc_index();
        _cleanup_(freep) ProtobufCBinaryData *bytes = NULL;
        const struct descriptor_file *file;
        bool systemd = false;
        ssize_t n;

        file = descriptor_index_find_file(index, "admin.proto");
        n = descriptor_index_list_closure(index, file, &bytes);
        cr_assert_geq(n, 5);
        cr_assert_eq(bytes[0].data, file->bytes.data);
        for (ssize_t i = 0; i < n; i++) {
                systemd = systemd ||
                                bytes[i].data ==
                                                descriptor_index_find_file(index, "systemd.proto")
                                                                ->bytes.data;
                for (ssize_t j = 0; j < i; j++)
                        cr_assert_neq(bytes[i].data, bytes[j].data);
        }
        cr_assert(systemd);
}

/* A set of the given files, serialised. */
static uint8_t *pack(Givc__Descriptor__FileDescriptorProto **files, size_t n, size_t *ret_n) {
        Givc__Descriptor__FileDescriptorSet set = GIVC__DESCRIPTOR__FILE_DESCRIPTOR_SET__INIT;
        _cleanup_(freep) ProtobufCBinaryData *list = calloc(n, sizeof(*list));
        uint8_t *bytes;

        for (size_t i = 0; i < n; i++) {
                list[i].data = malloc(
                                givc__descriptor__file_descriptor_proto__get_packed_size(files[i]) + 1);
                list[i].len = givc__descriptor__file_descriptor_proto__pack(files[i], list[i].data);
        }
        set.n_file = n;
        set.file = list;
        bytes = malloc(givc__descriptor__file_descriptor_set__get_packed_size(&set));
        *ret_n = givc__descriptor__file_descriptor_set__pack(&set, bytes);
        for (size_t i = 0; i < n; i++)
                free(list[i].data);
        return bytes;
}

Test(descriptor_index, finds_extensions_where_they_are_declared) {
        Givc__Descriptor__FieldDescriptorProto outer = GIVC__DESCRIPTOR__FIELD_DESCRIPTOR_PROTO__INIT,
                                               inner = outer;
        Givc__Descriptor__FieldDescriptorProto *outers[] = { &outer }, *inners[] = { &inner };
        Givc__Descriptor__DescriptorProto base = GIVC__DESCRIPTOR__DESCRIPTOR_PROTO__INIT, scope = base;
        Givc__Descriptor__DescriptorProto *bases[] = { &base }, *scopes[] = { &scope };
        Givc__Descriptor__FileDescriptorProto a = GIVC__DESCRIPTOR__FILE_DESCRIPTOR_PROTO__INIT, b = a;
        Givc__Descriptor__FileDescriptorProto *files[] = { &a, &b };
        char *imports[] = { (char *) "a.proto" };
        _cleanup_(descriptor_index_freep) struct descriptor_index *index = NULL;
        _cleanup_(freep) int32_t *numbers = NULL;
        _cleanup_(freep) uint8_t *set = NULL;
        size_t n;

        outer.name = (char *) "outer";
        outer.extendee = (char *) ".Base";
        outer.number = 100;
        inner.name = (char *) "inner";
        inner.extendee = (char *) ".Base";
        inner.number = 101;
        base.name = (char *) "Base";
        scope.name = (char *) "Scope";
        scope.n_extension = 1;
        scope.extension = inners;
        a.name = (char *) "a.proto";
        a.n_message_type = 1;
        a.message_type = bases;
        b.name = (char *) "b.proto";
        b.package = (char *) "b";
        b.n_dependency = 1;
        b.dependency = imports;
        b.n_message_type = 1;
        b.message_type = scopes;
        b.n_extension = 1;
        b.extension = outers;

        set = pack(files, 2, &n);
        cr_assert_eq(descriptor_index_new(&index, set, n), 0);
        check_symbol(index, "Base", "a.proto");
        check_symbol(index, "b.outer", "b.proto");
        check_symbol(index, "b.Scope.inner", "b.proto");
        cr_assert_str_eq(descriptor_index_find_extension(index, "Base", 100)->name, "b.proto");
        cr_assert_str_eq(descriptor_index_find_extension(index, "Base", 101)->name, "b.proto");
        cr_assert_null(descriptor_index_find_extension(index, "Base", 102));
        cr_assert_null(descriptor_index_find_extension(index, "b.Scope", 100));
        cr_assert_eq(descriptor_index_list_extensions(index, "Base", &numbers), 2);
        cr_assert_eq(numbers[0] + numbers[1], 201);
}

Test(descriptor_index, a_broken_set_is_refused) {
        Givc__Descriptor__FieldDescriptorProto extension = GIVC__DESCRIPTOR__FIELD_DESCRIPTOR_PROTO__INIT;
        Givc__Descriptor__FieldDescriptorProto *extensions[] = { &extension };
        Givc__Descriptor__FileDescriptorProto file = GIVC__DESCRIPTOR__FILE_DESCRIPTOR_PROTO__INIT;
        Givc__Descriptor__FileDescriptorProto *files[] = { &file };
        char *imports[] = { (char *) "itself.proto" };
        struct descriptor_index *index;

        cr_assert_eq(descriptor_index_new(&index, "", 0), -EBADMSG);
        cr_assert_eq(descriptor_index_new(&index, "\x0a\x05", 2), -EBADMSG);
        cr_assert_eq(descriptor_index_new(&index, "\x0a\x01\xff", 3), -EBADMSG);
        cr_assert_eq(descriptor_index_new(&index, givc_descriptors, givc_descriptors_size() - 1), -EBADMSG);

        file.name = imports[0];
        for (int i = 0; i < 2; i++) {
                _cleanup_(freep) uint8_t *set = NULL;
                size_t n;

                file.n_dependency = i == 0;
                file.dependency = imports;
                file.n_extension = i == 1;
                file.extension = extensions;
                set = pack(files, 1, &n);
                cr_assert_eq(descriptor_index_new(&index, set, n), -EBADMSG);
        }
}
