/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A call that came in. It is the handler's from the moment in which the method's function is called until
 * the handler finishes it or is told that it is gone: after either of the two, the pointer is dead.
 */

#include "log.h"
#include "server.h"
#include "status.h"

#include <protobuf-c/protobuf-c.h>

struct rpc_call_ops {
        /* Methods whose request is a stream: one message more. It lasts until the function returns. */
        void (*message)(struct rpc_call *call, const ProtobufCMessage *message, void *userdata);
        /* Methods whose request is a stream: the client will send no more. */
        void (*half_closed)(struct rpc_call *call, void *userdata);
        /* What is queued has fallen below the low mark, after rpc_call_send() had said so. */
        void (*writable)(struct rpc_call *call, void *userdata);
        /*
         * Cancelled by the client, past its deadline, its connection lost, or a message of its malformed:
         * stop the work, do not answer. The last callback; never follows rpc_call_finish().
         */
        void (*gone)(struct rpc_call *call, void *userdata);
};

/* A handler that does not finish the call before it returns sets these, so that it hears of gone(). */
void rpc_call_set_ops(struct rpc_call *call, const struct rpc_call_ops *ops, void *userdata);

/* Who calls, what, and until when. */
const struct rpc_peer *rpc_call_peer(const struct rpc_call *call);
struct rpc_server *rpc_call_server(const struct rpc_call *call);
const char *rpc_call_method(const struct rpc_call *call); /* "StartVM" */
const char *rpc_call_path(const struct rpc_call *call);   /* "/admin.AdminService/StartVM" */
/* CLOCK_MONOTONIC microseconds; USEC_INFINITY: none. Pass what is left on to the next hop. */
uint64_t rpc_call_deadline(const struct rpc_call *call);
/* A header of the request's, or NULL; keys in lower case; "-bin" values as they travelled (base64). */
const char *rpc_call_metadata(const struct rpc_call *call, const char *key);
/* Memory that lasts as long as the call; NULL: ENOMEM. */
struct arena *rpc_call_arena(struct rpc_call *call);

/*
 * As log_event(): what has become of the call. Of the calls of one peer there are RPC_CALL_LINES such lines
 * a minute, and then the number of the others: who may make a call may make thousands. LOG_DEBUG has no
 * limit.
 */
void rpc_call_log(const struct rpc_call *call, int priority, const struct log_fields *fields,
                const char *format, ...) _printf_(4, 5);
/* Every one of a peer that does its work. */
#define RPC_CALL_LINES 300

/* Metadata to send before the first message, and with the status. 0, -EINVAL, -ENOMEM. */
int rpc_call_add_header(struct rpc_call *call, const char *key, const char *value);
int rpc_call_add_trailer(struct rpc_call *call, const char *key, const char *value);

/* Sends the headers now, so that the client knows that the call is under way: for streams whose first
 * message may be long in coming. 0, -ENOMEM. */
int rpc_call_accept(struct rpc_call *call);

/*
 * Queues an answer. Returns 0; 1 when more than the high mark (RPC_CALL_HIGH bytes) is queued now: stop
 * until writable(); -EMSGSIZE past the server's limit; -ENOBUFS past the peer's share of what may be queued;
 * -ENOMEM.
 */
int rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message);
#define RPC_CALL_HIGH (256 * 1024)
#define RPC_CALL_LOW  (64 * 1024)
/* Bytes queued and not yet sent. */
size_t rpc_call_queued(const struct rpc_call *call);
/* Forgets the messages queued last, all but some 64 KiB: before rpc_call_fail() to a client that does not
 * read. */
void rpc_call_cut(struct rpc_call *call);
/* While off, message() is not told and the client is stopped by flow control. Turning it on may tell
 * message() and half_closed() before it returns. */
void rpc_call_set_reading(struct rpc_call *call, bool on);

/* End the call: what is queued is still sent. Exactly one of these, once. */
void rpc_call_finish(struct rpc_call *call, const struct rpc_status *status);
void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message); /* send, then finish with OK */
void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const char *format, ...) _printf_(3, 4);
/* In place of the handler, if that has not ended it, which then hears gone(): it may free the server in
 * there. */
void rpc_call_break_off(struct rpc_call *call, enum rpc_code code, const char *format, ...) _printf_(3, 4);
