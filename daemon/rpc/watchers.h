/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Calls that are all told, as streams, the same things as they happen. Each has room for so much in its
 * queue: who does not read is cut off, so that nobody waits for it.
 */

#include "call.h"
#include "list.h"

struct rpc_watchers {
        struct list list; /* of struct rpc_watcher */
        size_t n;
        size_t queue_bytes; /* that one may have queued, beyond what it began with */
        const char *closed; /* static text: why there are none any more; NULL: there may be */
        /* One is gone, or has ended: not by rpc_watchers_close(). NULL: nobody asks. */
        void (*gone)(struct rpc_watchers *watchers);
};

struct rpc_watcher {
        struct list list;
        struct rpc_watchers *watchers;
        struct rpc_call *call;
        size_t allowance;
        void *userdata; /* such as what it asked for: in the call's memory */
};

void rpc_watchers_init(struct rpc_watchers *watchers, size_t queue_bytes);
/* Ends all of them, and each that is still to come, with UNAVAILABLE and that static text. */
void rpc_watchers_close(struct rpc_watchers *watchers, const char *reason);

/* Makes the call a watcher. NULL: there is no room, and the call has ended. */
struct rpc_watcher *rpc_watchers_add(struct rpc_watchers *watchers, struct rpc_call *call, void *userdata);
/* What it begins with has been queued, by rpc_call_send(): from now on it has its queue for what happens. */
void rpc_watcher_begin(struct rpc_watcher *watcher);
/* Ends one; it is no more. */
void rpc_watcher_end(struct rpc_watcher *watcher, enum rpc_code code, const char *reason);

/* Tells one. False: it has ended, and is no more. */
bool rpc_watcher_send(struct rpc_watcher *watcher, const ProtobufCMessage *message);
