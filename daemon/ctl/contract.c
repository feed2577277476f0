/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "contract.h"

#include "descriptor_subset.pb-c.h"
#include "descriptors.h"
#include "services.h"

/* Names that are longer are not guessed at: the work is quadratic. */
#define GUESS_BYTES_MAX 64

/* The set has their names, and which of them take streams; the descriptors have the messages. */
static const ProtobufCServiceDescriptor *find_service(const char *package, const char *name) {
        size_t n = strlen(package);

        for (size_t i = 0; i < ELEMENTSOF(services); i++)
                if (strncmp(services[i]->name, package, n) == 0 && services[i]->name[n] == '.' &&
                                streq(services[i]->name + n + 1, name))
                        return services[i];
        return NULL;
}

/* As the daemons split a call's path: a package ends at the first point. */
static int add_service(const char *package, const Givc__Descriptor__ServiceDescriptorProto *declared,
                struct contract_method *methods, size_t *n) {
        const ProtobufCServiceDescriptor *service = find_service(package, declared->name);
        const char *dot;

        if (!service)
                return -EBADMSG;
        dot = strchr(service->name, '.');
        for (size_t i = 0; i < declared->n_method; i++) {
                const ProtobufCMethodDescriptor *method = protobuf_c_service_descriptor_get_method_by_name(
                                service, declared->method[i]->name);

                if (!method)
                        return -EBADMSG;
                methods[(*n)++] = (struct contract_method){
                        .module = { service->name, (size_t) (dot - service->name) },
                        .service = cedar_text_of(dot + 1),
                        .name = cedar_text_of(method->name),
                        .input = declared->method[i]->client_streaming ? NULL : method->input,
                };
        }
        return 0;
}

static int add_file(const ProtobufCBinaryData *bytes, struct contract_method *methods, size_t *n) {
        Givc__Descriptor__FileDescriptorProto *file =
                        givc__descriptor__file_descriptor_proto__unpack(NULL, bytes->len, bytes->data);
        int r = file ? 0 : -ENOMEM;

        for (size_t i = 0; file && r == 0 && i < file->n_service; i++)
                r = add_service(file->package, file->service[i], methods, n);
        givc__descriptor__file_descriptor_proto__free_unpacked(file, NULL);
        return r;
}

int contract_load(struct arena *arena, const struct contract_method **ret, size_t *ret_n) {
        Givc__Descriptor__FileDescriptorSet *set = givc__descriptor__file_descriptor_set__unpack(
                        NULL, givc_descriptors_size(), givc_descriptors);
        struct contract_method *methods = NULL;
        size_t n = 0;
        int r = 0;

        if (!set)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(services); i++)
                n += services[i]->n_methods;
        methods = arena_alloc(arena, n * sizeof(*methods));
        *ret_n = 0;
        if (!methods)
                r = -ENOMEM;
        for (size_t i = 0; r == 0 && i < set->n_file; i++)
                r = add_file(&set->file[i], methods, ret_n);
        givc__descriptor__file_descriptor_set__free_unpacked(set, NULL);
        *ret = methods;
        return r;
}

const ProtobufCFieldDescriptor *contract_field(
                const ProtobufCMessageDescriptor *message, struct cedar_text name) {
        for (size_t i = 0; message && i < message->n_fields; i++)
                if (cedar_text_equal(cedar_text_of(message->fields[i].name), name))
                        return &message->fields[i];
        return NULL;
}

static char lower(char c) {
        return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

/* Letters that are put in, left out or changed (Levenshtein's distance), times 4; 1 for one of another case.
 */
static unsigned distance(struct cedar_text a, struct cedar_text b) {
        unsigned row[GUESS_BYTES_MAX + 1];

        for (size_t j = 0; j <= b.n; j++)
                row[j] = 4 * (unsigned) j;
        for (size_t i = 0; i < a.n; i++) {
                unsigned diagonal = row[0];

                row[0] = 4 * (unsigned) (i + 1);
                for (size_t j = 0; j < b.n; j++) {
                        unsigned change = a.s[i] == b.s[j] ? 0 : lower(a.s[i]) == lower(b.s[j]) ? 1 : 4;
                        unsigned other = MIN(row[j], row[j + 1]) + 4, best = MIN(diagonal + change, other);

                        diagonal = row[j + 1];
                        row[j + 1] = best;
                }
        }
        return row[b.n];
}

void contract_guess_offer(struct contract_guess *guess, struct cedar_text name) {
        unsigned d;

        if (MAX(guess->wanted.n, name.n) > GUESS_BYTES_MAX)
                return;
        d = distance(guess->wanted, name);
        if (d > 4 * (MAX(guess->wanted.n, name.n) + 1) / 3 || (guess->nearest.n > 0 && d >= guess->distance))
                return;
        guess->nearest = name;
        guess->distance = d;
}
