/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a daemon of ours shows of itself on the bus (org.ghaf.Givc1(5)): a name that it owns, the object
 * /org/ghaf/Givc1 with the interface org.ghaf.Givc1.Daemon and an object manager, and systemd's
 * org.freedesktop.LogControl1. Put there again whenever the bus is back; a bus that is not there is missed
 * by nobody. The connection is its own, as everybody may ask there: what we ask of others must not wait
 * behind that.
 */

#include "bus.h"
#include "server.h"

#define DAEMON_OBJECT_PATH "/org/ghaf/Givc1"

struct daemon_object;

struct daemon_object_config {
        const char *name;       /* to own: "org.ghaf.Givc1.Admin" */
        const char *identifier; /* of our lines in the journal: "givc-admin" */
        const char *version;
        bool tls, access_control;
        struct rpc_server *server;
        /* Reads everything again; negative errno: what was in force stays so. */
        int (*reload)(void *userdata);
        /* Adds what else there is to see, in floating slots. 0 or a negative errno. */
        int (*publish)(sd_bus *connection, void *userdata);
        void *userdata;
};

/* Joins the bus as soon as the loop runs. Texts of config must last. 0 or a negative errno. */
int daemon_object_new(struct daemon_object **ret, sd_event *event, enum bus_kind kind,
                const struct daemon_object_config *config);
struct daemon_object *daemon_object_free(struct daemon_object *object);
DEFINE_CLEANUP(struct daemon_object, daemon_object_free)

/* The connection for signals, if what is published is there and the bus takes any; else NULL. object may be
 * NULL. */
sd_bus *daemon_object_connection(const struct daemon_object *object);

/* A peer of the server has come, or gone: who listens is told that Peers is another. */
void daemon_object_peers_changed(const struct daemon_object *object);

/* Objects below ours, by a name of any characters: <DAEMON_OBJECT_PATH>/<kind>/<name, encoded>. */
int daemon_object_find(const char *kind, const char *path, char **ret_name);
int daemon_object_path(const char *kind, const char *name, char **ret_path);
/* The paths of what is there, for an sd_bus_node_enumerator_t. n_max: at most so many are added. */
struct daemon_object_paths {
        const char *kind;
        char **list;
        size_t n;
        int error;
};

int daemon_object_paths_begin(struct daemon_object_paths *paths, const char *kind, size_t n_max);
void daemon_object_paths_add(struct daemon_object_paths *paths, const char *name);
/* NULL-terminated, for sd-bus to free; or the first error, and nothing is left. */
int daemon_object_paths_end(struct daemon_object_paths *paths, char ***ret);
/* What signals about one say; nothing where there is no connection. names: NULL-terminated. */
void daemon_object_added(const struct daemon_object *object, const char *kind, const char *name);
void daemon_object_removed(const struct daemon_object *object, const char *kind, const char *name);
void daemon_object_changed(const struct daemon_object *object, const char *kind, const char *name,
                const char *interface, const char *const *properties);

/* text, or "?" where it is not fit for the bus, which disconnects whoever sends what is not UTF-8. */
const char *daemon_object_text(const char *text);
