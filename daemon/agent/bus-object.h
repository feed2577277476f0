/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The agent on the bus of the manager that it controls: org.ghaf.Givc1.Agent, with the units that peers may
 * see as objects that tell of their changes (org.ghaf.Givc1(5)).
 */

#include "manager.h"

struct bus_object;

/* Uses the manager's reactor, server, units and registration. 0 or a negative errno. */
int bus_object_new(struct bus_object **ret, struct manager *manager);
struct bus_object *bus_object_free(struct bus_object *object);

/* What is told to who listens; object may be NULL. A unit, by the name that peers use, is shown from now on,
 */
void bus_object_unit_added(const struct bus_object *object, const struct whitelist_unit *unit);
/* is about to be no more, */
void bus_object_unit_removed(const struct bus_object *object, const struct whitelist_unit *unit);
/* or is in another state. */
void bus_object_unit_changed(const struct bus_object *object, const struct whitelist_unit *unit);
/* The connection to the admin has come, or gone. */
void bus_object_admin_changed(const struct bus_object *object);
/* A peer has come, or gone. */
void bus_object_peers_changed(const struct bus_object *object);
