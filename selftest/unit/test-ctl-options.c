/* SPDX-License-Identifier: GPL-2.0-or-later */
/* givcctl's command lines: what is understood, what is refused and why, and what the environment adds. */
#include "manage.h"
#include "options.h"
#include "text.h"
#include "timespan.h"

#include <criterion/criterion.h>
#include <signal.h>

#define WORDS_MAX 16

static char *error;
static struct options options;

/* Splits line at spaces, and reads it. The test's process ends with it, so nothing is freed but by clear().
 */
static int parse(const char *line) {
        static char copy[512];
        char *argv[WORDS_MAX + 1] = {};
        int argc = 0;

        cr_assert_lt(strlen(line), sizeof(copy));
        strcpy(copy, line);
        for (char *word = strtok(copy, " "); word && argc < WORDS_MAX; word = strtok(NULL, " "))
                argv[argc++] = word;
        return options_parse(&options, argc, argv, &error);
}

static void clear(void) {
        options_clear(&options);
        free(error);
        error = NULL;
}

static void no_environment(void) {
        static const char *const variables[] = { "GIVC_ADDR", "GIVC_PORT", "GIVC_NAME", "GIVC_CA_CERT",
                "GIVC_HOST_CERT", "GIVC_HOST_KEY", "GIVC_NO_TLS" };

        for (size_t i = 0; i < ELEMENTSOF(variables); i++)
                unsetenv(variables[i]);
}

TestSuite(ctl_options, .init = no_environment, .fini = clear);

static const struct {
        const char *line, *verb;
        size_t n_arguments;
} good[] = {
        { "givcctl query", "query", 0 },
        { "givcctl query-list --as-json", "query-list", 0 },
        { "givcctl --json query-list", "query-list", 0 },
        { "givcctl --by-type=11 query --by-name foo", "query", 0 },
        { "givcctl start vm app-vm", "start vm", 1 },
        { "givcctl start --addr 10.0.0.1 vm app-vm", "start vm", 1 },
        { "givcctl start service a.service --vm net-vm", "start service", 1 },
        { "givcctl --vm=net-vm start service a.service b.service", "start service", 2 },
        { "givcctl stop service a.service --vm net-vm", "stop service", 1 },
        { "givcctl stop net-vm/a.service net-vm/b", "stop service", 2 },
        { "givcctl start a --vm net-vm", "start service", 1 },
        { "givcctl start app firefox --vm app-vm -- --private", "start app", 2 },
        { "givcctl pause vm app-vm", "pause vm", 1 },
        { "givc-cli pause firefox@0.service", "pause", 1 },
        { "givcctl kill -sKILL net-vm/a", "kill", 1 },
        { "givcctl kill -s 9 net-vm/a b", "kill", 2 },
        { "givcctl wait a --vm net-vm --for active,failed", "wait", 1 },
        { "givcctl update cachix pin --token=x", "update cachix", 1 },
        { "givcctl get-status net-vm a.service", "get-status", 2 },
        { "givcctl watch --initial --limit 3", "watch", 0 },
        { "givcctl logs -fu a --vm net-vm", "logs", 0 },
        { "givcctl logs net-vm -n0 -f", "logs", 1 },
        { "givcctl logs net-vm/a -fnall", "logs", 1 },
        { "givcctl reboot", "reboot", 0 },
        { "givcctl poweroff --timeout 2min", "poweroff", 0 },
        { "givcctl suspend", "suspend", 0 },
        { "givcctl --name net-vm unit freeze a.service", "unit freeze", 1 },
        { "givcctl unit monitor --name net-vm -- -.mount", "unit monitor", 1 },
        { "/usr/bin/givc-cli --addr a --port 1 --name b --notls query-list", "query-list", 0 },
        { "givc-cli --vsock 2:9001 --cacert a --cert b --key c reboot", "reboot", 0 },
};

Test(ctl_options, good) {
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                int r = parse(good[i].line);

                cr_assert_eq(r, 0, "%s: %s", good[i].line, error);
                cr_assert_str_eq(options.verb->words, good[i].verb);
                cr_assert_eq(options.n_arguments, good[i].n_arguments, "%s", good[i].line);
                clear();
        }
}

static const struct {
        const char *line, *error; /* that the message contains */
} bad[] = {
        { "givcctl", "a verb is missing" },
        { "givcctl --json", "a verb is missing" },
        { "givcctl quary", "unknown verb 'quary'; did you mean 'query'?" },
        { "givcctl strat vm a", "unknown verb 'strat'; did you mean 'start'?" },
        { "givcctl firefox", "unknown verb 'firefox'" },
        { "givcctl start all foo",
                        "unknown verb 'start all': known are start app, start vm, start service; of a unit "
                        "also VM/UNIT" },
        { "givcctl start app", "'start app' wants APP..." },
        { "givcctl kill", "'kill' wants UNIT..." },
        { "givcctl start",
                        "'start' alone is too little: known are start app, start vm, start service; of a "
                        "unit" },
        { "givcctl auth", "'auth' alone is too little: known are auth why, auth log, auth lint, auth test" },
        { "givcctl start vm", "'start vm' wants VM..." },
        { "givcctl get-status net-vm", "'get-status' wants VM UNIT" },
        { "givcctl get-status net-vm a.service c", "'get-status' does not want 'c'" },
        { "givcctl query foo", "'query' does not want 'foo'" },
        { "givcctl restart a --signal 9", "'restart' does not know --signal" },
        { "givcctl list -s 9", "'list' does not know --signal" },
        { "givcctl query --limit 3", "'query' does not know --limit" },
        { "givcctl watch --vm a", "'watch' does not know --vm" },
        { "givcctl reboot --initial", "'reboot' does not know --initial" },
        { "givcctl --jso query", "unknown option '--jso'" },
        { "givcctl -x query", "unknown option '-x'" },
        { "givcctl -hx query", "unknown option '-hx': there is no -x" },
        { "givcctl logs -fu", "--unit wants a value" },
        { "givcctl logs -n some", "--lines: 'some' is neither a number from 0 to 4294967295 nor 'all'" },
        { "givcctl logs -n -1", "--lines: '-1'" },
        { "givcctl query --json=1", "--json takes no value" },
        { "givcctl query --addr", "--addr wants a value" },
        { "givcctl query --port 0", "--port: '0' is not a number from 1 to 65535" },
        { "givcctl query --port 65536", "--port: '65536'" },
        { "givcctl query --port=http", "--port: 'http'" },
        { "givcctl query --name=a/b", "--name: 'a/b'" },
        { "givcctl query --timeout soon", "--timeout: 'soon'" },
        { "givcctl query --timeout 0", "--timeout: '0'" },
        { "givcctl watch --limit 0", "--limit: '0'" },
        { "givcctl watch --limit -1", "--limit: '-1'" },
        { "givcctl unit freeze a.service", "'unit freeze' wants --name" },
        { "givcctl -- --help", "unknown verb '--help'" },
};

Test(ctl_options, bad) {
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                int r = parse(bad[i].line);

                cr_assert_eq(r, -EINVAL, "%s", bad[i].line);
                cr_assert_not_null(strstr(error, bad[i].error), "%s: %s", bad[i].line, error);
                clear();
        }
}

Test(ctl_options, defaults) {
        cr_assert_eq(parse("givcctl query"), 0);
        cr_assert(!options.compatible);
        cr_assert_null(options.addr);
        cr_assert_str_eq(options.port, "9001");
        cr_assert_str_eq(options.name, "admin-vm");
        cr_assert_null(options.cert);
        cr_assert(!options.no_tls);
        cr_assert_eq(options.timeout_usec, 60 * USEC_PER_SEC);
        clear();

        cr_assert_eq(parse("givc-cli --name net-vm unit status a"), 0);
        cr_assert(options.compatible);
        cr_assert_str_eq(options.port, "9000");
}

Test(ctl_options, environment_after_the_command_line) {
        setenv("GIVC_ADDR", "10.0.0.1", 1);
        setenv("GIVC_PORT", "77", 1);
        setenv("GIVC_NAME", "other-vm", 1);
        setenv("GIVC_CA_CERT", "ca", 1);
        setenv("GIVC_HOST_CERT", "cert", 1);
        setenv("GIVC_HOST_KEY", "key", 1);
        cr_assert_eq(parse("givcctl query --port 78 --cert mine"), 0);
        cr_assert_str_eq(options.addr, "10.0.0.1");
        cr_assert_str_eq(options.port, "78");
        cr_assert_str_eq(options.name, "other-vm");
        cr_assert_str_eq(options.ca_cert, "ca");
        cr_assert_str_eq(options.cert, "mine");
        cr_assert_str_eq(options.key, "key");
        cr_assert(!options.no_tls);
        clear();

        setenv("GIVC_PORT", "none", 1);
        cr_assert_eq(parse("givcctl query"), -EINVAL);
        clear();
        setenv("GIVC_PORT", "", 1);
        cr_assert_eq(parse("givcctl query"), 0);
        cr_assert_str_eq(options.port, "9001");
}

/* It says where the admin is. */
Test(ctl_options, environment_is_not_of_an_agent) {
        setenv("GIVC_ADDR", "10.0.0.1", 1);
        setenv("GIVC_PORT", "77", 1);
        setenv("GIVC_NAME", "admin-vm", 1);
        setenv("GIVC_CA_CERT", "ca", 1);
        cr_assert_eq(parse("givcctl unit stop a.service"), -EINVAL);
        clear();
        cr_assert_eq(parse("givcctl unit stop a.service --name net-vm"), 0);
        cr_assert_null(options.addr);
        cr_assert_str_eq(options.port, "9000");
        cr_assert_str_eq(options.ca_cert, "ca");
}

Test(ctl_options, no_tls_words) {
        static const char *const no[] = { "", "0", "n", "No", "false", "OFF" },
                                 *const yes[] = { "1", "true", "x" };

        for (size_t i = 0; i < ELEMENTSOF(no); i++) {
                setenv("GIVC_NO_TLS", no[i], 1);
                cr_assert_eq(parse("givcctl query"), 0);
                cr_assert(!options.no_tls, "%s", no[i]);
                clear();
        }
        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                setenv("GIVC_NO_TLS", yes[i], 1);
                cr_assert_eq(parse("givcctl query"), 0);
                cr_assert(options.no_tls, "%s", yes[i]);
                clear();
        }
}

Test(ctl_options, what_follows_dashes) {
        cr_assert_eq(parse("givcctl start app a b -- --vm -- c"), 0);
        cr_assert_eq(options.n_arguments, 5);
        cr_assert_eq(options.n_own, 2);
        cr_assert_null(options.vm);
        clear();
        cr_assert_eq(parse("givcctl -- start app a"), 0);
        cr_assert_eq(options.n_own, 0);
        clear();
        cr_assert_eq(parse("givcctl start app a"), 0);
        cr_assert_eq(options.n_own, 1);
}

Test(ctl_options, letters_together) {
        cr_assert_eq(parse("givcctl logs -fua --vm net-vm -fn20"), 0);
        cr_assert(options.follow);
        cr_assert_str_eq(options.unit, "a");
        cr_assert_str_eq(options.lines, "20");
        clear();
        cr_assert_eq(parse("givcctl -Vh"), 0);
        cr_assert(options.help && options.version);
}

Test(ctl_options, signals) {
        cr_assert_eq(manage_signal("KILL"), SIGKILL);
        cr_assert_eq(manage_signal("sigterm"), SIGTERM);
        cr_assert_eq(manage_signal("10"), 10);
        cr_assert_lt(manage_signal("0"), 0);
        cr_assert_lt(manage_signal("SIG"), 0);
        cr_assert_lt(manage_signal("100"), 0);
        cr_assert_lt(manage_signal(""), 0);
}

/* Help is given whatever else is wrong with the verb. */
Test(ctl_options, help) {
        cr_assert_eq(parse("givcctl --help"), 0);
        cr_assert(options.help);
        cr_assert_null(options.verb);
        clear();
        cr_assert_eq(parse("givcctl start vm -h"), 0);
        cr_assert_str_eq(options.verb->words, "start vm");
        clear();
        cr_assert_eq(parse("givcctl unit --help"), 0);
        clear();
        cr_assert_eq(parse("givcctl -V"), 0);
        cr_assert(options.version);
}

Test(ctl_options, time_spans) {
        static const struct {
                const char *text;
                uint64_t usec;
        } spans[] = {
                { "5", 5 * USEC_PER_SEC },
                { "90s", 90 * USEC_PER_SEC },
                { "2min", 120 * USEC_PER_SEC },
                { "1min 30s", 90 * USEC_PER_SEC },
                { "1min30s", 90 * USEC_PER_SEC },
                { " 500 ms ", 500 * USEC_PER_MSEC },
                { "1h", 3600 * USEC_PER_SEC },
                { "infinity", USEC_INFINITY },
        };
        static const char *const wrong[] = { "", " ", "s", "-5", "5x", "5 parsecs", "1.5s",
                "99999999999999999999", "99999999999999h", "18446744073709551615ms" };
        uint64_t usec;

        for (size_t i = 0; i < ELEMENTSOF(spans); i++) {
                cr_assert_eq(timespan_parse(spans[i].text, &usec), 0, "%s", spans[i].text);
                cr_assert_eq(usec, spans[i].usec, "%s", spans[i].text);
        }
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                cr_assert_lt(timespan_parse(wrong[i], &usec), 0, "%s", wrong[i]);
}

Test(ctl_options, moments) {
        const uint64_t now = 1767323045500000; /* 2026-01-02 03:04:05.5 UTC */
        static const struct {
                const char *text;
                uint64_t seconds;
        } moments[] = {
                { "2026-01-02 03:04:05", 1767323045 },
                { "2026-01-02 03:04", 1767323040 },
                { "2026-01-02", 1767312000 },
                { "03:04:01", 1767323041 },
                { "03:04", 1767323040 },
                { "today", 1767312000 },
                { "yesterday", 1767312000 - 86400 },
                { "@5", 5 },
        };
        static const char *const wrong[] = { "", "soon", "2026-01-02 03:04:05 ", "2026-13-01", "25:00", "@",
                "@x", "@99999999999", "-", "ago", " ago", "1h ago ago", "-1h ago", "99999999h",
                "1969-01-01" };
        static const char *const hour_ago[] = { "1h", "-1h", "1h ago", "60 min ago" };
        uint64_t usec;

        setenv("TZ", "UTC", 1);
        for (size_t i = 0; i < ELEMENTSOF(moments); i++) {
                cr_assert_eq(timestamp_parse(moments[i].text, now, &usec), 0, "%s", moments[i].text);
                cr_assert_eq(usec, moments[i].seconds * USEC_PER_SEC, "%s", moments[i].text);
        }
        for (size_t i = 0; i < ELEMENTSOF(hour_ago); i++) {
                cr_assert_eq(timestamp_parse(hour_ago[i], now, &usec), 0, "%s", hour_ago[i]);
                cr_assert_eq(usec, now - 3600 * USEC_PER_SEC, "%s", hour_ago[i]);
        }
        cr_assert_eq(timestamp_parse("now", now, &usec), 0);
        cr_assert_eq(usec, now);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                cr_assert_lt(timestamp_parse(wrong[i], now, &usec), 0, "%s", wrong[i]);
}

Test(ctl_options, roughly) {
        char text[TIMESPAN_TEXT];

        cr_assert_str_eq(timespan_format(0, text), "0s");
        cr_assert_str_eq(timespan_format(59 * USEC_PER_SEC, text), "59s");
        cr_assert_str_eq(timespan_format(61 * USEC_PER_SEC, text), "1min");
        cr_assert_str_eq(timespan_format(7200 * USEC_PER_SEC, text), "2h");
        cr_assert_str_eq(timespan_format(USEC_INFINITY - 1, text), "213503982d");
}
