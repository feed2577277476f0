/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "notify.h"
#include "call.h"
#include "log.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* All texts of one together. JSON can take six times that, which a socket still takes at once. */
#define TEXT_BYTES_MAX (16 * 1024)
/* A person's session has one that listens or two. */
#define SOCKETS_MAX 32
/* What else its directory may hold, which its owner may fill: sockets that nobody listens to any more, say.
 */
#define ENTRIES_MAX 256

/* ---- what is said ---- */

static int set_text(json_t *object, const char *key, const char *value) {
        return isempty(value) ? 0 : json_object_set_new(object, key, json_string(value));
}

/* A number that has no name stays a number. */
static json_t *urgency_json(Notify__UrgencyLevel urgency) {
        const ProtobufCEnumValue *value =
                        protobuf_c_enum_descriptor_get_value(&notify__urgency_level__descriptor, urgency);

        return value ? json_string(value->name) : json_integer(urgency);
}

static int fill(json_t *object, const Notify__UserNotification *notification) {
        int r;

        r = set_text(object, "Event", notification->event);
        if (r == 0)
                r = set_text(object, "Title", notification->title);
        if (r == 0 && notification->urgency != NOTIFY__URGENCY_LEVEL__LOW)
                r = json_object_set_new(object, "Urgency", urgency_json(notification->urgency));
        if (r == 0)
                r = set_text(object, "Icon", notification->icon);
        return r == 0 ? set_text(object, "Message", notification->message) : r;
}

char *notify_json(const Notify__UserNotification *notification) {
        json_t *object = json_object();
        char *text = NULL;

        if (object && fill(object, notification) == 0)
                text = json_dumps(object, JSON_COMPACT);
        json_decref(object);
        return text;
}

static size_t text_bytes(const Notify__UserNotification *notification) {
        return strlen(notification->event) + strlen(notification->title) + strlen(notification->icon) +
                        strlen(notification->message);
}

/* ---- to whom ---- */

/*
 * The socket itself, found without following links, is what is connected to: its directory may be writable
 * by others. 0; 1: it is no socket, or nobody listens; or a negative errno.
 */
static int open_socket(int directory, const char *name, struct sockaddr_un *ret, int *ret_fd) {
        _cleanup_(closep) int fd = -1;
        struct stat st;

        fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 1 : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISSOCK(st.st_mode))
                return 1;
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d", fd);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Without waiting: who does not take it at once does not listen as one should. As open_socket(). */
static int tell_socket(int directory, const char *name, const char *text) {
        _cleanup_(closep) int fd = -1, path_fd = -1;
        struct sockaddr_un address;
        size_t n = strlen(text);
        ssize_t k;
        int r;

        r = open_socket(directory, name, &address, &path_fd);
        if (r != 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return errno == ECONNREFUSED ? 1 : -errno;
        k = send(fd, text, n, MSG_NOSIGNAL);
        if (k < 0)
                return -errno;
        return (size_t) k == n ? 0 : -EAGAIN;
}

static void closedirp(DIR **directory) {
        if (*directory)
                closedir(*directory);
}

struct outcome {
        size_t told, failed, entries;
        int error; /* of the last that failed */
};

static int tell_all(const char *path, const char *text, struct outcome *outcome) {
        _cleanup_(closedirp) DIR *directory = opendir(path);
        struct dirent *entry;

        if (!directory)
                return errno == ENOENT ? 0 : -errno;
        while (outcome->told + outcome->failed < SOCKETS_MAX && (entry = readdir(directory))) {
                int r;

                if (++outcome->entries > ENTRIES_MAX)
                        break;
                if (entry->d_type != DT_SOCK && entry->d_type != DT_UNKNOWN)
                        continue;
                r = tell_socket(dirfd(directory), entry->d_name, text);
                outcome->told += r == 0;
                outcome->failed += r < 0;
                outcome->error = r < 0 ? r : outcome->error;
        }
        return 0;
}

/* ---- the call ---- */

static void finish(struct rpc_call *call, const struct outcome *outcome) {
        const struct log_fields fields = {
                .method = rpc_call_path(call) + 1,
                .peer = rpc_call_peer(call)->name,
        };
        Notify__Status status = NOTIFY__STATUS__INIT;

        if (outcome->failed > 0 && outcome->told == 0) {
                rpc_call_fail(call, RPC_UNAVAILABLE, "none of %zu sockets takes the notification: %s",
                                outcome->failed, strerror(-outcome->error));
                return;
        }
        log_event(LOG_DEBUG, &fields, "%s: notification handed to %zu sockets, %zu failed.", fields.peer,
                        outcome->told, outcome->failed);
        status.status = (char *) "Notification sent";
        rpc_call_reply(call, &status.base);
}

static void tell_too_many(struct manager *manager, const struct rpc_call *call) {
        const struct log_fields fields = {
                .method = rpc_call_path(call) + 1,
                .peer = rpc_call_peer(call)->name,
        };

        if (peer_limit_pass(&manager->refusals, fields.peer))
                log_event(LOG_WARNING, &fields, "%s: no more than %u entries of it are looked at.",
                                manager->config.notifier.directory, ENTRIES_MAX);
}

static void notify_user(struct rpc_call *call, const ProtobufCMessage *message, void *userdata) {
        const Notify__UserNotification *notification = (const Notify__UserNotification *) message;
        struct manager *manager = userdata;
        struct outcome outcome = {};
        _cleanup_(freep) char *text = NULL;
        int r;

        if (text_bytes(notification) > TEXT_BYTES_MAX) {
                rpc_call_fail(call, RPC_INVALID_ARGUMENT,
                                "the notification's texts are longer than %u bytes together",
                                TEXT_BYTES_MAX);
                return;
        }
        text = notify_json(notification);
        if (!text) {
                rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        r = tell_all(manager->config.notifier.directory, text, &outcome);
        explicit_bzero(text, strlen(text));
        if (outcome.entries > ENTRIES_MAX)
                tell_too_many(manager, call);
        if (r < 0)
                rpc_call_fail(call, RPC_INTERNAL, "cannot look for sockets in %s: %s",
                                manager->config.notifier.directory, strerror(-r));
        else
                finish(call, &outcome);
}

static const struct rpc_method methods[] = {
        { .name = "NotifyUser", .handle = notify_user },
};

const struct rpc_service notify_service = {
        .descriptor = &notify__user_notification_service__descriptor,
        .methods = methods,
        .n_methods = ELEMENTSOF(methods),
};
