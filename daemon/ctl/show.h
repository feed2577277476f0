/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a verb prints of an answer, in the form that the options ask for. These return an enum exit_code. */

#include "systemd.pb-c.h"

struct options;
struct session;

int show_status(const struct options *options, const Systemd__UnitStatus *status);

/* For session_request.show: of an admin.StartResponse, that subject was started; */
int show_started(struct session *session, const ProtobufCMessage *response, const char *subject);
/* of an admin.ApplicationResponse, that what was to be done ("Stopped x.service on y") was. */
int show_application(struct session *session, const ProtobufCMessage *response, const char *subject);
/* Likewise, of answers that say nothing themselves: {"done": subject} as JSON. As givc-cli, nothing. */
int show_done(struct session *session, const ProtobufCMessage *response, const char *subject);
