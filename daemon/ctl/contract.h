/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a call may be: every method that givc's daemons could offer, and its fields, as access rules see
 * them. */

#include "cedar-value.h"

#include <protobuf-c/protobuf-c.h>

struct contract_method {
        struct cedar_text module;                /* the package, as in Module::"admin" */
        struct cedar_text service;               /* as in context.service */
        struct cedar_text name;                  /* as in Command::"StartVM" */
        const ProtobufCMessageDescriptor *input; /* NULL: a stream of requests, whose fields no rule sees */
};

/* In the arena, which what it points to outlasts. 0; -ENOMEM; -EBADMSG: services that nobody knows. */
int contract_load(struct arena *arena, const struct contract_method **ret, size_t *ret_n);

/* NULL: it has none of that name. */
const ProtobufCFieldDescriptor *contract_field(
                const ProtobufCMessageDescriptor *message, struct cedar_text name);

/*
 * Of names that are offered one after the other, the one that was likely meant: about one in three of its
 * letters has to be changed at most, where case does not count much. Begin with {.wanted = …}.
 */
struct contract_guess {
        struct cedar_text wanted, nearest; /* nearest.n is 0: none is near */
        unsigned distance;
};
void contract_guess_offer(struct contract_guess *guess, struct cedar_text name);
