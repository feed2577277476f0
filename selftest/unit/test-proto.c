/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The generated code against the contract. Messages and methods are rendered in the notation of the
 * contract, which is also that of the tables here (written from it, not from the .proto files), and compared
 * as text: "name=number type"; "[]" repeated, "?" explicit presence, "|" one of several in a oneof. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.pb-c.h"
#include "admin.pb-c.h"
#include "ctap.pb-c.h"
#include "descriptor_subset.pb-c.h"
#include "descriptors.h"
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

/* Messages */

struct message_case {
        const ProtobufCMessageDescriptor *descriptor;
        const char *name;
        const char *fields;
};

/* clang-format off */
static const struct message_case messages[] = {
        { &admin__transport_config__descriptor, "admin.TransportConfig",
                "Protocol=1 string, Address=2 string, Port=3 string, Name=4 string" },
        { &admin__registry_request__descriptor, "admin.RegistryRequest",
                "Name=1 string, Parent=2 string, Type=3 uint32, Transport=4 admin.TransportConfig, "
                "State=5 systemd.UnitStatus" },
        { &admin__registry_response__descriptor, "admin.RegistryResponse", "Error=1? string" },
        { &admin__application_request__descriptor, "admin.ApplicationRequest",
                "AppName=1 string, VmName=2? string, Args=3[] string" },
        { &admin__stats_request__descriptor, "admin.StatsRequest", "VmName=1 string" },
        { &admin__start_vmrequest__descriptor, "admin.StartVMRequest", "VmName=1 string" },
        { &admin__service_request__descriptor, "admin.ServiceRequest", "ServiceName=1 string, VmName=2 string" },
        { &admin__start_response__descriptor, "admin.StartResponse", "registryId=1 string" },
        { &admin__application_response__descriptor, "admin.ApplicationResponse",
                "CmdStatus=1 string, AppStatus=2 string" },
        { &admin__unit_status_request__descriptor, "admin.UnitStatusRequest", "VmName=1 string, UnitName=2 string" },
        { &admin__empty__descriptor, "admin.Empty", "" },
        { &admin__query_list_item__descriptor, "admin.QueryListItem",
                "Name=1 string, Description=2 string, VmStatus=3 string, TrustLevel=4 string, VmType=5 string, "
                "ServiceType=6 string, VmName=7? string, AgentName=8? string, Online=100? bool, Since=101 uint64, Result=102 string" },
        { &admin__query_list_response__descriptor, "admin.QueryListResponse", "List=1[] admin.QueryListItem" },
        { &admin__watch_item__descriptor, "admin.WatchItem",
                "Initial=1| admin.QueryListResponse, Added=2| admin.QueryListItem, Updated=3| admin.QueryListItem, "
                "Removed=4| admin.QueryListItem" },
        { &admin__locale_request__descriptor, "admin.LocaleRequest", "assignments=1[] locale.LocaleAssignment" },
        { &admin__timezone_request__descriptor, "admin.TimezoneRequest", "Timezone=1 string" },
        { &admin__user_notification_request__descriptor, "admin.UserNotificationRequest",
                "VmName=1 string, Notification=2 notify.UserNotification" },
        { &admin__generation__descriptor, "admin.Generation",
                "Generation=1 int32, Date=2 string, NixosVersion=3 string, KernelVersion=4 string, "
                "ConfigurationRevision=5 string, Specialisations=6[] string, Current=7 bool, StorePath=8 string" },
        { &admin__list_generations_response__descriptor, "admin.ListGenerationsResponse",
                "List=1[] admin.Generation" },
        /* One member, and a oneof in the contract too: no telling it from presence, nor a need to. */
        { &admin__set_generation_request__descriptor, "admin.SetGenerationRequest", "Cachix=1? admin.Cachix" },
        { &admin__cachix__descriptor, "admin.Cachix",
                "Pin=1 string, CachixHost=2? string, Cache=3 string, Token=4? string" },
        { &admin__set_generation_response__descriptor, "admin.SetGenerationResponse",
                "Finished=1 bool, Output=2? string, Error=3? string" },
        { &admin__ctap_request__descriptor, "admin.CtapRequest", "Req=1 string, Args=2[] string, Payload=3 bytes" },
        { &admin__ctap_response__descriptor, "admin.CtapResponse", "Output=1 bytes" },

        { &systemd__unit_status__descriptor, "systemd.UnitStatus",
                "Name=1 string, Description=2 string, LoadState=3 string, ActiveState=4 string, SubState=5 string, "
                "Path=6 string, FreezerState=7 string, Result=100 string, ExitCode=101 int32, ExitStatus=102 int32" },
        { &systemd__unit_request__descriptor, "systemd.UnitRequest", "UnitName=1 string" },
        { &systemd__app_unit_request__descriptor, "systemd.AppUnitRequest", "UnitName=1 string, Args=2[] string" },
        { &systemd__unit_response__descriptor, "systemd.UnitResponse", "UnitStatus=1 systemd.UnitStatus" },
        { &systemd__unit_resource_request__descriptor, "systemd.UnitResourceRequest", "UnitName=1 string" },
        { &systemd__unit_resource_response__descriptor, "systemd.UnitResourceResponse",
                "cpu_usage=1 double, memory_usage=2 float" },
        { &systemd__watch_units_request__descriptor, "systemd.WatchUnitsRequest", "UnitNames=1[] string" },

        { &stats__stats_request__descriptor, "stats.StatsRequest", "" },
        { &stats__process_stat__descriptor, "stats.ProcessStat",
                "Name=1 string, User=2 float, Sys=3 float, ResSetSize=4 uint64" },
        { &stats__process_stats__descriptor, "stats.ProcessStats",
                "CpuProcesses=1[] stats.ProcessStat, MemProcesses=2[] stats.ProcessStat, Total=3 uint64, "
                "Running=4 uint64, UserCycles=5 uint64, SysCycles=6 uint64, TotalCycles=7 uint64" },
        { &stats__load_stats__descriptor, "stats.LoadStats", "Load1Min=1 float, Load5Min=2 float, Load15Min=3 float" },
        { &stats__memory_stats__descriptor, "stats.MemoryStats",
                "Total=1 uint64, Free=2 uint64, Available=3 uint64, Cached=4 uint64" },
        { &stats__stats_response__descriptor, "stats.StatsResponse",
                "Memory=1 stats.MemoryStats, Load=2 stats.LoadStats, Process=3 stats.ProcessStats" },
        { &stats__sysinfo_response__descriptor, "stats.SysinfoResponse",
                "GhafVersion=1 string, SecureBoot=2? bool, DiskEncrypted=3? bool" },

        { &locale__empty__descriptor, "locale.Empty", "" },
        { &locale__locale_assignment__descriptor, "locale.LocaleAssignment",
                "key=1 locale.LocaleMacroKey, value=2 string" },
        { &locale__locale_message__descriptor, "locale.LocaleMessage", "assignments=1[] locale.LocaleAssignment" },
        { &locale__timezone_message__descriptor, "locale.TimezoneMessage", "Timezone=1 string" },

        { &notify__user_notification__descriptor, "notify.UserNotification",
                "Event=1 string, Title=2 string, Urgency=3 notify.UrgencyLevel, Icon=4 string, Message=5 string" },
        { &notify__status__descriptor, "notify.Status", "Status=1 string" },

        { &exec__start_command__descriptor, "exec.StartCommand",
                "Command=1 string, Arguments=2[] string, WorkingDirectory=3? string, "
                "EnvVars=4[] exec.StartCommand.EnvVarsEntry, Stdin=5? bytes, Role=6? string" },
        { &exec__start_command__env_vars_entry__descriptor, "exec.StartCommand.EnvVarsEntry",
                "key=1 string, value=2 string" },
        { &exec__command_io__descriptor, "exec.CommandIO", "Payload=1 bytes" },
        { &exec__signal_command__descriptor, "exec.SignalCommand", "Signal=1 int32" },
        { &exec__started_event__descriptor, "exec.StartedEvent", "Pid=1 int32" },
        { &exec__finished_event__descriptor, "exec.FinishedEvent", "ReturnCode=1 int32" },
        { &exec__command_relay_request__descriptor, "exec.CommandRelayRequest",
                "Agent=1 string, Command=2 exec.CommandRequest" },
        { &exec__command_request__descriptor, "exec.CommandRequest",
                "Start=1| exec.StartCommand, Stdin=2| exec.CommandIO, Signal=3| exec.SignalCommand" },
        { &exec__command_response__descriptor, "exec.CommandResponse",
                "Stdout=1| exec.CommandIO, Stderr=2| exec.CommandIO, Started=3| exec.StartedEvent, "
                "Finished=4| exec.FinishedEvent" },

        { &socketproxy__stream_frame__descriptor, "socketproxy.StreamFrame", "Chunk=1 bytes, Eof=2 bool" },

        { &eventproxy__device_info__descriptor, "eventproxy.DeviceInfo",
                "deviceId=1 uint32, vendorId=2 uint32, name=3 string" },
        { &eventproxy__input_event__descriptor, "eventproxy.InputEvent",
                "timestamp=1 int64, type=2 uint32, code=3 uint32, value=4 int32" },
        { &eventproxy__ack__descriptor, "eventproxy.Ack", "status=1 string" },

        { &hwid__hw_id_request__descriptor, "hwid.HwIdRequest", "" },
        { &hwid__hw_id_response__descriptor, "hwid.HwIdResponse", "Identifier=1 string" },

        { &ctap__ctap_request__descriptor, "ctap.CtapRequest", "Req=1 string, Args=2[] string, Payload=3 bytes" },
        { &ctap__ctap_response__descriptor, "ctap.CtapResponse", "Output=1 bytes" },

        { &policyadmin__stream_policy_request__descriptor, "policyadmin.StreamPolicyRequest",
                "policy_name=1 string, policy_chunk=2 bytes" },
        { &policyadmin__status__descriptor, "policyadmin.Status", "Status=1 string" },

        { &wifimanager__empty_request__descriptor, "wifimanager.EmptyRequest", "" },
        { &wifimanager__wifi_network_request__descriptor, "wifimanager.WifiNetworkRequest", "NetworkName=1 string" },
        { &wifimanager__wifi_connection_request__descriptor, "wifimanager.WifiConnectionRequest",
                "SSID=1 string, Password=2 string, Settings=3 string" },
        { &wifimanager__access_point__descriptor, "wifimanager.AccessPoint",
                "Connection=1 bool, SSID=2 string, Signal=3 uint32, Security=4 string" },
        { &wifimanager__wifi_network_response__descriptor, "wifimanager.WifiNetworkResponse",
                "networks=1[] wifimanager.AccessPoint" },
        { &wifimanager__wifi_connection_response__descriptor, "wifimanager.WifiConnectionResponse",
                "Response=1 string" },

        { &grpc__health__v1__health_check_request__descriptor, "grpc.health.v1.HealthCheckRequest",
                "service=1 string" },
        { &grpc__health__v1__health_check_response__descriptor, "grpc.health.v1.HealthCheckResponse",
                "status=1 grpc.health.v1.HealthCheckResponse.ServingStatus" },

#define REFLECTION(ID, NAME)                                                                                           \
        { &grpc__reflection__##ID##__server_reflection_request__descriptor, NAME ".ServerReflectionRequest",           \
                "host=1 string, file_by_filename=3| string, file_containing_symbol=4| string, "                        \
                "file_containing_extension=5| " NAME ".ExtensionRequest, "                                             \
                "all_extension_numbers_of_type=6| string, list_services=7| string" },                                  \
        { &grpc__reflection__##ID##__extension_request__descriptor, NAME ".ExtensionRequest",                          \
                "containing_type=1 string, extension_number=2 int32" },                                                \
        { &grpc__reflection__##ID##__server_reflection_response__descriptor, NAME ".ServerReflectionResponse",         \
                "valid_host=1 string, original_request=2 " NAME ".ServerReflectionRequest, "                           \
                "file_descriptor_response=4| " NAME ".FileDescriptorResponse, "                                        \
                "all_extension_numbers_response=5| " NAME ".ExtensionNumberResponse, "                                 \
                "list_services_response=6| " NAME ".ListServiceResponse, error_response=7| " NAME ".ErrorResponse" },  \
        { &grpc__reflection__##ID##__file_descriptor_response__descriptor, NAME ".FileDescriptorResponse",             \
                "file_descriptor_proto=1[] bytes" },                                                                   \
        { &grpc__reflection__##ID##__extension_number_response__descriptor, NAME ".ExtensionNumberResponse",           \
                "base_type_name=1 string, extension_number=2[] int32" },                                               \
        { &grpc__reflection__##ID##__list_service_response__descriptor, NAME ".ListServiceResponse",                   \
                "service=1[] " NAME ".ServiceResponse" },                                                              \
        { &grpc__reflection__##ID##__service_response__descriptor, NAME ".ServiceResponse", "name=1 string" },         \
        { &grpc__reflection__##ID##__error_response__descriptor, NAME ".ErrorResponse",                                \
                "error_code=1 int32, error_message=2 string" }
        REFLECTION(v1, "grpc.reflection.v1"),
        REFLECTION(v1alpha, "grpc.reflection.v1alpha"),
#undef REFLECTION
};
/* clang-format on */

static const char *type_name(const ProtobufCFieldDescriptor *field) {
        switch (field->type) {
        case PROTOBUF_C_TYPE_INT32:
                return "int32";
        case PROTOBUF_C_TYPE_INT64:
                return "int64";
        case PROTOBUF_C_TYPE_UINT32:
                return "uint32";
        case PROTOBUF_C_TYPE_UINT64:
                return "uint64";
        case PROTOBUF_C_TYPE_FLOAT:
                return "float";
        case PROTOBUF_C_TYPE_DOUBLE:
                return "double";
        case PROTOBUF_C_TYPE_BOOL:
                return "bool";
        case PROTOBUF_C_TYPE_ENUM:
                return ((const ProtobufCEnumDescriptor *) field->descriptor)->name;
        case PROTOBUF_C_TYPE_STRING:
                return "string";
        case PROTOBUF_C_TYPE_BYTES:
                return "bytes";
        case PROTOBUF_C_TYPE_MESSAGE:
                return ((const ProtobufCMessageDescriptor *) field->descriptor)->name;
        default:
                return "(a type that the contract does not use)";
        }
}

static const char *label_mark(
                const ProtobufCMessageDescriptor *message, const ProtobufCFieldDescriptor *field) {
        unsigned members = 0;

        if (field->label == PROTOBUF_C_LABEL_REPEATED)
                return "[]";
        if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
                return "";
        /* The members of a oneof share the field that says which of them is set. */
        for (unsigned i = 0; i < message->n_fields; i++)
                if ((message->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                                message->fields[i].quantifier_offset == field->quantifier_offset)
                        members++;
        return members == 1 ? "?" : "|";
}

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size, const char *format, ...) {
        size_t used = strlen(text);
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(text + used, size - used, format, arguments);
        va_end(arguments);
        cr_assert(n >= 0 && (size_t) n < size - used, "text does not fit");
}

Test(proto, messages) {
        for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
                const ProtobufCMessageDescriptor *message = messages[i].descriptor;
                char text[1024] = "";

                for (unsigned j = 0; j < message->n_fields; j++) {
                        const ProtobufCFieldDescriptor *field = &message->fields[j];

                        append(text, sizeof(text), "%s%s=%" PRIu32 "%s %s", j > 0 ? ", " : "", field->name,
                                        field->id, label_mark(message, field), type_name(field));
                }
                cr_expect_str_eq(message->name, messages[i].name);
                cr_expect_str_eq(text, messages[i].fields, "%s: have '%s', want '%s'", message->name, text,
                                messages[i].fields);
        }
}

/* Enumerations */

static void expect_enum(const ProtobufCEnumDescriptor *descriptor, const char *name, const char *want) {
        char text[512] = "";

        for (unsigned i = 0; i < descriptor->n_values; i++)
                append(text, sizeof(text), "%s%s=%d", i > 0 ? ", " : "", descriptor->values[i].name,
                                descriptor->values[i].value);
        cr_expect_str_eq(descriptor->name, name);
        cr_expect_str_eq(text, want, "%s: have '%s', want '%s'", name, text, want);
}

Test(proto, enums) {
        expect_enum(&locale__locale_macro_key__descriptor, "locale.LocaleMacroKey",
                        "LANG=0, LC_ADDRESS=1, LC_COLLATE=2, LC_CTYPE=3, LC_IDENTIFICATION=4, "
                        "LC_MONETARY=5, LC_MESSAGES=6, "
                        "LC_MEASUREMENT=7, LC_NAME=8, LC_NUMERIC=9, LC_PAPER=10, LC_TELEPHONE=11, "
                        "LC_TIME=12, LC_ALL=13");
        expect_enum(&notify__urgency_level__descriptor, "notify.UrgencyLevel",
                        "LOW=0, NORMAL=1, CRITICAL=2");
        expect_enum(&grpc__health__v1__health_check_response__serving_status__descriptor,
                        "grpc.health.v1.HealthCheckResponse.ServingStatus",
                        "UNKNOWN=0, SERVING=1, NOT_SERVING=2, SERVICE_UNKNOWN=3");
}

/* Services. The order of the methods is that of the .proto files; nothing on the wire depends on it. */

struct service_case {
        const ProtobufCServiceDescriptor *descriptor;
        const char *name;
        const char *methods[32]; /* ends with NULL */
};

/* clang-format off */
static const struct service_case services[] = {
        { &admin__admin_service__descriptor, "admin.AdminService",
                { "RegisterService(admin.RegistryRequest) admin.RegistryResponse",
                        "StartApplication(admin.ApplicationRequest) admin.StartResponse",
                        "StartVM(admin.StartVMRequest) admin.StartResponse",
                        "StartService(admin.ServiceRequest) admin.StartResponse",
                        "StopService(admin.ServiceRequest) admin.ApplicationResponse",
                        "PauseApplication(admin.ApplicationRequest) admin.ApplicationResponse",
                        "ResumeApplication(admin.ApplicationRequest) admin.ApplicationResponse",
                        "StopApplication(admin.ApplicationRequest) admin.ApplicationResponse",
                        "SetLocale(admin.LocaleRequest) admin.Empty", "SetTimezone(admin.TimezoneRequest) admin.Empty",
                        "Poweroff(admin.Empty) admin.Empty", "Reboot(admin.Empty) admin.Empty",
                        "Suspend(admin.Empty) admin.Empty", "Wakeup(admin.Empty) admin.Empty",
                        "GetUnitStatus(admin.UnitStatusRequest) systemd.UnitStatus",
                        "GetStats(admin.StatsRequest) stats.StatsResponse",
                        "QueryList(admin.Empty) admin.QueryListResponse",
                        "Watch(admin.Empty) stream admin.WatchItem",
                        "ListGenerations(admin.Empty) admin.ListGenerationsResponse",
                        "SetGeneration(admin.SetGenerationRequest) stream admin.SetGenerationResponse",
                        "NotifyUser(admin.UserNotificationRequest) notify.Status",
                        "Ctap(ctap.CtapRequest) ctap.CtapResponse", "Sysinfo(admin.Empty) stats.SysinfoResponse" } },
        { &systemd__unit_control_service__descriptor, "systemd.UnitControlService",
                { "StartApplication(systemd.AppUnitRequest) systemd.UnitResponse",
                        "StartUnit(systemd.UnitRequest) systemd.UnitResponse",
                        "StopUnit(systemd.UnitRequest) systemd.UnitResponse",
                        "KillUnit(systemd.UnitRequest) systemd.UnitResponse",
                        "FreezeUnit(systemd.UnitRequest) systemd.UnitResponse",
                        "UnfreezeUnit(systemd.UnitRequest) systemd.UnitResponse",
                        "GetUnitStatus(systemd.UnitRequest) systemd.UnitResponse",
                        "MonitorUnit(systemd.UnitResourceRequest) stream systemd.UnitResourceResponse" } },
        { &systemd__unit_watch_service__descriptor, "systemd.UnitWatchService",
                { "WatchUnits(systemd.WatchUnitsRequest) stream systemd.UnitStatus" } },
        { &systemd__unit_manage_service__descriptor, "systemd.UnitManageService",
                { "ManageUnit(systemd.ManageUnitRequest) systemd.UnitDetail",
                        "ListUnits(systemd.ListUnitsRequest) systemd.ListUnitsResponse" } },
        { &logs__logs_service__descriptor, "logs.LogsService",
                { "ReadLogs(logs.LogsRequest) stream logs.LogEntry" } },
        { &admin__fleet_service__descriptor, "admin.FleetService",
                { "ManageUnit(admin.ManageUnitRequest) systemd.UnitDetail",
                        "ListUnits(admin.ListUnitsRequest) systemd.ListUnitsResponse",
                        "WatchUnit(admin.UnitStatusRequest) stream systemd.UnitStatus",
                        "ReadLogs(admin.ReadLogsRequest) stream logs.LogEntry",
                        "Decide(admin.DecideRequest) access.DecideResponse" } },
        { &access__access_service__descriptor, "access.AccessService",
                { "Decide(access.DecideRequest) access.DecideResponse",
                        "WatchDecisions(access.WatchDecisionsRequest) stream access.WatchDecisionsItem" } },
        { &stats__stats_service__descriptor, "stats.StatsService",
                { "GetStats(stats.StatsRequest) stats.StatsResponse",
                        "GetSysinfo(stats.StatsRequest) stats.SysinfoResponse" } },
        { &locale__locale_client__descriptor, "locale.LocaleClient",
                { "LocaleSet(locale.LocaleMessage) locale.Empty",
                        "TimezoneSet(locale.TimezoneMessage) locale.Empty" } },
        { &notify__user_notification_service__descriptor, "notify.UserNotificationService",
                { "NotifyUser(notify.UserNotification) notify.Status" } },
        { &exec__exec__descriptor, "exec.Exec",
                { "RunCommand(stream exec.CommandRequest) stream exec.CommandResponse" } },
        { &socketproxy__socket_stream__descriptor, "socketproxy.SocketStream",
                { "TransferData(stream socketproxy.StreamFrame) stream socketproxy.StreamFrame" } },
        { &eventproxy__event_service__descriptor, "eventproxy.EventService",
                { "RegisterDevice(eventproxy.DeviceInfo) eventproxy.Ack",
                        "StreamEvents(stream eventproxy.InputEvent) eventproxy.Ack" } },
        { &hwid__hwid_service__descriptor, "hwid.HwidService", { "GetHwId(hwid.HwIdRequest) hwid.HwIdResponse" } },
        { &ctap__ctap__descriptor, "ctap.Ctap", { "Ctap(ctap.CtapRequest) ctap.CtapResponse" } },
        { &policyadmin__policy_admin__descriptor, "policyadmin.PolicyAdmin",
                { "StreamPolicy(stream policyadmin.StreamPolicyRequest) policyadmin.Status" } },
        { &wifimanager__wifi_service__descriptor, "wifimanager.WifiService",
                { "ListNetwork(wifimanager.WifiNetworkRequest) wifimanager.WifiNetworkResponse",
                        "GetActiveConnection(wifimanager.EmptyRequest) wifimanager.AccessPoint",
                        "ConnectNetwork(wifimanager.WifiConnectionRequest) wifimanager.WifiConnectionResponse",
                        "DisconnectNetwork(wifimanager.EmptyRequest) wifimanager.WifiConnectionResponse",
                        "TurnOn(wifimanager.EmptyRequest) wifimanager.WifiConnectionResponse",
                        "TurnOff(wifimanager.EmptyRequest) wifimanager.WifiConnectionResponse" } },
        { &grpc__health__v1__health__descriptor, "grpc.health.v1.Health",
                { "Check(grpc.health.v1.HealthCheckRequest) grpc.health.v1.HealthCheckResponse",
                        "Watch(grpc.health.v1.HealthCheckRequest) stream grpc.health.v1.HealthCheckResponse" } },
        { &grpc__reflection__v1__server_reflection__descriptor, "grpc.reflection.v1.ServerReflection",
                { "ServerReflectionInfo(stream grpc.reflection.v1.ServerReflectionRequest) "
                  "stream grpc.reflection.v1.ServerReflectionResponse" } },
        { &grpc__reflection__v1alpha__server_reflection__descriptor, "grpc.reflection.v1alpha.ServerReflection",
                { "ServerReflectionInfo(stream grpc.reflection.v1alpha.ServerReflectionRequest) "
                  "stream grpc.reflection.v1alpha.ServerReflectionResponse" } },
};
/* clang-format on */

static size_t count_methods(const struct service_case *service) {
        size_t n = 0;

        while (service->methods[n])
                n++;
        return n;
}

/* As `text` says, but without its "stream": protobuf-c does not keep that. */
static void without_stream(char *out, size_t size, const char *text) {
        static const char stream[] = "stream ";

        out[0] = '\0';
        while (*text) {
                if (strncmp(text, stream, strlen(stream)) == 0)
                        text += strlen(stream);
                append(out, size, "%c", *text++);
        }
}

Test(proto, methods) {
        for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
                const ProtobufCServiceDescriptor *service = services[i].descriptor;
                size_t n = count_methods(&services[i]);

                cr_expect_str_eq(service->name, services[i].name);
                cr_expect_eq(service->n_methods, n, "%s: %u methods", service->name, service->n_methods);

                for (size_t j = 0; j < n; j++) {
                        const ProtobufCMethodDescriptor *method;
                        char want[256], have[256] = "", name[64] = "";

                        without_stream(want, sizeof(want), services[i].methods[j]);
                        append(name, sizeof(name), "%.*s", (int) strcspn(want, "("), want);
                        method = protobuf_c_service_descriptor_get_method_by_name(service, name);
                        cr_assert_not_null(method, "%s has no %s", service->name, name);
                        append(have, sizeof(have), "%s(%s) %s", method->name, method->input->name,
                                        method->output->name);
                        cr_expect_str_eq(have, want, "have '%s', want '%s'", have, want);
                }
        }
}

/* The embedded descriptor set: what reflection tells, streaming included. */

static bool set_has_method(
                const Givc__Descriptor__FileDescriptorProto *file, const char *service, const char *method) {
        for (size_t i = 0; i < file->n_service; i++) {
                const Givc__Descriptor__ServiceDescriptorProto *s = file->service[i];
                char full[128] = "";

                append(full, sizeof(full), "%s.%s", file->package, s->name);
                if (strcmp(full, service) != 0)
                        continue;
                for (size_t j = 0; j < s->n_method; j++) {
                        const Givc__Descriptor__MethodDescriptorProto *m = s->method[j];
                        char text[256] = "";

                        /* Type names in a descriptor are absolute: they begin with a dot. */
                        append(text, sizeof(text), "%s(%s%s) %s%s", m->name,
                                        m->client_streaming ? "stream " : "", m->input_type + 1,
                                        m->server_streaming ? "stream " : "", m->output_type + 1);
                        if (strcmp(text, method) == 0)
                                return true;
                }
        }
        return false;
}

Test(proto, descriptor_set) {
        enum { FILES_MAX = 32 };
        Givc__Descriptor__FileDescriptorProto *files[FILES_MAX] = {};
        Givc__Descriptor__FileDescriptorSet *set;
        size_t n_services = 0;

        set = givc__descriptor__file_descriptor_set__unpack(NULL, givc_descriptors_size(), givc_descriptors);
        cr_assert_not_null(set);
        cr_assert_eq(set->n_file, 17);

        for (size_t i = 0; i < set->n_file; i++) {
                files[i] = givc__descriptor__file_descriptor_proto__unpack(
                                NULL, set->file[i].len, set->file[i].data);
                cr_assert_not_null(files[i]);
                cr_expect_str_neq(files[i]->package, "givc.descriptor");
                n_services += files[i]->n_service;

                /* An imported file comes before the one that imports it. */
                for (size_t j = 0; j < files[i]->n_dependency; j++) {
                        bool found = false;

                        for (size_t k = 0; k < i; k++)
                                found = found || strcmp(files[k]->name, files[i]->dependency[j]) == 0;
                        cr_expect(found, "%s imports %s", files[i]->name, files[i]->dependency[j]);
                }
        }
        cr_expect_eq(n_services, sizeof(services) / sizeof(services[0]));

        for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
                for (size_t j = 0; j < count_methods(&services[i]); j++) {
                        bool found = false;

                        for (size_t k = 0; k < set->n_file; k++)
                                found = found ||
                                                set_has_method(files[k], services[i].name,
                                                                services[i].methods[j]);
                        cr_expect(found, "%s: no %s", services[i].name, services[i].methods[j]);
                }

        for (size_t i = 0; i < set->n_file; i++)
                givc__descriptor__file_descriptor_proto__free_unpacked(files[i], NULL);
        givc__descriptor__file_descriptor_set__free_unpacked(set, NULL);
}

/* Bytes on the wire, as hexadecimal digits; blanks in what a test wants are for its reader. */

static void expect_packed(const ProtobufCMessage *message, const char *want) {
        char have_digits[512] = "", want_digits[512] = "";
        uint8_t packed[128];
        size_t n = protobuf_c_message_get_packed_size(message);

        cr_assert_leq(n, sizeof(packed));
        cr_assert_eq(protobuf_c_message_pack(message, packed), n);
        for (size_t i = 0; i < n; i++)
                append(have_digits, sizeof(have_digits), "%02x", packed[i]);
        for (const char *c = want; *c; c++)
                if (*c != ' ')
                        append(want_digits, sizeof(want_digits), "%c", *c);
        cr_expect_str_eq(have_digits, want_digits, "%s: have %s, want %s", message->descriptor->name,
                        have_digits, want_digits);
}

Test(proto, presence_of_string) {
        Admin__ApplicationRequest request = ADMIN__APPLICATION_REQUEST__INIT;
        char *args[] = { (char *) "", (char *) "-n" };

        request.appname = (char *) "app";
        expect_packed(&request.base, "0a03 617070");

        request.vm_name_presence_case = ADMIN__APPLICATION_REQUEST__VM_NAME_PRESENCE_VM_NAME;
        request.vmname = (char *) "";
        expect_packed(&request.base, "0a03 617070 1200");

        request.vmname = (char *) "vm";
        request.args = args;
        request.n_args = 2;
        expect_packed(&request.base, "0a03 617070 1202 766d 1a00 1a02 2d6e");
}

Test(proto, presence_of_string_unpacked) {
        Admin__ApplicationRequest *request;

        request = admin__application_request__unpack(NULL, 0, NULL);
        cr_assert_not_null(request);
        cr_expect_eq(request->vm_name_presence_case, ADMIN__APPLICATION_REQUEST__VM_NAME_PRESENCE__NOT_SET);
        cr_expect_str_empty(request->appname);
        admin__application_request__free_unpacked(request, NULL);

        request = admin__application_request__unpack(NULL, 2, (const uint8_t *) "\x12\x00");
        cr_assert_not_null(request);
        cr_expect_eq(request->vm_name_presence_case, ADMIN__APPLICATION_REQUEST__VM_NAME_PRESENCE_VM_NAME);
        cr_expect_str_empty(request->vmname);
        admin__application_request__free_unpacked(request, NULL);
}

Test(proto, presence_of_bytes) {
        Exec__StartCommand start = EXEC__START_COMMAND__INIT;
        Exec__StartCommand *back;

        start.command = (char *) "cat";
        expect_packed(&start.base, "0a03 636174");

        start.stdin_presence_case = EXEC__START_COMMAND__STDIN_PRESENCE_STDIN;
        expect_packed(&start.base, "0a03 636174 2a00");

        start.stdin.data = (uint8_t *) "hi";
        start.stdin.len = 2;
        expect_packed(&start.base, "0a03 636174 2a02 6869");

        back = exec__start_command__unpack(NULL, 2, (const uint8_t *) "\x2a\x00");
        cr_assert_not_null(back);
        cr_expect_eq(back->stdin_presence_case, EXEC__START_COMMAND__STDIN_PRESENCE_STDIN);
        cr_expect_eq(back->stdin.len, 0);
        exec__start_command__free_unpacked(back, NULL);
}

Test(proto, presence_of_bool) {
        Stats__SysinfoResponse info = STATS__SYSINFO_RESPONSE__INIT;

        info.ghafversion = (char *) "1";
        expect_packed(&info.base, "0a01 31");

        info.secure_boot_presence_case = STATS__SYSINFO_RESPONSE__SECURE_BOOT_PRESENCE_SECURE_BOOT;
        info.secureboot = false;
        info.disk_encrypted_presence_case = STATS__SYSINFO_RESPONSE__DISK_ENCRYPTED_PRESENCE_DISK_ENCRYPTED;
        info.diskencrypted = true;
        expect_packed(&info.base, "0a01 31 1000 1801");
}

Test(proto, liveness_is_far_from_the_deployed_fields) {
        Admin__QueryListItem item = ADMIN__QUERY_LIST_ITEM__INIT;

        item.name = (char *) "x";
        item.agent_name_presence_case = ADMIN__QUERY_LIST_ITEM__AGENT_NAME_PRESENCE_AGENT_NAME;
        item.agentname = (char *) "a";
        item.online_presence_case = ADMIN__QUERY_LIST_ITEM__ONLINE_PRESENCE_ONLINE;
        item.online = false;
        item.since = 300;
        expect_packed(&item.base, "0a01 78 4201 61 a00600 a806ac02");
}

Test(proto, oneof_of_messages) {
        Exec__CommandRequest request = EXEC__COMMAND_REQUEST__INIT;
        Exec__CommandIO input = EXEC__COMMAND_IO__INIT;
        Exec__SignalCommand kill = EXEC__SIGNAL_COMMAND__INIT;

        expect_packed(&request.base, "");

        request.command_case = EXEC__COMMAND_REQUEST__COMMAND_STDIN;
        request.stdin = &input;
        expect_packed(&request.base, "1200");

        kill.signal = 15;
        request.command_case = EXEC__COMMAND_REQUEST__COMMAND_SIGNAL;
        request.signal = &kill;
        expect_packed(&request.base, "1a02080f");
}

Test(proto, map_is_repeated_entries) {
        Exec__StartCommand start = EXEC__START_COMMAND__INIT;
        Exec__StartCommand__EnvVarsEntry entry = EXEC__START_COMMAND__ENV_VARS_ENTRY__INIT;
        Exec__StartCommand__EnvVarsEntry *entries[] = { &entry };

        entry.key = (char *) "K";
        entry.value = (char *) "v";
        start.envvars = entries;
        start.n_envvars = 1;
        expect_packed(&start.base, "2206 0a01 4b 1201 76");
}

Test(proto, numbers) {
        Systemd__UnitResourceResponse usage = SYSTEMD__UNIT_RESOURCE_RESPONSE__INIT;
        Eventproxy__InputEvent event = EVENTPROXY__INPUT_EVENT__INIT;
        Locale__LocaleAssignment assignment = LOCALE__LOCALE_ASSIGNMENT__INIT;

        usage.cpu_usage = 1.0;
        usage.memory_usage = 0.5F;
        expect_packed(&usage.base, "09000000000000f03f 150000003f");

        /* Signed without zigzag: negative numbers take ten bytes. */
        event.timestamp = 1;
        event.type = 2;
        event.value = -1;
        expect_packed(&event.base, "0801 1002 20ffffffffffffffffff01");

        assignment.key = LOCALE__LOCALE_MACRO_KEY__LC_ALL;
        assignment.value = (char *) "C";
        expect_packed(&assignment.base, "080d 1201 43");
}

/* Fields of a newer peer are not an error. */
Test(proto, unknown_fields_are_skipped) {
        Systemd__UnitRequest *request;

        request = systemd__unit_request__unpack(NULL, 7, (const uint8_t *) "\x0a\x01u\xa0\x06\xac\x02");
        cr_assert_not_null(request);
        cr_expect_str_eq(request->unitname, "u");
        systemd__unit_request__free_unpacked(request, NULL);
}
