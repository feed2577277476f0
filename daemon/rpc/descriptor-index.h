/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A FileDescriptorSet (google/protobuf/descriptor.proto) made searchable: which file is called so, which
 * file tells of this symbol or that extension, and what does it import. Names are full ones, without the
 * leading dot.
 */

#include "util.h"

#include <protobuf-c/protobuf-c.h>

struct descriptor_index;

struct descriptor_file {
        const char *name;
        ProtobufCBinaryData bytes; /* the serialised FileDescriptorProto */
        const struct descriptor_file **imports;
        size_t n_imports;
};

/*
 * Reads a serialised set. 0, -ENOMEM, or -EBADMSG: it does not parse, or a file in it imports one that is
 * not. Files that are found belong to the index.
 */
int descriptor_index_new(struct descriptor_index **ret, const void *set, size_t n);
struct descriptor_index *descriptor_index_free(struct descriptor_index *index);
DEFINE_CLEANUP(struct descriptor_index, descriptor_index_free)

/* Each returns NULL where there is none. */
const struct descriptor_file *descriptor_index_find_file(
                const struct descriptor_index *index, const char *name);
/* symbol: a message, field, oneof, enum, enum value, service, method, or extension. */
const struct descriptor_file *descriptor_index_find_symbol(
                const struct descriptor_index *index, const char *symbol);
/* The file that declares the field of that number in an extend block for the message. */
const struct descriptor_file *descriptor_index_find_extension(
                const struct descriptor_index *index, const char *message, int32_t number);

/*
 * The numbers of all extensions of the message, in an array that becomes the caller's. Returns how many, 0
 * with NULL included; -ENOENT: there is no such message; -ENOMEM.
 */
ssize_t descriptor_index_list_extensions(
                const struct descriptor_index *index, const char *message, int32_t **ret);

/*
 * The serialised file, followed by those that it imports, directly or not, each once: in an array that
 * becomes the caller's (the bytes stay the index's). Returns how many, or -ENOMEM.
 */
ssize_t descriptor_index_list_closure(const struct descriptor_index *index,
                const struct descriptor_file *file, ProtobufCBinaryData **ret);
