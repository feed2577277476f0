/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A call that is passed on to an agent, with what is left of its caller's time. Answer and failure come
 * back, the failure with context before its message; a caller that goes away takes the agent's call along.
 */

#include "call.h"
#include "manager.h"

struct forward_target {
        const char *vm; /* whose agent; NULL: the host's */
        const ProtobufCServiceDescriptor *service;
        const char *method; /* unary; its answer is what our method answers, too */
        const char *action; /* what the method is to do, for the journal, static; or NULL */
        const char *unit;   /* to which unit; or NULL */
        bool quiet;         /* it changes nothing: not worth a line in the journal */
};

/* How long a call that is passed on may take whose caller does not say. */
#define FORWARD_USEC (60 * USEC_PER_SEC)

/*
 * The agent of a VM (NULL: of the host). NULL: the call was answered, with INVALID_ARGUMENT (no name of a
 * VM), NOT_FOUND, FAILED_PRECONDITION (no host).
 */
struct registry_agent *forward_find_registered(
                const struct registry *registry, struct rpc_call *call, const char *vm);
/* The same, which is not known to be out of reach: else UNAVAILABLE. */
struct registry_agent *forward_find_agent(struct manager *manager, struct rpc_call *call, const char *vm);
/* CLOCK_MONOTONIC: until when a call that is passed on for this one may take. */
uint64_t forward_deadline(const struct rpc_call *call);
/*
 * Counts a copy of the request, which waits as long as the agent does not read it, as the caller's bytes:
 * *charge is to be released when the call to the agent has ended. 0, or -ENOBUFS: they are too many.
 */
int forward_charge(struct rpc_call *call, const ProtobufCMessage *request, struct quota_charge *charge);
/*
 * Ends the call as another, made for it to the agent of that VM, has failed: UNIMPLEMENTED says that the VM
 * does not offer what was asked for.
 */
void forward_fail(
                struct rpc_call *call, const char *vm, const char *method, const struct rpc_status *status);

/* Passes the request on and, later, the answer back. target is only read during the call; its service and
 * method are static data. */
void forward_unary(struct manager *manager, struct rpc_call *call, const struct forward_target *target,
                const ProtobufCMessage *request);
