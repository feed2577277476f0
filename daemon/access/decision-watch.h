/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* access.AccessService: what the rules say, and who watches what they decide, here and, at the admin, in the
 * whole fleet. */

#include "guard.h"
#include "watchers.h"

struct decision_watchers;

extern const struct rpc_service access_service; /* userdata: the watchers */

/* Of the guard's decisions; vm and daemon are where they are made, and by whom. Copied; daemon is static. */
int decision_watchers_new(struct decision_watchers **ret, struct access_guard *guard, const char *vm,
                const char *daemon);
/* Before the guard. Ends every watch with UNAVAILABLE. */
struct decision_watchers *decision_watchers_free(struct decision_watchers *watchers);
/* The same, and each that is asked for from now on; the text is static. */
void decision_watchers_close(struct decision_watchers *watchers, const char *reason);

/* Who also tells of others. */
struct decision_fleet_ops {
        /* Whether there is a VM of that name; else it ends the call. */
        bool (*knows)(struct rpc_call *call, const char *vm, void *userdata);
        /* There is a watcher more, which was told of ourselves. */
        void (*added)(struct rpc_watcher *watcher, void *userdata);
        /* One has left: less may be wanted. */
        void (*left)(void *userdata);
};
/* NULL: not any more. */
void decision_watchers_set_fleet(
                struct decision_watchers *watchers, const struct decision_fleet_ops *ops, void *userdata);

/* Whether somebody wants what is told of that VM, and permits among it. */
bool decision_watchers_want(const struct decision_watchers *watchers, const char *vm, bool *ret_permits);

/* Tells those who want it what has happened there: a Decision, a Refusal or an Untold, in which vm and
 * daemon are put; else nobody. */
void decision_watchers_tell(struct decision_watchers *watchers, const char *vm, const char *daemon,
                Access__WatchDecisionsItem *item);
/* The source says of which VM it is. */
void decision_watchers_tell_source(struct decision_watchers *watchers, Access__DecisionSource *source);
/* Tells one, if it wants that. False: it is no more. */
bool decision_watcher_tell_source(struct rpc_watcher *watcher, Access__DecisionSource *source);
