/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dump-local.h"

#include "dump-journal.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <systemd/sd-bus.h>

/* What a daemon or the bus may take to answer. */
#define PATIENCE_USEC (5 * USEC_PER_SEC)
/* The figures of the largest fleet are some hundred kilobytes. */
#define METRICS_MAX ((size_t) 4 * 1024 * 1024)

static json_t *text_json(const char *text) {
        return text ? output_text_json(text) : json_null();
}

static json_t *time_json(int64_t seconds) {
        char text[sizeof("-2147483648-01-01T00:00:00Z")];
        time_t time = seconds;
        struct tm tm;

        if (!gmtime_r(&time, &tm) || strftime(text, sizeof(text), "%FT%TZ", &tm) == 0)
                return json_null();
        return json_string(text);
}

/* ---- who asks whom ---- */

static json_t *ips_json(const struct tls_identity *identity) {
        json_t *list = json_array();

        for (size_t i = 0; i < identity->n_ips; i++) {
                const struct tls_ip *ip = &identity->ips[i];
                char text[INET6_ADDRSTRLEN];

                json_array_append_new(list,
                                json_string(inet_ntop(ip->length == 4 ? AF_INET : AF_INET6, ip->bytes, text,
                                                sizeof(text))));
        }
        return list;
}

static json_t *names_json(const struct tls_identity *identity) {
        json_t *list = json_array();

        for (char **name = identity->names; *name; name++)
                json_array_append_new(list, text_json(*name));
        return list;
}

static json_t *certificate_json(struct bundle *bundle, const char *path) {
        _cleanup_(tls_certificate_clear) struct tls_certificate certificate = TLS_CERTIFICATE_NULL;
        _cleanup_(freep) char *error = NULL;
        int r;

        if (!path)
                return json_null();
        r = tls_certificate_read(&certificate, path, &error);
        if (r < 0) {
                bundle_miss(bundle, "client.json", "%s", error ?: strerror(-r));
                return json_pack("{s:o}", "file", text_json(path));
        }
        return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "file", text_json(path), "subject",
                        text_json(certificate.subject), "issuer", text_json(certificate.issuer), "serial",
                        text_json(certificate.identity.serial), "dns_names",
                        names_json(&certificate.identity), "ip_addresses", ips_json(&certificate.identity),
                        "not_before", time_json(certificate.not_before), "not_after",
                        time_json(certificate.not_after));
}

/* Of the key there is its path. */
static json_t *asked_json(struct bundle *bundle, const struct options *options) {
        const struct session_files files = session_files(options);
        bool tls = !options->no_tls;

        return json_pack("{s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o}", "addr", text_json(options->addr), "port",
                        text_json(options->port), "vsock", text_json(options->vsock), "name",
                        text_json(options->name), "tls", tls, "timeout",
                        options->timeout_usec == USEC_INFINITY
                                        ? json_null()
                                        : json_real((double) options->timeout_usec / (double) USEC_PER_SEC),
                        "ca_certificate", tls ? certificate_json(bundle, files.ca_cert) : json_null(),
                        "certificate", tls ? certificate_json(bundle, files.cert) : json_null(), "key_file",
                        tls ? text_json(files.key) : json_null());
}

/* In whose local time the journals' lines are. */
static json_t *zone_json(int64_t seconds) {
        char text[sizeof("+0000")];
        time_t time = seconds;
        struct tm tm;

        return localtime_r(&time, &tm) && strftime(text, sizeof(text), "%z", &tm) > 0 ? json_string(text)
                                                                                      : json_null();
}

static void add_client(struct bundle *bundle, const struct options *options) {
        struct utsname system = {};

        (void) uname(&system);
        bundle_add_json(bundle, "client.json",
                        json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "version", GIVC_VERSION, "time",
                                        time_json((int64_t) bundle->seconds), "utc_offset",
                                        zone_json((int64_t) bundle->seconds), "host",
                                        text_json(system.nodename), "kernel", text_json(system.release),
                                        "admin", asked_json(bundle, options)));
}

/* ---- units ---- */

/* a(ssssssouso): name, description, load, active, sub state, followed, path, job's id, type and path. */
static int read_units(sd_bus_message *reply, json_t *units) {
        const char *name, *description, *load, *active, *sub;
        int r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");

        while (r >= 0) {
                r = sd_bus_message_read(reply, "(ssssssouso)", &name, &description, &load, &active, &sub,
                                NULL, NULL, NULL, NULL, NULL);
                if (r <= 0)
                        return r;
                if (json_array_append_new(units,
                                    json_pack("{s:o,s:o,s:o,s:o,s:o}", "name", text_json(name),
                                                    "description", text_json(description), "load_state",
                                                    text_json(load), "active_state", text_json(active),
                                                    "sub_state", text_json(sub))) < 0)
                        return -ENOMEM;
        }
        return r;
}

static int ask_units(sd_bus *bus, json_t *units, char **ret_error) {
        static const char *const patterns[] = { "givc-*", "microvm@*", NULL };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &message, "org.freedesktop.systemd1",
                        "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                        "ListUnitsByPatterns");
        if (r >= 0)
                r = sd_bus_message_append_strv(message, NULL);
        if (r >= 0)
                r = sd_bus_message_append_strv(message, (char **) patterns);
        if (r >= 0)
                r = sd_bus_call(bus, message, PATIENCE_USEC, &error, &reply);
        if (r >= 0)
                r = read_units(reply, units);
        if (r < 0)
                *ret_error = strdup(error.message ?: strerror(-r));
        return r;
}

/* The units, which are added, too; NULL: systemd cannot be asked. */
static json_t *add_units(struct bundle *bundle, const char *name, int (*open)(sd_bus **ret)) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(freep) char *error = NULL;
        json_t *units = json_array();
        int r = open(&bus);

        if (r >= 0)
                r = ask_units(bus, units, &error);
        if (r >= 0) {
                bundle_add_json(bundle, name, json_incref(units));
                return units;
        }
        json_decref(units);
        bundle_miss(bundle, name, "systemd cannot be asked: %s", error ?: strerror(-r));
        return NULL;
}

/* ---- the daemons' figures ---- */

/* A connected socket, or a negative errno. */
static int connect_to(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const struct timeval patience = { .tv_sec = PATIENCE_USEC / USEC_PER_SEC };
        _cleanup_(closep) int fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
                        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
                        connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* To whoever says nothing, a daemon tells its figures, and hangs up. 0 or a negative errno. */
static int read_figures(int fd, FILE *to) {
        uint64_t end = usec_add(now_usec(CLOCK_MONOTONIC), PATIENCE_USEC);
        char bytes[4096];
        size_t all = 0;

        for (;;) {
                ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

                if (n <= 0)
                        return n < 0 ? -errno : 0;
                all += (size_t) n;
                if (all > METRICS_MAX)
                        return -E2BIG;
                if (now_usec(CLOCK_MONOTONIC) > end)
                        return -ETIMEDOUT;
                fwrite(bytes, 1, (size_t) n, to);
        }
}

/* The state of a daemon's service among the units; NULL: it is not there, or only others name it. */
static const char *state_of(const json_t *units, const char *daemon) {
        json_t *unit;
        size_t i;

        json_array_foreach(units, i, unit) {
                const char *name = json_string_value(json_object_get(unit, "name"));
                const char *suffix = name ? startswith(name, daemon) : NULL;
                const char *load = json_string_value(json_object_get(unit, "load_state"));

                if (suffix && load && streq(suffix, ".service") && streq(load, "loaded"))
                        return json_string_value(json_object_get(unit, "active_state"));
        }
        return NULL;
}

/* A daemon without a socket is not on this machine. */
static void add_figures(struct bundle *bundle, const char *name, const char *directory, const char *daemon) {
        _cleanup_(freep) char *path = text_printf("%s/%s/metrics", directory, daemon);
        _cleanup_(closep) int fd = path ? connect_to(path) : -ENOMEM;
        struct piece piece = PIECE_NULL;
        int r = fd;

        if (r == -ENOENT)
                return;
        if (r >= 0)
                r = piece_open(&piece);
        if (r >= 0)
                r = read_figures(fd, piece.file);
        if (r >= 0) {
                bundle_add(bundle, name, &piece);
                return;
        }
        piece_clear(&piece);
        bundle_miss(bundle, name, "%s: %s", strempty(path),
                        r == -EAGAIN                  ? "the daemon does not answer"
                                        : r == -E2BIG ? "it says more than any daemon has to say"
                                                      : strerror(-r));
}

/*
 * To connect to the socket of a daemon that is down would start it. Where systemd cannot be asked, it does
 * not do so either, most probably.
 */
static void add_daemon(struct bundle *bundle, const json_t *units, const char *daemon, bool user,
                const char *directory) {
        const char *state = state_of(units, daemon), *whose = user ? "user-" : "";
        _cleanup_(freep) char *figures =
                        text_printf("local/metrics-%s%s.txt", whose, daemon + strlen("givc-"));
        _cleanup_(freep) char *journal =
                        text_printf("local/journal-%s%s.txt", whose, daemon + strlen("givc-"));
        _cleanup_(freep) char *unit = text_printf("%s.service", daemon);

        if (!figures || !journal || !unit)
                return;
        if (!units || (state && (streq(state, "active") || streq(state, "reloading"))))
                add_figures(bundle, figures, directory, daemon);
        dump_journal_local(bundle, journal, unit, user, state != NULL);
}

static void add_system(struct bundle *bundle) {
        json_t *units = add_units(bundle, "local/units.json", sd_bus_open_system);

        add_daemon(bundle, units, "givc-admin", false, "/run");
        add_daemon(bundle, units, "givc-agent", false, "/run");
        json_decref(units);
}

/* Who has no user manager has no agent of the user's. */
static void add_user(struct bundle *bundle) {
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        _cleanup_(freep) char *path = isempty(runtime) ? NULL : text_printf("%s/systemd/private", runtime);
        json_t *units = NULL;

        if (isempty(runtime))
                return;
        if (path && access(path, F_OK) == 0)
                units = add_units(bundle, "local/user-units.json", sd_bus_open_user);
        add_daemon(bundle, units, "givc-agent", true, runtime);
        json_decref(units);
}

void dump_local(struct bundle *bundle, const struct options *options) {
        add_client(bundle, options);
        add_system(bundle);
        add_user(bundle);
}
