/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "context.h"

#include "status.h"

struct builder {
        struct arena *arena;
        size_t n_values;
};

static int read_message(struct builder *builder, const ProtobufCMessage *message, unsigned depth,
                const struct cedar_field *more, struct cedar_value *ret);

/* With the padding that JSON has (RFC 4648, 3.2) and gRPC's headers have not. */
static int read_bytes(struct builder *builder, const ProtobufCBinaryData *data, struct cedar_value *ret) {
        _cleanup_(freep) char *encoded = rpc_base64_encode(data->data, data->len);
        size_t n, padding;
        char *text;

        if (!encoded)
                return -ENOMEM;
        n = strlen(encoded);
        padding = (4 - n % 4) % 4;
        text = arena_alloc(builder->arena, n + padding + 1);
        if (!text)
                return -ENOMEM;
        memcpy(text, encoded, n);
        memcpy(text + n, "==", padding);
        text[n + padding] = '\0';
        *ret = cedar_string((struct cedar_text){ text, n + padding });
        return 0;
}

static struct cedar_value read_enum(const ProtobufCEnumDescriptor *descriptor, int number) {
        const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);

        return value ? cedar_string(cedar_text_of(value->name)) : cedar_long(number);
}

/* One value; member is where it stands. 1: Cedar has no such values. */
static int read_value(struct builder *builder, const ProtobufCFieldDescriptor *field, const void *member,
                unsigned depth, struct cedar_value *ret) {
        uint64_t number;

        if (++builder->n_values > ACCESS_CONTEXT_VALUES_MAX)
                return -E2BIG;
        switch (field->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                *ret = cedar_long(*(const int32_t *) member);
                return 0;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                *ret = cedar_long(*(const uint32_t *) member);
                return 0;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
                *ret = cedar_long(*(const int64_t *) member);
                return 0;
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                number = *(const uint64_t *) member;
                *ret = cedar_long((int64_t) MIN(number, (uint64_t) INT64_MAX));
                return 0;
        case PROTOBUF_C_TYPE_BOOL:
                *ret = cedar_bool(*(const protobuf_c_boolean *) member);
                return 0;
        case PROTOBUF_C_TYPE_ENUM:
                *ret = read_enum(field->descriptor, *(const int *) member);
                return 0;
        case PROTOBUF_C_TYPE_STRING:
                *ret = cedar_string(cedar_text_of(strempty(*(const char *const *) member)));
                return 0;
        case PROTOBUF_C_TYPE_BYTES:
                return read_bytes(builder, member, ret);
        case PROTOBUF_C_TYPE_MESSAGE:
                return read_message(
                                builder, *(const ProtobufCMessage *const *) member, depth + 1, NULL, ret);
        default:
                return 1;
        }
}

static size_t item_bytes(ProtobufCType type) {
        switch (type) {
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return 8;
        case PROTOBUF_C_TYPE_BOOL:
                return sizeof(protobuf_c_boolean);
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
                return sizeof(void *);
        case PROTOBUF_C_TYPE_BYTES:
                return sizeof(ProtobufCBinaryData);
        default:
                return 4;
        }
}

static int read_repeated(struct builder *builder, const ProtobufCFieldDescriptor *field, const char *items,
                size_t n, unsigned depth, struct cedar_value *ret) {
        struct cedar_value *values;
        int r;

        if (n > ACCESS_CONTEXT_VALUES_MAX)
                return -E2BIG;
        values = arena_alloc(builder->arena, n * sizeof(*values));
        if (!values)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = read_value(builder, field, items + i * item_bytes(field->type), depth, &values[i]);
                if (r != 0)
                        return r;
        }
        return cedar_set_new(builder->arena, values, n, ret);
}

/* proto3 does not tell the default from nothing. */
static bool is_default(const ProtobufCFieldDescriptor *field, const void *member) {
        static const char zero[8];

        switch (field->type) {
        case PROTOBUF_C_TYPE_STRING:
                return isempty(*(const char *const *) member);
        case PROTOBUF_C_TYPE_BYTES:
                return ((const ProtobufCBinaryData *) member)->len == 0;
        case PROTOBUF_C_TYPE_MESSAGE:
                return !*(const void *const *) member;
        default:
                return memcmp(member, zero, item_bytes(field->type)) == 0;
        }
}

/* 1: it is not set. */
static int read_field(struct builder *builder, const ProtobufCMessage *message,
                const ProtobufCFieldDescriptor *field, unsigned depth, struct cedar_value *ret) {
        const char *base = (const char *) message, *member = base + field->offset,
                   *quantifier = base + field->quantifier_offset;

        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
                size_t n = *(const size_t *) quantifier;

                return n == 0 ? 1
                              : read_repeated(builder, field, *(const char *const *) member, n, depth, ret);
        }
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
                /* One that is chosen is set, whatever it is. */
                if (*(const uint32_t *) quantifier != field->id)
                        return 1;
                if (field->type == PROTOBUF_C_TYPE_MESSAGE && is_default(field, member))
                        return 1;
        } else if (is_default(field, member))
                return 1;
        return read_value(builder, field, member, depth, ret);
}

/* more, if not NULL, is one field besides. */
static int read_message(struct builder *builder, const ProtobufCMessage *message, unsigned depth,
                const struct cedar_field *more, struct cedar_value *ret) {
        const ProtobufCMessageDescriptor *descriptor = message ? message->descriptor : NULL;
        size_t n = 0, n_fields = descriptor ? descriptor->n_fields : 0;
        struct cedar_field *fields;
        int r;

        if (depth > ACCESS_CONTEXT_DEPTH_MAX)
                return -E2BIG;
        fields = arena_alloc(builder->arena, (n_fields + 1) * sizeof(*fields));
        if (!fields)
                return -ENOMEM;
        for (size_t i = 0; i < n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &descriptor->fields[i];

                r = read_field(builder, message, field, depth, &fields[n].value);
                if (r < 0)
                        return r;
                if (r == 0 && !(more && cedar_text_equal(more->key, cedar_text_of(field->name))))
                        fields[n++].key = cedar_text_of(field->name);
        }
        if (more)
                fields[n++] = *more;
        return cedar_record_new(builder->arena, fields, n, ret);
}

int access_context_new(struct arena *arena, const ProtobufCMessage *request, struct cedar_text service,
                const struct cedar_record **ret) {
        const struct cedar_field more = { .key = CEDAR_TEXT("service"), .value = cedar_string(service) };
        struct builder builder = { .arena = arena };
        struct cedar_value value;
        int r;

        r = read_message(&builder, request, 0, &more, &value);
        if (r == 0)
                *ret = value.record;
        return r;
}
