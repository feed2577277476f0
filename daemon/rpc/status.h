/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* gRPC status: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */

#include "util.h"

enum rpc_code {
        RPC_OK = 0,
        RPC_CANCELLED,
        RPC_UNKNOWN,
        RPC_INVALID_ARGUMENT,
        RPC_DEADLINE_EXCEEDED,
        RPC_NOT_FOUND,
        RPC_ALREADY_EXISTS,
        RPC_PERMISSION_DENIED,
        RPC_RESOURCE_EXHAUSTED,
        RPC_FAILED_PRECONDITION,
        RPC_ABORTED,
        RPC_OUT_OF_RANGE,
        RPC_UNIMPLEMENTED,
        RPC_INTERNAL,
        RPC_UNAVAILABLE,
        RPC_DATA_LOSS,
        RPC_UNAUTHENTICATED,
        _RPC_CODE_MAX,
};

/* How a call ended. Whoever hands one out keeps the memory; it lasts as long as the callback it is passed
 * to. */
struct rpc_status {
        enum rpc_code code;
        const char *message;    /* UTF-8, "" where there is none; never NULL */
        const uint8_t *details; /* grpc-status-details-bin, decoded: a google.rpc.Status; NULL where there is
                                   none */
        size_t n_details;
};

/* "NOT_FOUND"; "UNKNOWN" for a number that is none. */
const char *rpc_code_name(enum rpc_code code);

/*
 * PROTOCOL-HTTP2 "Status-Message": percent-encoding of all but printable ASCII. What would take more than
 * max bytes is cut short, between characters. On the heap, or NULL (ENOMEM).
 */
char *rpc_status_message_encode(const char *message, size_t max);
/* Its inverse; what is not well-formed is kept as it stands, as the protocol asks. On the heap, or NULL. */
char *rpc_status_message_decode(const char *text, size_t n);

/*
 * Base64 without padding, as binary metadata ("-bin") travels; decoding takes it with or without padding.
 * Text and bytes are on the heap; NULL or -ENOMEM, and -EINVAL for what is not base64.
 */
char *rpc_base64_encode(const uint8_t *data, size_t n);
int rpc_base64_decode(const char *text, size_t n, uint8_t **ret, size_t *ret_n);

/*
 * A google.rpc.Status of code and message with one detail, google.rpc.DebugInfo {stack_entries: entries,
 * detail}: what old clients print. On the heap, or NULL (ENOMEM).
 */
uint8_t *rpc_status_debug_info(enum rpc_code code, const char *message, const char *const *entries,
                size_t n_entries, const char *detail, size_t *ret_n);
