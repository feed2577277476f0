/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Commands run for a peer (exec.Exec): those that the configuration lists and no other, never through a
 * shell, with input and output as they come, and for no longer than their call.
 */

#include "manager.h"

extern const struct rpc_service exec_service; /* userdata: the manager */
