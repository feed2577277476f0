/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One function a method of AdminService, one file a group of them: op-*.c. userdata is the manager. */

#include "call.h"

void op_register_service(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_start_service(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_stop_service(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_start_application(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_pause_application(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_resume_application(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_stop_application(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_start_vm(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_poweroff(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_reboot(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_suspend(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_set_locale(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_set_timezone(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_wakeup(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_get_stats(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_sysinfo(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_notify_user(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_ctap(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_get_unit_status(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_query_list(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_watch(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_list_generations(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
void op_set_generation(struct rpc_call *call, const ProtobufCMessage *request, void *userdata);
