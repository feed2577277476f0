/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * ctap.Ctap: a request to a security key, carried out by the program that is meant for it. The payload is
 * its standard input, and what it writes is the answer.
 */

#include "server.h"

#include <systemd/sd-event.h>

struct ctap;
struct units;

extern const struct rpc_service ctap_service; /* userdata: the struct ctap */

int ctap_new(struct ctap **ret, sd_event *event, struct units *units);
/* Not before the server, whose calls may be under way. */
struct ctap *ctap_free(struct ctap *ctap);
DEFINE_CLEANUP(struct ctap, ctap_free)
