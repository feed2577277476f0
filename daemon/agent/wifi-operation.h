/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A call of the Wi-Fi service that is under way: wifi.c has the short ones, wifi-connect.c the long one. */

#include "call.h"
#include "manager.h"
#include "wifi-networks.h"
#include "wifi-settings.h"

#include "wifimanager.pb-c.h"

#define NM_NAME       "org.freedesktop.NetworkManager"
#define NM_PATH       "/org/freedesktop/NetworkManager"
#define NM_CONNECTION NM_NAME ".Settings.Connection"
#define NM_ACTIVE     NM_NAME ".Connection.Active"

/* In the arena of its call, and goes with it. */
struct wifi_operation {
        struct manager *manager;
        struct rpc_call *call;
        const ProtobufCMessage *request;
        const char *what;     /* "cannot …": begins the message of a failure */
        sd_bus_slot *pending; /* the one call of ours to NetworkManager */
        struct wifi_networks networks;
        void (*next)(struct wifi_operation *operation); /* when they are known */

        /* of ConnectNetwork */
        const struct wifi_device *device;
        const struct wifi_access_point *point;
        struct wifi_profile profile;
        json_t *settings;
        size_t n_looked_at;     /* of the device's profiles */
        const char *connection; /* the path of the profile in use */
        const char *active;     /* and of its use */
        bool added;             /* the profile is new: it goes if it does not work */
        sd_bus_slot *matches[2];
        sd_event_source *deadline;
};

void wifi_operation_fail(struct wifi_operation *operation, enum rpc_code code, const char *format, ...)
                _printf_(3, 4);
/* By what NetworkManager says, under its name for it. */
void wifi_operation_fail_bus(struct wifi_operation *operation, const sd_bus_error *error);
void wifi_operation_fail_errno(struct wifi_operation *operation, int error);
void wifi_operation_reply(struct wifi_operation *operation, const char *format, ...) _printf_(2, 3);

/* Begins a message to NetworkManager. 0 or a negative errno. */
int wifi_operation_message(struct wifi_operation *operation, sd_bus_message **ret, const char *path,
                const char *interface, const char *method);
/* Sends it. What fails ends the operation; answered is told of nothing then. */
void wifi_operation_ask(
                struct wifi_operation *operation, sd_bus_message *m, sd_bus_message_handler_t answered);

/* wifi-connect.c: the networks are known. */
void wifi_connect(struct wifi_operation *operation);
