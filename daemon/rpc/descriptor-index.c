/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "descriptor-index.h"

#include "arena.h"
#include "descriptor_subset.pb-c.h"

/* The names of givc's own set take 40 KiB; a set that needs this much is not meant for a small daemon. */
#define INDEX_BYTES (4 * 1024 * 1024)

struct symbol {
        const char *name;
        const struct descriptor_file *file;
        bool is_message;
};

struct extension {
        const char *message;
        int32_t number;
        const struct descriptor_file *file;
};

struct descriptor_index {
        Givc__Descriptor__FileDescriptorSet *set; /* whose bytes the files' are */
        struct arena names;
        struct descriptor_file *files; /* in the order of the set */
        size_t n_files;
        struct symbol *symbols; /* sorted by name */
        size_t n_symbols, size_symbols;
        struct extension *extensions; /* few, if any: as they came */
        size_t n_extensions;
};

struct descriptor_index *descriptor_index_free(struct descriptor_index *index) {
        if (!index)
                return NULL;
        for (size_t i = 0; i < index->n_files; i++)
                free(index->files[i].imports);
        free(index->files);
        free(index->symbols);
        free(index->extensions);
        arena_clear(&index->names);
        givc__descriptor__file_descriptor_set__free_unpacked(index->set, NULL);
        free(index);
        return NULL;
}

/* Adds SCOPE.NAME, which is also what *ret (NULL: not wanted) is set to: the scope of what is declared
 * inside. */
static int add_symbol(struct descriptor_index *index, const struct descriptor_file *file, const char *scope,
                const char *name, bool is_message, const char **ret) {
        size_t n_scope = strlen(scope), n_name = strlen(name);
        char *full;

        if (index->n_symbols == index->size_symbols) {
                size_t size = MAX(index->size_symbols * 2, (size_t) 256);
                struct symbol *grown = reallocarray(index->symbols, size, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                index->symbols = grown;
                index->size_symbols = size;
        }

        full = arena_alloc(&index->names, n_scope + 1 + n_name + 1);
        if (!full)
                return -ENOMEM;
        if (n_scope > 0) {
                memcpy(full, scope, n_scope);
                full[n_scope++] = '.';
        }
        memcpy(full + n_scope, name, n_name + 1);

        index->symbols[index->n_symbols++] =
                        (struct symbol){ .name = full, .file = file, .is_message = is_message };
        if (ret)
                *ret = full;
        return 0;
}

static int add_extension(struct descriptor_index *index, const struct descriptor_file *file,
                const char *scope, const Givc__Descriptor__FieldDescriptorProto *field) {
        struct extension *grown;
        const char *message;
        int r;

        r = add_symbol(index, file, scope, field->name, false, NULL);
        if (r < 0)
                return r;
        /* protoc writes full names, which start with a dot. */
        message = startswith(field->extendee, ".");
        if (!message)
                return -EBADMSG;
        message = arena_strdup(&index->names, message);
        grown = reallocarray(index->extensions, index->n_extensions + 1, sizeof(*grown));
        if (grown)
                index->extensions = grown;
        if (!message || !grown)
                return -ENOMEM;
        index->extensions[index->n_extensions++] =
                        (struct extension){ .message = message, .number = field->number, .file = file };
        return 0;
}

static int add_enum(struct descriptor_index *index, const struct descriptor_file *file, const char *scope,
                const Givc__Descriptor__EnumDescriptorProto *enumeration) {
        int r;

        r = add_symbol(index, file, scope, enumeration->name, false, NULL);
        /* As in C++, the values of an enum are its siblings, not its children. */
        for (size_t i = 0; i < enumeration->n_value && r >= 0; i++)
                r = add_symbol(index, file, scope, enumeration->value[i]->name, false, NULL);
        return r;
}

static int add_message(struct descriptor_index *index, const struct descriptor_file *file, const char *scope,
                const Givc__Descriptor__DescriptorProto *message) {
        const char *inner;
        int r;

        r = add_symbol(index, file, scope, message->name, true, &inner);
        for (size_t i = 0; i < message->n_field && r >= 0; i++)
                r = add_symbol(index, file, inner, message->field[i]->name, false, NULL);
        for (size_t i = 0; i < message->n_oneof_decl && r >= 0; i++)
                r = add_symbol(index, file, inner, message->oneof_decl[i]->name, false, NULL);
        for (size_t i = 0; i < message->n_enum_type && r >= 0; i++)
                r = add_enum(index, file, inner, message->enum_type[i]);
        for (size_t i = 0; i < message->n_extension && r >= 0; i++)
                r = add_extension(index, file, inner, message->extension[i]);
        for (size_t i = 0; i < message->n_nested_type && r >= 0; i++)
                r = add_message(index, file, inner, message->nested_type[i]);
        return r;
}

static int add_service(struct descriptor_index *index, const struct descriptor_file *file, const char *scope,
                const Givc__Descriptor__ServiceDescriptorProto *service) {
        const char *inner;
        int r;

        r = add_symbol(index, file, scope, service->name, false, &inner);
        for (size_t i = 0; i < service->n_method && r >= 0; i++)
                r = add_symbol(index, file, inner, service->method[i]->name, false, NULL);
        return r;
}

static int add_symbols(struct descriptor_index *index, const struct descriptor_file *file,
                const Givc__Descriptor__FileDescriptorProto *proto) {
        int r = 0;

        for (size_t i = 0; i < proto->n_message_type && r >= 0; i++)
                r = add_message(index, file, proto->package, proto->message_type[i]);
        for (size_t i = 0; i < proto->n_enum_type && r >= 0; i++)
                r = add_enum(index, file, proto->package, proto->enum_type[i]);
        for (size_t i = 0; i < proto->n_extension && r >= 0; i++)
                r = add_extension(index, file, proto->package, proto->extension[i]);
        for (size_t i = 0; i < proto->n_service && r >= 0; i++)
                r = add_service(index, file, proto->package, proto->service[i]);
        return r;
}

/* protoc writes a file after those that it imports, so that these are known by now. */
static int add_imports(struct descriptor_index *index, struct descriptor_file *file,
                const Givc__Descriptor__FileDescriptorProto *proto) {
        if (proto->n_dependency == 0)
                return 0;
        file->imports = calloc(proto->n_dependency, sizeof(*file->imports));
        if (!file->imports)
                return -ENOMEM;
        for (size_t i = 0; i < proto->n_dependency; i++) {
                const struct descriptor_file *import =
                                descriptor_index_find_file(index, proto->dependency[i]);

                if (!import)
                        return -EBADMSG;
                file->imports[file->n_imports++] = import;
        }
        return 0;
}

static int add_file(struct descriptor_index *index, ProtobufCBinaryData bytes) {
        struct descriptor_file *file = &index->files[index->n_files];
        Givc__Descriptor__FileDescriptorProto *proto;
        int r;

        proto = givc__descriptor__file_descriptor_proto__unpack(NULL, bytes.len, bytes.data);
        if (!proto)
                return -EBADMSG;
        file->bytes = bytes;
        file->name = arena_strdup(&index->names, proto->name);
        r = file->name ? add_imports(index, file, proto) : -ENOMEM;
        /* Only now can it be found: no file imports itself. */
        index->n_files++;
        if (r >= 0)
                r = add_symbols(index, file, proto);
        givc__descriptor__file_descriptor_proto__free_unpacked(proto, NULL);
        return r;
}

static int compare_symbols(const void *a, const void *b) {
        const struct symbol *x = a, *y = b;

        return strcmp(x->name, y->name);
}

int descriptor_index_new(struct descriptor_index **ret, const void *set, size_t n) {
        _cleanup_(descriptor_index_freep) struct descriptor_index *index = NULL;
        int r;

        index = calloc(1, sizeof(*index));
        if (!index)
                return -ENOMEM;
        arena_init(&index->names, INDEX_BYTES);
        index->set = givc__descriptor__file_descriptor_set__unpack(NULL, n, set);
        if (!index->set || index->set->n_file == 0)
                return -EBADMSG;
        index->files = calloc(index->set->n_file, sizeof(*index->files));
        if (!index->files)
                return -ENOMEM;
        for (size_t i = 0; i < index->set->n_file; i++) {
                r = add_file(index, index->set->file[i]);
                if (r < 0)
                        return r;
        }
        if (index->n_symbols > 0)
                qsort(index->symbols, index->n_symbols, sizeof(*index->symbols), compare_symbols);

        *ret = TAKE_PTR(index);
        return 0;
}

const struct descriptor_file *descriptor_index_find_file(
                const struct descriptor_index *index, const char *name) {
        for (size_t i = 0; i < index->n_files; i++)
                if (streq(index->files[i].name, name))
                        return &index->files[i];
        return NULL;
}

static const struct symbol *find_symbol(const struct descriptor_index *index, const char *name) {
        struct symbol key = { .name = name };

        if (index->n_symbols == 0)
                return NULL;
        return bsearch(&key, index->symbols, index->n_symbols, sizeof(key), compare_symbols);
}

const struct descriptor_file *descriptor_index_find_symbol(
                const struct descriptor_index *index, const char *symbol) {
        const struct symbol *found = find_symbol(index, symbol);

        return found ? found->file : NULL;
}

const struct descriptor_file *descriptor_index_find_extension(
                const struct descriptor_index *index, const char *message, int32_t number) {
        for (size_t i = 0; i < index->n_extensions; i++)
                if (index->extensions[i].number == number && streq(index->extensions[i].message, message))
                        return index->extensions[i].file;
        return NULL;
}

ssize_t descriptor_index_list_extensions(
                const struct descriptor_index *index, const char *message, int32_t **ret) {
        const struct symbol *symbol = find_symbol(index, message);
        int32_t *numbers;
        size_t n = 0;

        if (!symbol || !symbol->is_message)
                return -ENOENT;
        *ret = NULL;
        if (index->n_extensions == 0)
                return 0;
        numbers = calloc(index->n_extensions, sizeof(*numbers));
        if (!numbers)
                return -ENOMEM;
        for (size_t i = 0; i < index->n_extensions; i++)
                if (streq(index->extensions[i].message, message))
                        numbers[n++] = index->extensions[i].number;
        *ret = numbers;
        return (ssize_t) n;
}

static bool contains(const struct descriptor_file **files, size_t n, const struct descriptor_file *file) {
        for (size_t i = 0; i < n; i++)
                if (files[i] == file)
                        return true;
        return false;
}

ssize_t descriptor_index_list_closure(const struct descriptor_index *index,
                const struct descriptor_file *file, ProtobufCBinaryData **ret) {
        _cleanup_(freep) const struct descriptor_file **files = NULL;
        ProtobufCBinaryData *bytes;
        size_t n = 0;

        files = calloc(index->n_files, sizeof(*files));
        bytes = calloc(index->n_files, sizeof(*bytes));
        if (!files || !bytes) {
                free(bytes);
                return -ENOMEM;
        }

        files[n++] = file;
        for (size_t i = 0; i < n; i++) {
                bytes[i] = files[i]->bytes;
                for (size_t j = 0; j < files[i]->n_imports; j++)
                        if (!contains(files, n, files[i]->imports[j]))
                                files[n++] = files[i]->imports[j];
        }
        *ret = bytes;
        return (ssize_t) n;
}
