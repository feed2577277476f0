/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Deferred sources of sd-event that are wanted again and again. */

#include "util.h"

#include <systemd/sd-event.h>

/*
 * Has the source's handler called once, behind whoever of the same priority waits already. Such a source is
 * for sd-event as old as it was when it was added, and the oldest comes first: merely enabled again each
 * time, it would keep all others from their turn. So *source (enabled or not, also from inside of its own
 * handler) is replaced by a new one with the same userdata and priority; without memory for it, the old one
 * goes once more.
 */
void defer_again(sd_event_source **source, sd_event_handler_t handler);
