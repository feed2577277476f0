/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "op.h"

#include "answer.h"
#include "arena.h"
#include "buffer.h"
#include "generations.h"
#include "host-command.h"
#include "text.h"

#include "admin.pb-c.h"

/* `ota-update get` of a machine with hundreds of generations. */
#define LIST_BYTES ((size_t) 1024 * 1024)
/* Of what it says on standard error, the end goes into the failure's message. */
#define TROUBLE_BYTES ((size_t) 512)

/* ---- ListGenerations ---- */

struct listing {
        struct buffer output, trouble;
        bool too_long;
};

static void listing_free(void *userdata) {
        struct listing *listing = userdata;

        buffer_clear(&listing->output);
        buffer_clear(&listing->trouble);
}

static void keep_output(
                struct host_command *command, const uint8_t *data, size_t n, bool error, void *userdata) {
        struct listing *listing = userdata;
        struct buffer *buffer = error ? &listing->trouble : &listing->output;
        size_t max = error ? TROUBLE_BYTES : LIST_BYTES, room = max - MIN(buffer_length(buffer), max);

        if (!error && n > room)
                listing->too_long = true;
        if (buffer_append(buffer, data, MIN(n, room)) < 0)
                listing->too_long = true;
}

static void listed(struct host_command *command, int code, void *userdata) {
        Admin__ListGenerationsResponse response = ADMIN__LIST_GENERATIONS_RESPONSE__INIT;
        struct rpc_call *call = host_command_call(command);
        struct listing *listing = userdata;
        const char *problem;
        int r;

        if (code != 0) {
                _cleanup_(freep) char *trouble = text_escape(buffer_bytes(&listing->trouble) ?: "",
                                buffer_length(&listing->trouble), TROUBLE_BYTES);

                answer_fail(call, RPC_FAILED_PRECONDITION, "ota-update get ended with %i: %s", code,
                                strempty(trouble));
        } else if (listing->too_long)
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "ota-update get printed more than %zu bytes",
                                LIST_BYTES);
        else {
                r = generations_read(
                                buffer_length(&listing->output) > 0 ? buffer_bytes(&listing->output) : "",
                                buffer_length(&listing->output), rpc_call_arena(call), &response, &problem);
                if (r == -EBADMSG)
                        answer_fail(call, RPC_INTERNAL, "cannot read what ota-update get printed: %s",
                                        problem);
                else if (r < 0)
                        answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                else
                        rpc_call_reply(call, &response.base);
        }
        listing_free(listing);
}

void op_list_generations(struct rpc_call *call, const ProtobufCMessage *request, void *userdata) {
        static const char *const argv[] = { "ota-update", "get", NULL };
        static const struct host_command_ops ops = {
                .output = keep_output,
                .ended = listed,
                .dropped = listing_free,
        };
        struct listing *listing = arena_alloc0(rpc_call_arena(call), sizeof(*listing));

        if (listing)
                host_command_run(userdata, call, argv, &ops, listing);
        else
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- SetGeneration ---- */

/* A character that ends in the next piece: at most its first three bytes (RFC 3629). One for each output. */
struct update {
        struct carry {
                char bytes[3];
                size_t n;
        } carries[2];
};

static void pass_on(
                struct host_command *command, const uint8_t *data, size_t n, bool error, void *userdata) {
        Admin__SetGenerationResponse response = ADMIN__SET_GENERATION_RESPONSE__INIT;
        struct update *update = userdata;
        struct carry *carry = &update->carries[error];
        _cleanup_(freep) char *piece = malloc(carry->n + n + 1), *escaped = NULL;
        size_t length = carry->n + n, rest;

        if (!piece)
                return; /* some of the progress is not shown; how it ends will be */
        memcpy(piece, carry->bytes, carry->n);
        memcpy(piece + carry->n, data, n);
        rest = text_unfinished_length(piece, length);
        memcpy(carry->bytes, piece + length - rest, rest);
        carry->n = rest;
        length -= rest;
        piece[length] = '\0';
        if (length == 0)
                return;
        if (memchr(piece, '\0', length) || !text_is_utf8(piece, length))
                escaped = text_escape(piece, length, length);
        response.output_presence_case = ADMIN__SET_GENERATION_RESPONSE__OUTPUT_PRESENCE_OUTPUT;
        response.output = escaped ?: piece;
        if (rpc_call_send(host_command_call(command), &response.base) > 0)
                host_command_set_reading(command, false);
        explicit_bzero(piece, length); /* it may say what it was given, a token too */
}

static void updated(struct host_command *command, int code, void *userdata) {
        Admin__SetGenerationResponse response = ADMIN__SET_GENERATION_RESPONSE__INIT;
        _cleanup_(freep) char *text = NULL;

        response.finished = true;
        if (code != 0) {
                text = text_printf("ota-update cachix ended with %i", code);
                response.error_presence_case = ADMIN__SET_GENERATION_RESPONSE__ERROR_PRESENCE_ERROR;
                response.error = text ?: (char *) "ota-update cachix failed";
        }
        rpc_call_reply(host_command_call(command), &response.base);
}

void op_set_generation(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        static const struct host_command_ops ops = { .output = pass_on, .ended = updated };
        const Admin__SetGenerationRequest *request = (const Admin__SetGenerationRequest *) message;
        const Admin__Cachix *cachix = request->cachix;
        const char *argv[10] = { "ota-update", "cachix" };
        struct update *update;
        size_t n = 2;

        if (request->update_case != ADMIN__SET_GENERATION_REQUEST__UPDATE_CACHIX) {
                answer_fail(call, RPC_INVALID_ARGUMENT, "the request names no kind of update");
                return;
        }
        /* A pin or cache of this form would be read as an option. */
        if (isempty(cachix->pin) || cachix->pin[0] == '-' || isempty(cachix->cache) ||
                        cachix->cache[0] == '-') {
                answer_fail(call, RPC_INVALID_ARGUMENT,
                                "Pin and Cache must be given, and not begin with \"-\"");
                return;
        }
        update = arena_alloc0(rpc_call_arena(call), sizeof(*update));
        if (!update) {
                answer_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        argv[n++] = cachix->pin;
        argv[n++] = "--cache";
        argv[n++] = cachix->cache;
        if (cachix->token_presence_case == ADMIN__CACHIX__TOKEN_PRESENCE_TOKEN) {
                argv[n++] = "--token";
                argv[n++] = cachix->token;
        }
        if (cachix->cachix_host_presence_case == ADMIN__CACHIX__CACHIX_HOST_PRESENCE_CACHIX_HOST) {
                argv[n++] = "--cachix-host";
                argv[n++] = cachix->cachixhost;
        }
        host_command_run(userdata, call, argv, &ops, update);
}
