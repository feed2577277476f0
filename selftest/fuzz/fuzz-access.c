/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests as a hostile peer sends them, as Cedar's context, and judged: the first byte says of which
 * message. */
#include "fuzz.h"

#include "context.h"
#include "message.h"

#include "admin.pb-c.h"

#define ARENA_BYTES (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const ProtobufCServiceDescriptor *service = &admin__admin_service__descriptor;
        const ProtobufCMessageDescriptor *descriptor =
                        service->methods[take_byte(&data, &size) % service->n_methods].input;
        _cleanup_(arena_clear) struct arena arena = {};
        const struct cedar_record *context;
        ProtobufCMessage *message;
        int r;

        arena_init(&arena, ARENA_BYTES);
        if (message_decode(descriptor, data, size, &arena, &message) < 0)
                return 0;
        r = access_context_new(&arena, message, CEDAR_TEXT("AdminService"), &context);
        must(r == 0 || r == -E2BIG || r == -ENOMEM, "a request is a context, or too much for one");
        must(r < 0 || cedar_record_get(context, CEDAR_TEXT("service")), "which names the service");
        return 0;
}
