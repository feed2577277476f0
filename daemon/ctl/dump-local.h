/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What of a bundle this machine has itself: asked for before anything else, and there even when the admin is
 * not. */

#include "bundle.h"

struct options;

/* May wait for a bus or a daemon that does not answer, for some seconds. */
void dump_local(struct bundle *bundle, const struct options *options);
