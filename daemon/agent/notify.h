/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * notify.UserNotificationService: hands a notification, as one JSON object, to every Unix socket in the
 * directory capabilities.notifier.socket. That nobody listens there is no error; that all who do could not
 * take it is.
 */

#include "manager.h"

#include "notify.pb-c.h"

extern const struct rpc_service notify_service; /* userdata: the manager */

/*
 * In protobuf's JSON form: members in the order of their fields, those with default values left out, the
 * urgency by name. On the heap; NULL: ENOMEM.
 */
char *notify_json(const Notify__UserNotification *notification);
