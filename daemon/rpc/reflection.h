/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* grpc.reflection.v1 and v1alpha, over an embedded FileDescriptorSet; and grpc.health.v1. */

#include "server.h"

struct rpc_reflection;
struct rpc_health;

/*
 * Adds both services to the server. set: a serialised FileDescriptorSet with all imports. 0, -ENOMEM, or
 * -EBADMSG: it is none. To be freed after the server.
 */
int rpc_reflection_new(struct rpc_reflection **ret, struct rpc_server *server, const void *set, size_t n);
struct rpc_reflection *rpc_reflection_free(struct rpc_reflection *reflection);
DEFINE_CLEANUP(struct rpc_reflection, rpc_reflection_free)

/*
 * Adds grpc.health.v1.Health (Check, Watch): "" and every service added are SERVING until rpc_health_set().
 * To be freed after the server.
 */
int rpc_health_new(struct rpc_health **ret, struct rpc_server *server);
struct rpc_health *rpc_health_free(struct rpc_health *health);
DEFINE_CLEANUP(struct rpc_health, rpc_health_free)
/*
 * SERVING, or NOT_SERVING: while draining. Watchers are told so, and their calls end with UNAVAILABLE, since
 * a call that never ends would keep the server from ever being drained.
 */
void rpc_health_set(struct rpc_health *health, bool serving);
