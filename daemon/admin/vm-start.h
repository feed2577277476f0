/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Brings a VM up, by its unit and the host's agent: once for all who want that VM at the same time, since
 * the agent's StartUnit begins anew what is on its way up.
 */

#include "manager.h"
#include "status.h"

/* Who waits for a VM embeds one; zeroed. */
struct vm_start_waiter {
        struct list waiters;
        struct vm_start *start; /* NULL: waits for nothing */
        /* RPC_OK: the VM's unit is active. Else why not: the context of the caller's answer. Told once,
         * later, and not if the waiter has left. */
        void (*done)(struct vm_start_waiter *waiter, enum rpc_code code, const char *reason);
};

/* Begins to wait for a VM, whose name is one. 0 or -ENOMEM. */
int vm_start_join(struct manager *manager, const char *vm, struct vm_start_waiter *waiter);
/* Not any more, if it does; the host goes on with what it was asked for. */
void vm_start_leave(struct vm_start_waiter *waiter);
