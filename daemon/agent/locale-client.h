/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * locale.LocaleClient: this machine's locale and time zone, by systemd-localed(8) and systemd-timedated(8),
 * and the locale in the environment of whatever our manager starts from now on. What a request does not
 * assign stays, as localed has it; but LC_ALL, which outranks the others, lasts only until the next request.
 */

#include "manager.h"

extern const struct rpc_service locale_service; /* userdata: the manager */
