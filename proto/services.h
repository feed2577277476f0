/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Every service of the contract. New ones go to the end: the seeds of fuzz-message choose by number. */

#include "access.pb-c.h"
#include "admin.pb-c.h"
#include "ctap.pb-c.h"
#include "eventproxy.pb-c.h"
#include "exec.pb-c.h"
#include "health.pb-c.h"
#include "hwid.pb-c.h"
#include "locale.pb-c.h"
#include "logs.pb-c.h"
#include "notify.pb-c.h"
#include "policyadmin.pb-c.h"
#include "reflection_v1.pb-c.h"
#include "reflection_v1alpha.pb-c.h"
#include "socketproxy.pb-c.h"
#include "stats.pb-c.h"
#include "systemd.pb-c.h"
#include "wifimanager.pb-c.h"

static const ProtobufCServiceDescriptor *const services[] = {
        &admin__admin_service__descriptor,
        &admin__fleet_service__descriptor,
        &ctap__ctap__descriptor,
        &eventproxy__event_service__descriptor,
        &exec__exec__descriptor,
        &grpc__health__v1__health__descriptor,
        &grpc__reflection__v1__server_reflection__descriptor,
        &hwid__hwid_service__descriptor,
        &locale__locale_client__descriptor,
        &logs__logs_service__descriptor,
        &notify__user_notification_service__descriptor,
        &policyadmin__policy_admin__descriptor,
        &socketproxy__socket_stream__descriptor,
        &stats__stats_service__descriptor,
        &systemd__unit_control_service__descriptor,
        &systemd__unit_manage_service__descriptor,
        &systemd__unit_watch_service__descriptor,
        &wifimanager__wifi_service__descriptor,
        &access__access_service__descriptor,
        &grpc__reflection__v1alpha__server_reflection__descriptor,
};
