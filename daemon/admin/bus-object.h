/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The admin on the system bus: org.ghaf.Givc1.Admin, with the registry's entries as objects that tell of
 * their changes (org.ghaf.Givc1(5)).
 */

#include "manager.h"

struct bus_object;

/* Uses the manager's reactor, registry, server and what it counts; follows the registry. 0 or a negative
 * errno. */
int bus_object_new(struct bus_object **ret, struct manager *manager);
struct bus_object *bus_object_free(struct bus_object *object);
DEFINE_CLEANUP(struct bus_object, bus_object_free)

/* A peer has come, or gone. object may be NULL. */
void bus_object_peers_changed(const struct bus_object *object);
