/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * That this machine is registered with the admin, made known to its service manager: the agent keeps a file
 * while it is, and a process of its own service, givc-online.service, is ready as long as the file says so.
 * Units order themselves after givc-online.target.
 *
 * The file stands in the agent's runtime directory (RuntimeDirectory= in systemd.exec(5)) and holds the
 * agent's process number: the word of an agent that is no more counts for nothing.
 */

#include "util.h"

#define ONLINE_FILE "online"

/* Says it, or takes it back, and keeps no state. Without a runtime directory, which only systemd gives,
 * nothing. */
void online_tell(bool registered);

/*
 * The other side: tells the service manager READY=1 once there is word in that directory that we are
 * registered, and ends when there is none any more for ONLINE_GRACE_USEC, or when asked to: an exit code, or
 * a negative errno.
 */
int online_follow(const char *directory);
