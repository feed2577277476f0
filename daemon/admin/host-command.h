/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A command that the host's agent runs (exec.Exec) on behalf of a call: its output as it comes, stopped by a
 * caller that reads slowly, ended with the call.
 */

#include "call.h"
#include "manager.h"

struct host_command;

struct host_command_ops {
        /* Some of its output; error: of standard error. May not end the call. */
        void (*output)(struct host_command *command, const uint8_t *data, size_t n, bool error,
                        void *userdata);
        /* It has ended with this code: answer the call. Where it could not be run, the call was failed
         * already. */
        void (*ended)(struct host_command *command, int code, void *userdata);
        /* The call has gone, or was failed: the memory of userdata that is not the call's. May be NULL. */
        void (*dropped)(void *userdata);
};

/*
 * Runs argv on the host, in the call's memory; ops are set on the call. Fails the call where that cannot be.
 * userdata must last as long as the call, or until ended() or dropped().
 */
void host_command_run(struct manager *manager, struct rpc_call *call, const char *const *argv,
                const struct host_command_ops *ops, void *userdata);
struct rpc_call *host_command_call(struct host_command *command);
/* While off, nothing more is read of the command's output. */
void host_command_set_reading(struct host_command *command, bool on);
