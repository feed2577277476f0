/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A request as Cedar's context: what rules can ask of it. */

#include "cedar-value.h"

#include <protobuf-c/protobuf-c.h>

/*
 * Fields, elements of repeated ones and those of messages inside, together. Calls of the contract have a
 * dozen; a peer that may not call must not make us sort a million.
 */
#define ACCESS_CONTEXT_VALUES_MAX 4096
/* Messages inside of each other: the contract has three. */
#define ACCESS_CONTEXT_DEPTH_MAX 16

/*
 * The fields of request that are set, under their names in the .proto, and "service", the service's name
 * without its package. As JSON would have them (https://protobuf.dev/programming-guides/json/): an enum is
 * its name, bytes are base64, a repeated field is a set; a scalar that has its default is not set. Numbers
 * are longs, those past the largest one are that; fractions, of which Cedar has none, are left out. request
 * NULL: "service" alone. Texts are the request's, not copied. 0; -E2BIG past the bounds; -ENOMEM.
 */
int access_context_new(struct arena *arena, const ProtobufCMessage *request, struct cedar_text service,
                const struct cedar_record **ret);
