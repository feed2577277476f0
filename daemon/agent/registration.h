/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Makes the agent and its units known to the admin, over one connection that is held: all of it whenever
 * that connection comes (back), and what was not accepted again after a while.
 */

#include "manager.h"

struct registration;

/* Uses the manager's reactor, configuration, whitelist, units and TLS. Begins at once. 0 or a negative
 * errno. */
int registration_new(struct registration **ret, struct manager *manager);
struct registration *registration_free(struct registration *registration);
DEFINE_CLEANUP(struct registration, registration_free)

/* Whether the connection to the admin stands. */
bool registration_is_connected(const struct registration *registration);
/* Since when it has stood, or not: CLOCK_REALTIME. */
uint64_t registration_since(const struct registration *registration);
/* The whitelist is another: registers all of it again. */
void registration_refresh(struct registration *registration);
/* The certificates for the next connection. */
void registration_set_tls(struct registration *registration, struct tls_context *tls);
/*
 * A unit that is not of the whitelist, an instance of an application, has come; it must last until it is
 * removed. known: the admin has learnt of it by itself, and is told again only when it may have forgotten.
 */
void registration_add(struct registration *registration, const struct whitelist_unit *unit, bool known);
/* It has gone, which the admin hears from those who watch: nothing more is said of it here. */
void registration_remove(struct registration *registration, const struct whitelist_unit *unit);
/* A unit's state has come: who waits for it to register the unit goes on. */
void registration_unit_known(struct registration *registration, const struct whitelist_unit *unit);
