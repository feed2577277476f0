/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon-object.h"

#include "authorize.h"
#include "bytestream.h"
#include "log.h"
#include "quota.h"
#include "text.h"

#define DAEMON_INTERFACE      "org.ghaf.Givc1.Daemon"
#define LOG_CONTROL_PATH      "/org/freedesktop/LogControl1"
#define LOG_CONTROL_INTERFACE "org.freedesktop.LogControl1"

#define ACTION_RELOAD    "org.ghaf.givc1.reload"
#define ACTION_LOG_LEVEL "org.ghaf.givc1.set-log-level"

/*
 * Signals that wait for a bus daemon that reads nothing: half of the largest registry changes at once, which
 * is some 8 MiB. Past it we leave the bus and come back, and who follows us sees that our name has another
 * owner.
 */
#define QUEUE_MAX 8192

/*
 * Answers that wait for a bus daemon that is busy with others: whoever asks and asks, and may do no more,
 * would have us hold as many as it likes. Past them calls get an error, which is small, and then nothing. Of
 * answers that hold a whole registry, which are up to 20 MiB, only one waits, and of those that name all its
 * objects a few.
 */
#define ANSWERS_MAX      256
#define ERRORS_MAX       4096
#define ANSWERS_LIST_MAX 8
#define ANSWERS_ALL_MAX  1

/*
 * Any user of this machine may ask: they have their turn with the peers that take the most, and whoever is
 * in a handshake goes before them.
 */
#define PRIORITY (BYTESTREAM_HANDSHAKE_PRIORITY + QUOTA_RANK_LAST)

/* Peers that come and go are told of together: a fleet that starts has hundreds. */
#define PEERS_DELAY_USEC (200 * USEC_PER_MSEC)

/* Of RequestName's answers (D-Bus specification) the one that is not success, and no error either. */
#define NAME_IN_QUEUE 2

struct daemon_object {
        struct bus *bus;
        struct daemon_object_config config;
        struct authorizer *authorizer;
        uint64_t started_usec; /* CLOCK_REALTIME */
        bool published;
        unsigned answers, lists, alls; /* that were given since none waited */
        sd_event_source *peers;        /* on while a change is to be told */
        sd_bus_slot *name;             /* while it is asked for */
        int logged_error;              /* why the name is not ours, as it was logged last */
};

const char *daemon_object_text(const char *text) {
        text = strempty(text);
        return text_is_utf8(text, strlen(text)) ? text : "?";
}

/* ---- reading ---- */

static int get_version(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct daemon_object *object = userdata;

        return sd_bus_message_append(reply, "s", object->config.version);
}

static int get_tls(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct daemon_object *object = userdata;

        return sd_bus_message_append(reply, "b", object->config.tls);
}

static int get_access_control(sd_bus *connection, const char *path, const char *interface,
                const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct daemon_object *object = userdata;

        return sd_bus_message_append(reply, "b", object->config.access_control);
}

static int get_log_level(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", log_level_name(log_get_max_level()));
}

static int get_log_target(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", log_get_target());
}

static int get_identifier(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct daemon_object *object = userdata;

        return sd_bus_message_append(reply, "s", object->config.identifier);
}

struct peers {
        sd_bus_message *reply;
        int error;
};

static void append_peer(const struct rpc_peer *peer, void *userdata) {
        struct peers *peers = userdata;

        if (peers->error >= 0)
                peers->error = sd_bus_message_append(peers->reply, "(sstt)",
                                peer->identity ? daemon_object_text(peer->identity->name) : "",
                                daemon_object_text(peer->host), peer->since_usec, peer->calls);
}

static int get_peers(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct daemon_object *object = userdata;
        struct peers peers = { .reply = reply };
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(sstt)");
        if (r < 0)
                return r;
        rpc_server_foreach_peer(object->config.server, append_peer, &peers);
        return peers.error < 0 ? peers.error : sd_bus_message_close_container(reply);
}

static uint64_t counter_value(const struct rpc_server_counters *c, const char *property) {
        const struct {
                const char *property;
                uint64_t value;
        } counters[] = {
                { "Connections", c->connections },
                { "ConnectionsOpen", c->connections_now },
                { "Handshakes", c->handshakes },
                { "Calls", c->calls },
                { "CallsInProgress", c->calls_now },
                { "CallErrors", c->failures },
                { "QueuedBytes", c->queued_bytes },
        };
        uint64_t refused = 0;

        for (size_t i = 0; i < ELEMENTSOF(counters); i++)
                if (streq(counters[i].property, property))
                        return counters[i].value;
        for (size_t i = 0; i < ELEMENTSOF(c->refused); i++)
                refused += c->refused[i];
        return refused; /* "ConnectionsRefused", the one that is left */
}

static int get_counter(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct daemon_object *object = userdata;
        struct rpc_server_counters counters;

        rpc_server_get_counters(object->config.server, &counters);
        return sd_bus_message_append(reply, "t", counter_value(&counters, property));
}

/* ---- writing ---- */

static void reload_allowed(sd_bus_message *call, uint32_t uid, void *userdata) {
        struct daemon_object *object = userdata;
        int r;

        log_notice("User %u asks over D-Bus to reload.", uid);
        r = object->config.reload(object->config.userdata);
        if (r < 0)
                (void) sd_bus_reply_method_errorf(call, SD_BUS_ERROR_FAILED,
                                "Not reloaded: %s. What was in force stays so; the journal says more.",
                                strerror(-r));
        else
                (void) sd_bus_reply_method_return(call, NULL);
}

static int on_reload(sd_bus_message *call, void *userdata, sd_bus_error *error) {
        struct daemon_object *object = userdata;

        return authorizer_ask(object->authorizer, call, ACTION_RELOAD, reload_allowed, object);
}

/* The level in a call: SetLogLevel(s), or Set(ssv) of the property. */
static int read_level(sd_bus_message *call, int *ret) {
        const char *name;
        int r;

        r = sd_bus_message_rewind(call, true);
        if (r < 0)
                return r;
        if (sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "Set"))
                r = sd_bus_message_read(call, "ssv", NULL, NULL, "s", &name);
        else
                r = sd_bus_message_read(call, "s", &name);
        if (r < 0)
                return r;
        *ret = log_level_from_name(name);
        return MIN(*ret, 0);
}

static void level_allowed(sd_bus_message *call, uint32_t uid, void *userdata) {
        struct daemon_object *object = userdata;
        sd_bus *connection = bus_connection(object->bus);
        int level;

        if (read_level(call, &level) < 0)
                return; /* it was readable when we asked whether it may */
        log_notice("User %u sets over D-Bus the log's level to %s.", uid, log_level_name(level));
        if (level != log_get_max_level()) {
                log_set_max_level(level);
                (void) sd_bus_emit_properties_changed(
                                connection, DAEMON_OBJECT_PATH, DAEMON_INTERFACE, "LogLevel", NULL);
                (void) sd_bus_emit_properties_changed(
                                connection, LOG_CONTROL_PATH, LOG_CONTROL_INTERFACE, "LogLevel", NULL);
        }
        (void) sd_bus_reply_method_return(call, NULL);
}

static int on_set_log_level(sd_bus_message *call, void *userdata, sd_bus_error *error) {
        struct daemon_object *object = userdata;
        int level, r;

        r = read_level(call, &level);
        if (r < 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                "That is no level. There are: emerg, alert, crit, err, warning, notice, "
                                "info, debug.");
        return authorizer_ask(object->authorizer, call, ACTION_LOG_LEVEL, level_allowed, object);
}

/*
 * Comes before the vtables. To set a property as sd-bus does it cannot wait for an authorization: so what
 * sets the level is taken here.
 */
static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error) {
        const char *interface, *property;

        if (!sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "Set") ||
                        sd_bus_message_read(call, "ss", &interface, &property) < 0 ||
                        !streq(property, "LogLevel") ||
                        (!streq(interface, DAEMON_INTERFACE) && !streq(interface, LOG_CONTROL_INTERFACE)))
                return 0;
        return on_set_log_level(call, userdata, error);
}

static int set_nothing(sd_bus *connection, const char *path, const char *interface, const char *property,
                sd_bus_message *value, void *userdata, sd_bus_error *error) {
        return -EPERM; /* on_call() has taken it */
}

#define COUNTER(name) SD_BUS_PROPERTY(name, "t", get_counter, 0, 0)

static const sd_bus_vtable daemon_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("StartedAt", "t", NULL, offsetof(struct daemon_object, started_usec),
                        SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Tls", "b", get_tls, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("AccessControl", "b", get_access_control, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_log_level, set_nothing, 0,
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE | SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Peers", "a(sstt)", get_peers, 0, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        COUNTER("Connections"),
        COUNTER("ConnectionsOpen"),
        COUNTER("ConnectionsRefused"),
        COUNTER("Handshakes"),
        COUNTER("Calls"),
        COUNTER("CallsInProgress"),
        COUNTER("CallErrors"),
        COUNTER("QueuedBytes"),
        SD_BUS_METHOD_WITH_NAMES("SetLogLevel", "s", SD_BUS_PARAM(level), "", , on_set_log_level,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Reload", "", "", on_reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* org.freedesktop.LogControl1(5) */
static const sd_bus_vtable log_control_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_log_level, set_nothing, 0,
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE | SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("LogTarget", "s", get_log_target, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

/* ---- answers that wait ---- */

static int answer_if_few(unsigned *answers, unsigned most, sd_bus_error *error) {
        if (*answers >= most)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "Others are being answered. Ask again in a moment.");
        (*answers)++;
        return 0;
}

/* Before any call is looked at. 0: it is to be answered; 1: it is not; or an error, which is the answer. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct daemon_object *object = userdata;
        uint64_t waiting;

        if (!sd_bus_message_is_method_call(message, NULL, NULL))
                return 0;
        if (sd_bus_get_n_queued_write(sd_bus_message_get_bus(message), &waiting) < 0)
                waiting = 0;
        if (waiting == 0)
                object->answers = object->lists = object->alls = 0;
        /* Not how many have come: a queue that empties slowly has room for who is no part of the flood. */
        if (waiting > ERRORS_MAX)
                return 1;
        if (sd_bus_message_is_method_call(message, NULL, "GetManagedObjects"))
                return !sd_bus_message_get_expect_reply(message)
                                ? 1
                                : answer_if_few(&object->alls, ANSWERS_ALL_MAX, error);
        if (sd_bus_message_is_method_call(message, NULL, "Introspect"))
                return answer_if_few(&object->lists, ANSWERS_LIST_MAX, error);
        return answer_if_few(&object->answers, ANSWERS_MAX, error);
}

/* ---- objects below ---- */

int daemon_object_path(const char *kind, const char *name, char **ret_path) {
        _cleanup_(freep) char *prefix = text_printf("%s/%s", DAEMON_OBJECT_PATH, kind);

        return prefix ? sd_bus_path_encode(prefix, name, ret_path) : -ENOMEM;
}

int daemon_object_paths_begin(struct daemon_object_paths *paths, const char *kind, size_t n_max) {
        *paths = (struct daemon_object_paths){ .kind = kind, .list = calloc(n_max + 1, sizeof(char *)) };
        return paths->list ? 0 : -ENOMEM;
}

void daemon_object_paths_add(struct daemon_object_paths *paths, const char *name) {
        if (paths->error < 0)
                return;
        paths->error = daemon_object_path(paths->kind, name, &paths->list[paths->n]);
        if (paths->error >= 0)
                paths->n++;
}

int daemon_object_paths_end(struct daemon_object_paths *paths, char ***ret) {
        if (paths->error < 0) {
                for (size_t i = 0; i < paths->n; i++)
                        free(paths->list[i]);
                free(paths->list);
                return paths->error;
        }
        *ret = paths->list;
        return 0;
}

int daemon_object_find(const char *kind, const char *path, char **ret_name) {
        _cleanup_(freep) char *prefix = text_printf("%s/%s", DAEMON_OBJECT_PATH, kind);
        int r;

        if (!prefix)
                return -ENOMEM;
        r = sd_bus_path_decode(path, prefix, ret_name);
        return r == 0 ? -ENOENT : r;
}

sd_bus *daemon_object_connection(const struct daemon_object *object) {
        sd_bus *connection = object && object->published ? bus_connection(object->bus) : NULL;
        uint64_t queued;

        if (!connection || sd_bus_get_n_queued_write(connection, &queued) < 0)
                return NULL;
        if (queued <= QUEUE_MAX)
                return connection;
        bus_drop(object->bus);
        return NULL;
}

void daemon_object_added(const struct daemon_object *object, const char *kind, const char *name) {
        sd_bus *connection = daemon_object_connection(object);
        _cleanup_(freep) char *path = NULL;

        if (connection && daemon_object_path(kind, name, &path) >= 0)
                (void) sd_bus_emit_object_added(connection, path);
}

void daemon_object_removed(const struct daemon_object *object, const char *kind, const char *name) {
        sd_bus *connection = daemon_object_connection(object);
        _cleanup_(freep) char *path = NULL;

        if (connection && daemon_object_path(kind, name, &path) >= 0)
                (void) sd_bus_emit_object_removed(connection, path);
}

void daemon_object_changed(const struct daemon_object *object, const char *kind, const char *name,
                const char *interface, const char *const *properties) {
        sd_bus *connection = daemon_object_connection(object);
        _cleanup_(freep) char *path = NULL;

        if (connection && daemon_object_path(kind, name, &path) >= 0)
                (void) sd_bus_emit_properties_changed_strv(
                                connection, path, interface, (char **) properties);
}

static int on_peers(sd_event_source *source, uint64_t usec, void *userdata) {
        sd_bus *connection = daemon_object_connection(userdata);

        if (connection)
                (void) sd_bus_emit_properties_changed(
                                connection, DAEMON_OBJECT_PATH, DAEMON_INTERFACE, "Peers", NULL);
        return 0;
}

void daemon_object_peers_changed(const struct daemon_object *object) {
        int enabled;

        if (sd_event_source_get_enabled(object->peers, &enabled) < 0 || enabled != SD_EVENT_OFF)
                return;
        if (sd_event_source_set_time_relative(object->peers, PEERS_DELAY_USEC) >= 0)
                (void) sd_event_source_set_enabled(object->peers, SD_EVENT_ONESHOT);
}

/* ---- on the bus ---- */

static int on_name(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error) {
        struct daemon_object *object = userdata;
        uint32_t result = 0;
        int error = 0;

        object->name = sd_bus_slot_unref(object->name);
        if (sd_bus_message_is_method_error(answer, NULL))
                error = sd_bus_message_get_errno(answer);
        else if (sd_bus_message_read(answer, "u", &result) < 0)
                error = EBADMSG;
        else if (result == NAME_IN_QUEUE)
                log_info("%s is another's on the bus; it is ours when that one leaves.",
                                object->config.name);
        if (error != 0 && error != object->logged_error)
                log_warning_errno(-error, "Cannot be %s on the bus, so nobody can look at us there",
                                object->config.name);
        object->logged_error = error;
        return 0;
}

static int publish(struct daemon_object *object, sd_bus *connection) {
        int r;

        r = sd_bus_add_filter(connection, NULL, on_message, object);
        if (r >= 0)
                r = sd_bus_add_object(connection, NULL, DAEMON_OBJECT_PATH, on_call, object);
        if (r >= 0)
                r = sd_bus_add_object(connection, NULL, LOG_CONTROL_PATH, on_call, object);
        if (r >= 0)
                r = sd_bus_add_object_vtable(connection, NULL, DAEMON_OBJECT_PATH, DAEMON_INTERFACE,
                                daemon_vtable, object);
        if (r >= 0)
                r = sd_bus_add_object_vtable(connection, NULL, LOG_CONTROL_PATH, LOG_CONTROL_INTERFACE,
                                log_control_vtable, object);
        if (r >= 0)
                r = sd_bus_add_object_manager(connection, NULL, DAEMON_OBJECT_PATH);
        if (r >= 0)
                r = object->config.publish(connection, object->config.userdata);
        if (r >= 0)
                r = sd_bus_request_name_async(connection, &object->name, object->config.name,
                                SD_BUS_NAME_QUEUE, on_name, object);
        return r;
}

static void on_connected(struct bus *bus, void *userdata) {
        struct daemon_object *object = userdata;
        int r;

        object->name = sd_bus_slot_unref(object->name);
        r = publish(object, bus_connection(bus));
        object->published = r >= 0;
        if (r < 0)
                log_warning_errno(r, "Cannot show ourselves on the bus");
}

static void on_lost(struct bus *bus, void *userdata) {
        struct daemon_object *object = userdata;

        object->published = false;
        object->name = sd_bus_slot_unref(object->name);
        authorizer_drop(object->authorizer);
}

static const struct bus_listener bus_listener = { .connected = on_connected, .lost = on_lost };

/* ---- life ---- */

int daemon_object_new(struct daemon_object **ret, sd_event *event, enum bus_kind kind,
                const struct daemon_object_config *config) {
        _cleanup_(daemon_object_freep) struct daemon_object *object = NULL;
        int r;

        object = malloc(sizeof(*object));
        if (!object)
                return -ENOMEM;
        *object = (struct daemon_object){
                .config = *config,
                .started_usec = now_usec(CLOCK_REALTIME),
        };
        r = bus_new(&object->bus, event, kind);
        if (r < 0)
                return r;
        bus_set_priority(object->bus, PRIORITY);
        r = authorizer_new(&object->authorizer, object->bus);
        if (r < 0)
                return r;
        r = bus_add_listener(object->bus, &bus_listener, object);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &object->peers, CLOCK_MONOTONIC, 0, 0, on_peers, object);
        if (r >= 0)
                r = sd_event_source_set_enabled(object->peers, SD_EVENT_OFF);
        if (r < 0)
                return r;
        bus_start(object->bus);
        *ret = TAKE_PTR(object);
        return 0;
}

struct daemon_object *daemon_object_free(struct daemon_object *object) {
        if (!object)
                return NULL;
        sd_event_source_disable_unref(object->peers);
        sd_bus_slot_unref(object->name);
        authorizer_free(object->authorizer);
        bus_free(object->bus);
        free(object);
        return NULL;
}
