/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

struct session;

/*
 * session_run(), showing meanwhile how far VMs have come that may have to boot: in one line of standard
 * error that is gone at the end, and only where that is a terminal. Returns an enum exit_code.
 */
int progress_run(struct session *session, const char *const *vms, size_t n_vms);
