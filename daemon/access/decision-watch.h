/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* access.AccessService.WatchDecisions: who watches what the rules decide, ours and those of others. */

#include "guard.h"
#include "watchers.h"

struct decision_watchers;

/* Of the guard's decisions; vm and daemon are where they are made, and by whom. Copied; daemon is static. */
int decision_watchers_new(struct decision_watchers **ret, struct access_guard *guard, const char *vm,
                const char *daemon);
/* Before the guard. Ends every watch with UNAVAILABLE. */
struct decision_watchers *decision_watchers_free(struct decision_watchers *watchers);
/* The same, and each that is asked for from now on; the text is static. */
void decision_watchers_close(struct decision_watchers *watchers, const char *reason);

const char *decision_watchers_vm(const struct decision_watchers *watchers);
/* changed() is told when a watcher has left: less may be wanted. */
void decision_watchers_set_changed(
                struct decision_watchers *watchers, void (*changed)(void *userdata), void *userdata);

/* Makes the call a watcher, which hears first that we are followed. NULL: there was no room; the call has
 * ended. */
struct rpc_watcher *decision_watchers_add(
                struct decision_watchers *watchers, struct rpc_call *call, const ProtobufCMessage *request);

/* Whether somebody wants the decisions of that VM, and permits among them. */
bool decision_watchers_want(const struct decision_watchers *watchers, const char *vm, bool *ret_permits);

/* Tells those who want it: the decision and the source say of which VM they are. */
void decision_watchers_tell(struct decision_watchers *watchers, Access__Decision *decision);
void decision_watchers_tell_source(struct decision_watchers *watchers, Access__DecisionSource *source);
/* Tells one, if it wants that. False: it is no more. */
bool decision_watcher_tell_source(struct rpc_watcher *watcher, Access__DecisionSource *source);
