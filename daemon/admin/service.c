/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service.h"

#include "op.h"

#include "admin.pb-c.h"

static const struct rpc_method methods[] = {
        { .name = "RegisterService", .handle = op_register_service },
        { .name = "QueryList", .handle = op_query_list },
        { .name = "Watch", .handle = op_watch, .streams_response = true, .charges = QUOTA_WATCHERS },
        { .name = "GetUnitStatus", .handle = op_get_unit_status, .charges = QUOTA_OPERATIONS },
        { .name = "StartApplication", .handle = op_start_application, .charges = QUOTA_OPERATIONS },
        { .name = "PauseApplication", .handle = op_pause_application, .charges = QUOTA_OPERATIONS },
        { .name = "ResumeApplication", .handle = op_resume_application, .charges = QUOTA_OPERATIONS },
        { .name = "StopApplication", .handle = op_stop_application, .charges = QUOTA_OPERATIONS },
        { .name = "StartService", .handle = op_start_service, .charges = QUOTA_OPERATIONS },
        { .name = "StopService", .handle = op_stop_service, .charges = QUOTA_OPERATIONS },
        { .name = "StartVM", .handle = op_start_vm, .charges = QUOTA_OPERATIONS },
        { .name = "Poweroff", .handle = op_poweroff, .charges = QUOTA_OPERATIONS },
        { .name = "Reboot", .handle = op_reboot, .charges = QUOTA_OPERATIONS },
        { .name = "Suspend", .handle = op_suspend, .charges = QUOTA_OPERATIONS },
        { .name = "Wakeup", .handle = op_wakeup },
        { .name = "Sysinfo", .handle = op_sysinfo, .charges = QUOTA_COMMANDS },
        { .name = "SetLocale", .handle = op_set_locale, .charges = QUOTA_OPERATIONS },
        { .name = "SetTimezone", .handle = op_set_timezone, .charges = QUOTA_OPERATIONS },
        { .name = "GetStats", .handle = op_get_stats, .charges = QUOTA_LOOKS },
        { .name = "NotifyUser", .handle = op_notify_user, .charges = QUOTA_OPERATIONS },
        { .name = "Ctap", .handle = op_ctap, .charges = QUOTA_COMMANDS },
        { .name = "ListGenerations", .handle = op_list_generations, .charges = QUOTA_COMMANDS },
        { .name = "SetGeneration",
                        .handle = op_set_generation,
                        .streams_response = true,
                        .charges = QUOTA_COMMANDS },
};

const struct rpc_service admin_service = {
        .descriptor = &admin__admin_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
