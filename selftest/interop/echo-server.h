/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A gRPC server that does what tests ask of it: in requests (echo.proto), and by commands on stdin. */

#include "call.h"
#include "list.h"
#include "reflection.h"

#include "echo.pb-c.h"

struct echo_server {
        sd_event *event;
        struct tls_context *tls; /* NULL: in clear */
        struct rpc_server *server;
        struct rpc_reflection *reflection;
        struct rpc_health *health;
        struct list stopped; /* calls that do not read until told to */
};

/* userdata of its methods: the struct echo_server. */
extern const struct rpc_service echo_service;

/* {"event": name, "tag": tag} */
void echo_event(const char *name, const char *tag);
/* Ends the call as the request says, or with OK. */
void echo_finish(struct rpc_call *call, const Echo__Outcome *outcome);
/* Calls that have stopped reading read on. */
void echo_resume(struct echo_server *echo);

/* Passes a Unary call on to request->forward, and its answer back. */
void echo_forward(struct echo_server *echo, struct rpc_call *call, const Echo__EchoRequest *request);
