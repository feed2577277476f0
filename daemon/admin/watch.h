/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* AdminService.Watch: each watcher gets the whole registry, then every change of it, in order. */

#include "call.h"
#include "registry.h"

struct watchers;

int watchers_new(struct watchers **ret, struct registry *registry);
/* Ends every watch with UNAVAILABLE. */
struct watchers *watchers_free(struct watchers *watchers);
DEFINE_CLEANUP(struct watchers, watchers_free)

size_t watchers_count(const struct watchers *watchers);
/* Makes the call a watcher. */
void watchers_add(struct watchers *watchers, struct rpc_call *call);
/* No more changes come from here: every watch ends with UNAVAILABLE, and so does each that is asked for from
 * now on. */
void watchers_close(struct watchers *watchers);
