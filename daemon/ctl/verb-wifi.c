/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wifi …: the wireless network of a VM, asked of its agent. */
#include "failure.h"
#include "options.h"
#include "output.h"
#include "session.h"
#include "text.h"
#include "wifimanager.pb-c.h"

#include <stdio.h>
#include <termios.h>

/* WPA has 63 characters at most; 802.1X sets no bound. */
#define PASSWORD_MAX 1024
#define SETTINGS_MAX (64 * 1024)

static char *describe(const struct options *options, const char *what) {
        return text_printf("cannot %s on %s", what, options->name);
}

static int call(struct session *session, const char *what, const char *method,
                const ProtobufCMessage *message, session_show_t show) {
        _cleanup_(freep) char *described = describe(session->options, what);
        int r;

        if (!described)
                return fail_errno(-ENOMEM, what);
        r = session_call(session,
                        &(struct session_request){
                                        .service = &wifimanager__wifi_service__descriptor,
                                        .method = method,
                                        .message = message,
                                        .what = described,
                                        .show = show,
                        });
        return r == EXIT_DONE ? session_run(session) : r;
}

/* ---- what there is ---- */

static json_t *point_json(const Wifimanager__AccessPoint *point) {
        return json_pack("{s:b,s:o,s:I,s:o}", "connection", point->connection, "ssid",
                        output_text_json(point->ssid), "signal", (json_int_t) point->signal, "security",
                        output_text_json(point->security));
}

static int print_points(Wifimanager__AccessPoint *const *points, size_t n) {
        static const struct output_column heads[] = { { "SSID", .is_cut = true }, { "SIGNAL", true },
                { "IN USE" }, { "SECURITY" } };
        _cleanup_(freep) const char **cells = calloc(4 * n + 1, sizeof(*cells));
        _cleanup_(freep) char(*signals)[12] = calloc(n + 1, sizeof(*signals));

        if (!cells || !signals)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                (void) snprintf(signals[i], sizeof(signals[i]), "%u", points[i]->signal);
                cells[4 * i] = points[i]->ssid;
                cells[4 * i + 1] = signals[i];
                cells[4 * i + 2] = points[i]->connection ? "yes" : "";
                cells[4 * i + 3] = points[i]->security;
        }
        return output_cells(stdout, heads, ELEMENTSOF(heads), cells, n);
}

static int show_list(
                struct session *session, const ProtobufCMessage *response, const char *subject _unused_) {
        const Wifimanager__WifiNetworkResponse *list = (const Wifimanager__WifiNetworkResponse *) response;
        json_t *json;
        int r;

        if (!session->options->json)
                r = print_points(list->networks, list->n_networks);
        else {
                json = json_array();
                for (size_t i = 0; i < list->n_networks; i++)
                        json_array_append_new(json, point_json(list->networks[i]));
                r = output_json(stdout, json);
        }
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

static int show_status(
                struct session *session, const ProtobufCMessage *response, const char *subject _unused_) {
        Wifimanager__AccessPoint *point = (Wifimanager__AccessPoint *) response;
        int r = 0;

        if (session->options->json)
                r = output_json(stdout, point_json(point));
        else if (point->connection)
                r = print_points(&point, 1);
        else
                puts("not connected");
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

static int show_response(
                struct session *session, const ProtobufCMessage *response, const char *subject _unused_) {
        const char *text = ((const Wifimanager__WifiConnectionResponse *) response)->response;

        if (session->options->json) {
                int r = output_json(stdout, json_pack("{s:o}", "done", output_text_json(text)));

                return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
        }
        output_text(stdout, text);
        puts(".");
        return EXIT_DONE;
}

int verb_wifi_list(struct session *session, const struct options *options) {
        Wifimanager__WifiNetworkRequest message = WIFIMANAGER__WIFI_NETWORK_REQUEST__INIT;

        if (options->n_arguments > 0)
                message.networkname = (char *) options->arguments[0];
        return call(session, "list networks", "ListNetwork", &message.base, show_list);
}

int verb_wifi(struct session *session, const struct options *options) {
        static const struct {
                const char *verb, *what, *method;
        } actions[] = {
                { "wifi status", "tell the active connection", "GetActiveConnection" },
                { "wifi disconnect", "disconnect", "DisconnectNetwork" },
                { "wifi on", "enable Wi-Fi", "TurnOn" },
                { "wifi off", "disable Wi-Fi", "TurnOff" },
        };
        const Wifimanager__EmptyRequest message = WIFIMANAGER__EMPTY_REQUEST__INIT;
        size_t i = 0;

        while (!streq(actions[i].verb, options->verb->words))
                i++;
        return call(session, actions[i].what, actions[i].method, &message.base,
                        i == 0 ? show_status : show_response);
}

/* ---- connecting ---- */

/* One line, without its end. Its memory is wiped by the caller. */
static int read_line(FILE *file, const char *name, char password[PASSWORD_MAX + 2]) {
        size_t n;

        if (!fgets(password, PASSWORD_MAX + 2, file)) {
                if (ferror(file))
                        return fail_errno(-errno, name);
                password[0] = '\0';
        }
        n = strcspn(password, "\r\n");
        if (n > PASSWORD_MAX)
                return fail_usage("the password has more than %d bytes", PASSWORD_MAX);
        password[n] = '\0';
        return EXIT_DONE;
}

/* Asked on the terminal, without showing it. */
static int ask_password(const char *ssid, char password[PASSWORD_MAX + 2]) {
        struct termios shown, hidden;
        int r;

        if (tcgetattr(STDIN_FILENO, &shown) < 0)
                return fail_errno(-errno, "terminal");
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t) ECHO;
        fputs("Password of ", stderr);
        output_text(stderr, ssid);
        fputs(" (none: as it is saved): ", stderr);
        (void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
        r = read_line(stdin, "terminal", password);
        (void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputc('\n', stderr);
        return r;
}

static int get_password(const struct options *options, char password[PASSWORD_MAX + 2]) {
        FILE *file;
        int r;

        password[0] = '\0';
        if (!options->password_file)
                return isatty(STDIN_FILENO) ? ask_password(options->arguments[0], password) : EXIT_DONE;
        if (streq(options->password_file, "-"))
                return read_line(stdin, "standard input", password);
        file = fopen(options->password_file, "re");
        if (!file) {
                complain("cannot read %s: %s", options->password_file, strerror(errno));
                return EXIT_USAGE;
        }
        r = read_line(file, options->password_file, password);
        fclose(file);
        return r;
}

int verb_wifi_connect(struct session *session, const struct options *options) {
        Wifimanager__WifiConnectionRequest message = WIFIMANAGER__WIFI_CONNECTION_REQUEST__INIT;
        _cleanup_(freep) char *settings = NULL;
        char password[PASSWORD_MAX + 2];
        int r;

        if (options->settings) {
                r = text_read_file(options->settings, SETTINGS_MAX, &settings, NULL);
                if (r < 0) {
                        complain("cannot read %s: %s", options->settings, strerror(-r));
                        return EXIT_USAGE;
                }
                message.settings = settings;
        }
        r = get_password(options, password);
        if (r == EXIT_DONE) {
                message.ssid = (char *) options->arguments[0];
                message.password = password;
                r = call(session, "join the network", "ConnectNetwork", &message.base, show_response);
        }
        explicit_bzero(password, sizeof(password));
        if (settings)
                explicit_bzero(settings, strlen(settings));
        return r;
}
