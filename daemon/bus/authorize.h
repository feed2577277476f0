/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Whether who calls a method of ours on the bus may: root, and the user as whom we run; of others, polkit is
 * asked (https://www.freedesktop.org/software/polkit/docs/latest/). Nothing waits for the answer.
 */

#include "bus.h"

struct authorizer;

int authorizer_new(struct authorizer **ret, struct bus *bus);
struct authorizer *authorizer_free(struct authorizer *authorizer);
DEFINE_CLEANUP(struct authorizer, authorizer_free)

/*
 * allowed() is called, later, for a caller who may, and is to reply to call; uid is the caller's. Everybody
 * else gets an error from here. Returns 1, or the negative errno that call is to be answered with.
 */
int authorizer_ask(struct authorizer *authorizer, sd_bus_message *call, const char *action,
                void (*allowed)(sd_bus_message *call, uint32_t uid, void *userdata), void *userdata);
/* The connection is lost: nobody is waiting any more. */
void authorizer_drop(struct authorizer *authorizer);
