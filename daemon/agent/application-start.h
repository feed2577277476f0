/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * UnitControlService.StartApplication: checks what was asked for, starts a transient unit, and answers when
 * its program runs. Where the program hands over to an instance that runs already, and exits, the answer is
 * that one.
 */

#include "manager.h"

struct application_start;

void application_start_handle(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);

/* From its instance: it has ended. */
void application_start_ended(struct application_start *start, const struct unit_state *state);
/* From its instance: that is no more. */
void application_start_forget(struct application_start *start);
/* The calls are gone, and so is what is under way for them; systemd goes on. */
void application_starts_free(struct manager *manager);
