/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every message of the contract: the first byte says which, the others are it. */
#include "fuzz.h"

#include "message.h"
#include "services.h"

/* As much as a call of a message of that size may take; see http2-stream.c. */
#define ARENA_BYTES(size) ((size) *4 + 256 * 1024)

static const ProtobufCMessageDescriptor *choose(unsigned n) {
        for (size_t i = 0; i < ELEMENTSOF(services); i++) {
                if (n < 2 * services[i]->n_methods) {
                        const ProtobufCMethodDescriptor *method = &services[i]->methods[n / 2];

                        return n % 2 == 0 ? method->input : method->output;
                }
                n -= 2 * services[i]->n_methods;
        }
        return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const ProtobufCMessageDescriptor *descriptor = choose(take_byte(&data, &size));
        _cleanup_(arena_clear) struct arena arena = {}, again = {};
        _cleanup_(freep) uint8_t *packed = NULL, *repacked = NULL;
        ProtobufCMessage *message, *back;
        size_t n;

        if (!descriptor)
                return 0;
        arena_init(&arena, ARENA_BYTES(size));
        if (message_decode(descriptor, data, size, &arena, &message) < 0)
                return 0;
        must(protobuf_c_message_check(message), "a decoded message is whole");

        n = protobuf_c_message_get_packed_size(message);
        packed = malloc(n + (n == 0));
        must(protobuf_c_message_pack(message, packed) == n, "a message is as long as it says");
        arena_init(&again, ARENA_BYTES(n) * 4);
        must(message_decode(descriptor, packed, n, &again, &back) == 0, "what we write we can read");
        repacked = malloc(n + (n == 0));
        must(protobuf_c_message_get_packed_size(back) == n && protobuf_c_message_pack(back, repacked) == n &&
                                        memcmp(repacked, packed, n) == 0,
                        "and it is the same");
        return 0;
}
