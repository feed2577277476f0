/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * locale.LocaleClient: this machine's locale and time zone, by systemd-localed(8) and systemd-timedated(8),
 * and the locale in the environment of whatever our manager starts from now on. A request says all: what it
 * does not assign is unset.
 */

#include "manager.h"

extern const struct rpc_service locale_service; /* userdata: the manager */
