/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a registry entry can be, and the words in which systemd and the wire speak of its state. */

#include "util.h"

#include "systemd.pb-c.h"

enum component_vm {
        COMPONENT_HOST,
        COMPONENT_ADMVM,
        COMPONENT_SYSVM,
        COMPONENT_APPVM,
};

enum component_service {
        COMPONENT_VM,  /* a VM's unit on the host */
        COMPONENT_MGR, /* an agent */
        COMPONENT_SVC,
        COMPONENT_APP,
};

struct component_type {
        enum component_vm vm;
        enum component_service service;
};

/* RegistryRequest.Type; -EINVAL: no such type. */
int component_type_from_wire(uint32_t number, struct component_type *ret);
uint32_t component_type_to_wire(struct component_type type);

const char *component_vm_text(enum component_vm vm);                /* "AppVM" */
const char *component_service_text(enum component_service service); /* "Mgr" */

/* A unit's state, a byte a word: an index of the words that systemd knows, 0 for any other. */
struct component_state {
        uint8_t load, active, sub, freezer;
};

struct component_state component_state_from_wire(const Systemd__UnitStatus *status);
/* Sets the four fields, to static text, "" for a word that was not known. */
void component_state_to_wire(struct component_state state, Systemd__UnitStatus *status);
/* One of those words, as static text: for a reason, where an agent's own word may be any text. "unknown" for
 * any other. */
const char *component_word(const char *text);
bool component_state_equal(struct component_state a, struct component_state b);

/* Running, PoweredOff or Paused: frozen is paused; running is loaded/active/running; everything else is off.
 */
const char *component_state_text(struct component_state state);

/* Inactive or failed: nothing of it runs. */
bool component_state_is_down(struct component_state state);
bool component_state_is_failed(struct component_state state);
/* Active, or reloading while it is. */
bool component_state_is_up(struct component_state state);
/* On its way up, and not just waiting to be tried again. */
bool component_state_is_starting(struct component_state state);
