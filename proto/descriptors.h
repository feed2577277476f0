/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* A serialised google.protobuf.FileDescriptorSet of every file that a peer may ask reflection for: all of
 * givc's packages, reflection and health, imports included, without source positions. Constant, and in the
 * program itself; givc.descriptor.FileDescriptorSet (descriptor_subset.pb-c.h) reads it. */
extern const unsigned char givc_descriptors[];
extern const unsigned char givc_descriptors_end[]; /* one past the last byte */

static inline size_t givc_descriptors_size(void) {
        return (size_t) (givc_descriptors_end - givc_descriptors);
}
