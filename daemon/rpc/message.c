/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "message.h"

#include "http2.h"
#include "text.h"

/* Taken at once for a message, whatever length was announced. */
#define FIRST_BYTES (128 * 1024)

/* Deepest nesting of messages: the contract needs four. */
#define DEPTH_MAX 16

/* Protocol Buffers, "Assigning Field Numbers": from 1 to 2^29 - 1. */
#define FIELD_MAX 536870911

void message_reader_init(struct message_reader *reader, size_t limit, struct message_budget *budget) {
        *reader = (struct message_reader){ .limit = limit, .budget = budget };
}

/* Wiped, as it may hold a password. */
static void free_data(struct message_reader *reader) {
        if (reader->data)
                explicit_bzero(reader->data, reader->have);
        free(reader->data);
}

static void reader_reset(struct message_reader *reader) {
        free_data(reader);
        reader->budget->used -= reader->charged;
        message_reader_init(reader, reader->limit, reader->budget);
}

void message_reader_clear(struct message_reader *reader) {
        if (reader->budget)
                reader_reset(reader);
        reader->budget = NULL;
}

static int reader_begin(struct message_reader *reader) {
        const uint8_t *p = reader->prefix;

        if (p[0] > 1)
                return -EBADMSG;
        if (p[0] == 1)
                return -EPROTO;
        reader->length = (size_t) p[1] << 24 | (size_t) p[2] << 16 | (size_t) p[3] << 8 | p[4];
        return reader->length > reader->limit ? -EMSGSIZE : 0;
}

static int reader_collect(struct message_reader *reader, const uint8_t *bytes, size_t n) {
        if (reader->charged == 0) {
                if (reader->length >
                                reader->budget->limit - MIN(reader->budget->used, reader->budget->limit))
                        return -ENOBUFS;
                reader->charged = reader->length;
                reader->budget->used += reader->length;
        }
        if (reader->size - reader->have < n) {
                size_t size = MIN(reader->length, MAX(reader->size * 2, (size_t) FIRST_BYTES));
                uint8_t *data = malloc(size);

                if (!data)
                        return -ENOMEM;
                if (reader->have > 0)
                        memcpy(data, reader->data, reader->have);
                free_data(reader);
                reader->data = data;
                reader->size = size;
        }
        memcpy(reader->data + reader->have, bytes, n);
        reader->have += n;
        return 0;
}

int message_reader_feed(struct message_reader *reader, const uint8_t *bytes, size_t n, size_t *ret_taken,
                const uint8_t **ret_message, size_t *ret_length) {
        const uint8_t *at = bytes, *end = bytes + n;
        int r;

        *ret_taken = 0;
        if (reader->complete)
                reader_reset(reader);

        if (reader->n_prefix < MESSAGE_PREFIX_BYTES) {
                while (at < end && reader->n_prefix < MESSAGE_PREFIX_BYTES)
                        reader->prefix[reader->n_prefix++] = *at++;
                if (reader->n_prefix < MESSAGE_PREFIX_BYTES) {
                        *ret_taken = n;
                        return 0;
                }
                r = reader_begin(reader);
                if (r < 0)
                        return r;
        }

        /* The common case: the message lies whole in these bytes, and is used where it lies. */
        if (reader->have == 0 && (size_t) (end - at) >= reader->length) {
                *ret_message = at;
                at += reader->length;
        } else {
                size_t want = reader->length - reader->have;

                while (at < end && want > 0) {
                        /* In steps for which one growth makes room. */
                        size_t step = MIN((size_t) (end - at), (size_t) FIRST_BYTES / 2);

                        step = MIN(step, want);

                        r = reader_collect(reader, at, step);
                        if (r < 0)
                                return r;
                        at += step;
                        want -= step;
                }
                if (want > 0) {
                        *ret_taken = n;
                        return 0;
                }
                *ret_message = reader->data;
        }

        reader->complete = true;
        *ret_length = reader->length;
        *ret_taken = (size_t) (at - bytes);
        return 1;
}

void message_reader_drop(struct message_reader *reader) {
        if (reader->complete)
                reader_reset(reader);
}

bool message_reader_is_between(const struct message_reader *reader) {
        return reader->complete || reader->n_prefix == 0;
}

/* Protocol Buffers, "Encoding": a base-128 varint of at most ten bytes. */
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret) {
        uint64_t value = 0;

        for (unsigned shift = 0; shift < 70 && *at < end; shift += 7) {
                uint8_t byte = *(*at)++;

                if (shift < 64)
                        value |= (uint64_t) (byte & 0x7F) << shift;
                if (!(byte & 0x80)) {
                        *ret = value;
                        return true;
                }
        }
        return false;
}

/*
 * Checks what protobuf-c does not: that strings are UTF-8 without NUL and that nesting has an end. Returns
 * whether it is so; what protobuf-c finds wrong by itself is left to it.
 */
static bool check_strings(const ProtobufCMessageDescriptor *descriptor, const uint8_t *at,
                const uint8_t *end, unsigned depth) {
        if (depth > DEPTH_MAX)
                return false;
        while (at < end) {
                const ProtobufCFieldDescriptor *field;
                uint64_t tag, n;

                if (!read_varint(&at, end, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
                        return false;
                switch (tag & 7) {
                case 0:
                        if (!read_varint(&at, end, &n))
                                return false;
                        continue;
                case 1:
                        n = 8;
                        break;
                case 2:
                        if (!read_varint(&at, end, &n))
                                return false;
                        break;
                case 5:
                        n = 4;
                        break;
                default:
                        return false;
                }
                if (n > (uint64_t) (end - at))
                        return false;

                field = (tag & 7) == 2
                                ? protobuf_c_message_descriptor_get_field(descriptor, (unsigned) (tag >> 3))
                                : NULL;
                if (field && field->type == PROTOBUF_C_TYPE_STRING &&
                                (memchr(at, '\0', n) || !text_is_utf8((const char *) at, n)))
                        return false;
                if (field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
                                !check_strings(field->descriptor, at, at + n, depth + 1))
                        return false;
                at += n;
        }
        return true;
}

static void *decode_alloc(void *arena, size_t n) {
        return arena_alloc(arena, n);
}

static void decode_free(void *arena _unused_, void *p _unused_) {
}

int message_decode(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t n,
                struct arena *arena, ProtobufCMessage **ret) {
        ProtobufCAllocator allocator = {
                .alloc = decode_alloc, .free = decode_free, .allocator_data = arena
        };

        if (!check_strings(descriptor, bytes, bytes + n, 0))
                return -EBADMSG;
        errno = 0;
        *ret = protobuf_c_message_unpack(descriptor, &allocator, n, bytes);
        if (!*ret)
                return errno == ENOMEM ? -ENOBUFS : -EBADMSG;
        return 0;
}

/* As deep as message_decode() lets messages be. */
void message_forget_unknown(ProtobufCMessage *message) {
        const ProtobufCMessageDescriptor *descriptor = message->descriptor;
        char *base = (char *) message;

        message->n_unknown_fields = 0;
        for (unsigned i = 0; i < descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
                void *member = base + field->offset, *quantifier = base + field->quantifier_offset;
                ProtobufCMessage **messages = member;
                size_t n = 1;

                if (field->type != PROTOBUF_C_TYPE_MESSAGE)
                        continue;
                if (field->label == PROTOBUF_C_LABEL_REPEATED) {
                        n = *(const size_t *) quantifier;
                        messages = *(ProtobufCMessage ***) member;
                } else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
                                *(const uint32_t *) quantifier != field->id)
                        continue;
                for (size_t j = 0; j < n; j++)
                        if (messages[j])
                                message_forget_unknown(messages[j]);
        }
}

struct http2_chunk *message_pack_chunk(const ProtobufCMessage *message, size_t packed_size) {
        struct http2_chunk *chunk = http2_chunk_new(MESSAGE_PREFIX_BYTES + packed_size);

        if (!chunk)
                return NULL;
        chunk->data[0] = 0;
        chunk->data[1] = (uint8_t) (packed_size >> 24);
        chunk->data[2] = (uint8_t) (packed_size >> 16);
        chunk->data[3] = (uint8_t) (packed_size >> 8);
        chunk->data[4] = (uint8_t) packed_size;
        (void) protobuf_c_message_pack(message, chunk->data + MESSAGE_PREFIX_BYTES);
        return chunk;
}
