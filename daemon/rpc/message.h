/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * gRPC's Length-Prefixed-Message (PROTOCOL-HTTP2 "Requests": Compressed-Flag, Message-Length, Message) out
 * of and into a stream of bytes, and protobuf out of and into the message.
 */

#include "arena.h"

#include <protobuf-c/protobuf-c.h>

#define MESSAGE_PREFIX_BYTES 5

/* What the messages under assembly on one connection may take together: a peer that announces more is
 * refused. */
struct message_budget {
        size_t used, limit;
};

struct message_reader {
        struct message_budget *budget;
        size_t limit; /* largest message */
        uint8_t prefix[MESSAGE_PREFIX_BYTES];
        size_t n_prefix;
        uint8_t *data; /* grows as bytes come, not as they are announced */
        size_t length, have, size;
        size_t charged;
        bool complete;
};

void message_reader_init(struct message_reader *reader, size_t limit, struct message_budget *budget);
/* Gives back what it holds and what it was charged, and forgets the budget; harmless when repeated. */
void message_reader_clear(struct message_reader *reader);

/*
 * Takes bytes, up to the end of the current message. *ret_taken is how many. Returns 0: all taken, more
 * needed; 1: *ret_message and *ret_length are a whole message, valid until the next call and while the bytes
 * given are; -EMSGSIZE: longer than the limit; -ENOBUFS: past the budget; -EBADMSG: the flag is neither 0
 * nor 1; -EPROTO: compressed; -ENOMEM.
 */
int message_reader_feed(struct message_reader *reader, const uint8_t *bytes, size_t n, size_t *ret_taken,
                const uint8_t **ret_message, size_t *ret_length);
/* The message that was given out is done with: its memory goes now, not when the next one comes. */
void message_reader_drop(struct message_reader *reader);
/* Whether the bytes so far end where a message ends. */
bool message_reader_is_between(const struct message_reader *reader);

/*
 * Decodes into memory of the arena. Strings must be UTF-8 (as proto3 says) and hold no NUL (as C cannot show
 * it). 0, -EBADMSG, or -ENOBUFS when it takes more memory than the arena may give.
 */
int message_decode(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t n,
                struct arena *arena, ProtobufCMessage **ret);

struct http2_chunk;

/* Fields that the descriptor has not go, at every depth: nobody sees them, nor are they passed on. */
void message_forget_unknown(ProtobufCMessage *message);

/* The message, prefix and all, ready to be queued; packed_size is protobuf_c_message_get_packed_size().
 * NULL: ENOMEM. */
struct http2_chunk *message_pack_chunk(const ProtobufCMessage *message, size_t packed_size);
