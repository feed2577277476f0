/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What givcctl prints of the registry, of a unit and of an error, for people and for programs. */
#include "debug-info.h"
#include "help.h"
#include "output.h"
#include "roster.h"
#include "status.h"
#include "verb.h"

#include <criterion/criterion.h>

static char *text;
static size_t n_text;
static FILE *file;

static void begin(void) {
        setenv("TZ", "UTC", 1);
        setenv("LC_ALL", "C.UTF-8", 1);
        file = open_memstream(&text, &n_text);
}

/* What was printed since the last time. */
static const char *printed(void) {
        static char last[8192];

        fflush(file);
        cr_assert_lt(n_text, sizeof(last));
        memcpy(last, text, n_text);
        last[n_text] = '\0';
        rewind(file);
        return last;
}

static void end(void) {
        fclose(file);
        free(text);
}

TestSuite(ctl_output, .init = begin, .fini = end);

static Admin__QueryListItem item(const char *name, const char *kind, const char *vm) {
        Admin__QueryListItem i = ADMIN__QUERY_LIST_ITEM__INIT;

        i.name = (char *) name;
        i.description = (char *) "A thing";
        i.vmstatus = (char *) "Running";
        i.trustlevel = (char *) "Warning";
        i.vmtype = (char *) "SysVM";
        i.servicetype = (char *) kind;
        if (vm) {
                i.vm_name_presence_case = ADMIN__QUERY_LIST_ITEM__VM_NAME_PRESENCE_VM_NAME;
                i.vmname = (char *) vm;
        }
        return i;
}

static void set_online(Admin__QueryListItem *i, bool online, uint64_t since) {
        i->online_presence_case = ADMIN__QUERY_LIST_ITEM__ONLINE_PRESENCE_ONLINE;
        i->online = online;
        i->since = since;
}

Test(ctl_output, list_as_deployed) {
        Admin__QueryListItem a = item("a.service", "Svc", "net-vm"), *items[] = { &a };

        set_online(&a, true, 5);
        output_list_json(file, items, 1, true);
        cr_assert_str_eq(printed(),
                        "[{\"name\":\"a.service\",\"description\":\"A "
                        "thing\",\"status\":\"Running\",\"trust_level\":\"Warning\","
                        "\"vm_type\":\"SysVM\",\"service_type\":\"Svc\",\"vm_name\":\"net-vm\",\"agent_"
                        "name\":null}]\n");
}

Test(ctl_output, list_in_full) {
        Admin__QueryListItem a = item("a.service", "Svc", NULL), b = item("b.service", "Svc", ""),
                             *items[] = { &a, &b };

        set_online(&b, false, 1700000000000000);
        output_list_json(file, items, 2, false);
        cr_assert_str_eq(printed(),
                        "[{\"name\":\"a.service\",\"description\":\"A "
                        "thing\",\"status\":\"Running\",\"trust_level\":\"Warning\","
                        "\"vm_type\":\"SysVM\",\"service_type\":\"Svc\",\"vm_name\":null,\"agent_name\":"
                        "null,\"online\":null,"
                        "\"since\":null},"
                        "{\"name\":\"b.service\",\"description\":\"A "
                        "thing\",\"status\":\"Running\",\"trust_level\":\"Warning\","
                        "\"vm_type\":\"SysVM\",\"service_type\":\"Svc\",\"vm_name\":\"\",\"agent_name\":"
                        "null,\"online\":false,"
                        "\"since\":1700000000000000}]\n");
        output_list_json(file, items, 0, false);
        cr_assert_str_eq(printed(), "[]\n");
}

Test(ctl_output, events) {
        Admin__QueryListItem a = item("a.service", "Svc", "net-vm");
        const char *line;

        output_event_json(file, OUTPUT_ADDED, &a, true);
        cr_assert_not_null(startswith(printed(), "{\"UnitRegistered\":{\"name\":\"a.service\","));
        output_event_json(file, OUTPUT_CHANGED, &a, true);
        cr_assert_not_null(startswith(printed(), "{\"UnitStatusChanged\":{"));
        output_event_json(file, OUTPUT_REMOVED, &a, true);
        line = printed();
        cr_assert_not_null(startswith(line, "{\"UnitShutdown\":{"));
        cr_assert_not_null(strchr(line, '\n'));

        set_online(&a, false, 0);
        output_event(file, OUTPUT_CHANGED, &a, 1700000000123456);
        cr_assert_str_eq(printed(),
                        "2023-11-14 22:13:20.123  changed  a.service                     net-vm        "
                        "Running     offline\n");
}

/* Sorted by VM; in a VM the machine first, then its agent, its services, its applications. */
Test(ctl_output, table) {
        Admin__QueryListItem app = item("x@0.service", "App", "app-vm"),
                             svc = item("a.service", "Svc", "net-vm"),
                             agent = item("givc-net-vm.service", "Mgr", "net-vm"),
                             vm = item("microvm@net-vm.service", "VM", "net-vm"),
                             host = item("host.service", "Svc", NULL),
                             *items[] = { &svc, &app, &agent, &vm, &host };
        static const char *const order[] = { "NAME", "host.service", "x@0.service", "microvm@net-vm.service",
                "givc-net-vm.service", "a.service" };
        const char *at, *table;

        set_online(&agent, true, 1);
        output_sort(items, ELEMENTSOF(items), OUTPUT_BY_VM);
        cr_assert_eq(output_table(file, items, ELEMENTSOF(items)), 0);
        table = at = printed();
        for (size_t i = 0; i < ELEMENTSOF(order); i++) {
                const char *next = strstr(at, order[i]);

                cr_assert_not_null(
                                next, "%s not after %s in\n%s", order[i], i > 0 ? order[i - 1] : "", table);
                at = next;
        }
        cr_assert_null(strchr(table, '\033'));
        cr_assert_not_null(strstr(table, " yes "));
}

Test(ctl_output, hostile_texts) {
        Admin__QueryListItem a = item("a\033]0;x\a\xc2\x9b"
                                      "31m\n.service",
                                             "Svc", "v\xff"),
                             *items[] = { &a };
        const char *line;

        a.description = (char *) "gr\xc3\xbc\xc3\x9f";
        output_text(file, a.name);
        cr_assert_str_eq(printed(), "a\\x1b]0;x\\x07\\xc2\\x9b31m\\x0a.service");
        output_text(file, a.description);
        cr_assert_str_eq(printed(), "gr\xc3\xbc\xc3\x9f");

        output_event(file, OUTPUT_ADDED, &a, 0);
        line = printed();
        cr_assert_null(strchr(line, '\033'));
        cr_assert_null(strstr(line, "\xc2\x9b"));
        cr_assert_null(strchr(line, '\xff'));

        cr_assert_eq(output_table(file, items, 1), 0);
        line = printed();
        cr_assert_null(strchr(line, '\033'));
        cr_assert_null(strchr(line, '\a'));
        cr_assert_null(strstr(line, "\xc2\x9b"));
        cr_assert_null(strchr(line, '\xff'));

        cr_assert_eq(output_list_json(file, items, 1, false), 0);
        line = printed();
        cr_assert_null(strchr(line, '\033'));
        cr_assert_null(strchr(line, '\xff'));
}

/* U+202E and the like: "evil\u202Etxt.sh" would be shown as "evilhs.txt". */
Test(ctl_output, nothing_changes_the_direction_of_writing) {
        static const char *const cases[][2] = {
                { "a\xe2\x80\xae"
                  "b",
                                "a\\xe2\\x80\\xae"
                                "b" },
                { "\xe2\x81\xa6\xe2\x81\xa9", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9" },
                { "\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f.", "\\xd8\\x9c\\xe2\\x80\\x8e\\xe2\\x80\\x8f." },
                { "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
                                "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d" }, /* Hebrew stays */
                { "cut\xe2\x80", "cut\\xe2\\x80" },
                { "cut\xd8", "cut\\xd8" },
                { "\xe2\x80\xae\xff", "\\xe2\\x80\\xae\\xff" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const struct output_column head = { "TEXT" };
                Admin__QueryListItem a = item(cases[i][0], "Svc", "v"), *items[] = { &a };
                Logs__LogEntry entry = LOGS__LOG_ENTRY__INIT;

                output_text(file, cases[i][0]);
                cr_assert_str_eq(printed(), cases[i][1]);
                cr_assert_eq(output_cells(file, &head, 1, &cases[i][0], 1), 0);
                cr_assert(strstr(printed(), cases[i][1]), "%s", printed());
                cr_assert_eq(output_table(file, items, 1), 0);
                cr_assert(strstr(printed(), cases[i][1]), "%zu", i);
                entry.message = (char *) cases[i][0];
                output_log(file, &entry);
                cr_assert(strstr(printed(), cases[i][1]), "%zu", i);
        }
        output_bytes(file, "a\0b\xe2\x80\xaez", 6);
        cr_assert_str_eq(printed(), "a\\x00b\\xe2\\x80\\xae");
}

Test(ctl_output, status) {
        Systemd__UnitStatus status = SYSTEMD__UNIT_STATUS__INIT;

        status.name = (char *) "a.service";
        status.description = (char *) "An \"A\"";
        status.loadstate = (char *) "loaded";
        status.activestate = (char *) "active";
        status.substate = (char *) "running";
        status.freezerstate = (char *) "frozen";
        output_status(file, &status);
        cr_assert_str_eq(printed(),
                        "a.service - An \"A\"\n     Loaded: loaded\n     Active: active (running)\n    "
                        "Freezer: frozen\n");
        output_deployed(file, &status.base);
        cr_assert_str_eq(printed(),
                        "UnitStatus { name: \"a.service\", description: \"An \\\"A\\\"\", load_state: "
                        "\"loaded\", active_state: "
                        "\"active\", sub_state: \"running\", path: \"\", freezer_state: \"frozen\" }\n");
}

/* What the deployed command prints: Rust's Debug. */
Test(ctl_output, deployed) {
        Stats__ProcessStat first = STATS__PROCESS_STAT__INIT, *processes[] = { &first };
        Stats__ProcessStats process = STATS__PROCESS_STATS__INIT;
        Stats__LoadStats load = STATS__LOAD_STATS__INIT;
        Stats__StatsResponse stats = STATS__STATS_RESPONSE__INIT;
        Admin__QueryListItem a = item("a\x1b\u202e\u00e4\t.service", "Svc", "net-vm"), *list[] = { &a };

        first.name = (char *) "x\\\"y";
        first.user = 0.1F;
        first.sys = 2e-5F;
        first.ressetsize = UINT64_MAX;
        process.cpuprocesses = processes;
        process.n_cpuprocesses = 1;
        load.load1min = 14.92F;
        load.load5min = 3e7F;
        load.load15min = 1e17F;
        stats.load = &load;
        stats.process = &process;
        output_deployed(file, &stats.base);
        cr_assert_str_eq(printed(),
                        "StatsResponse { memory: None, load: Some(LoadStats { load1_min: 14.92, load5_min: "
                        "30000000.0, load15_min: 1e17 }), process: Some(ProcessStats { cpu_processes: "
                        "[ProcessStat { name: \"x\\\\\\\"y\", user: 0.1, sys: 2e-5, res_set_size: "
                        "18446744073709551615 }], mem_processes: [], total: 0, running: 0, user_cycles: 0, "
                        "sys_cycles: 0, total_cycles: 0 }) }\n");

        output_list_deployed(file, list, 0);
        cr_assert_str_eq(printed(), "[]\n");
        output_list_deployed(file, list, 1);
        cr_assert_str_eq(printed(),
                        "[\n    QueryResult {\n        name: \"a\\u{1b}\\u{202e}\u00e4\\t.service\",\n"
                        "        description: \"A thing\",\n        status: Running,\n        trust_level: "
                        "Warning,\n"
                        "        vm_type: SysVM,\n        service_type: Svc,\n        vm_name: Some(\n"
                        "            \"net-vm\",\n        ),\n        agent_name: None,\n    },\n]\n");
        output_event_deployed(file, OUTPUT_REMOVED, &a);
        cr_assert_not_null(startswith(printed(), "UnitShutdown(\n    QueryResult {\n        name: "));
}

/* Every verb is in the help, which fits a screen. */
static unsigned check_help(const char *help) {
        unsigned lines = 0, width = 0;

        for (const char *s = help; *s; s++) {
                width = *s == '\n' ? 0 : width + 1;
                lines += *s == '\n';
                cr_assert_leq(width, 80, "%s", help);
                cr_assert(!(*s & 0x80), "a terminal may know ASCII alone: %s", help);
        }
        return lines;
}

Test(ctl_output, help) {
        const char *help;

        help_print(file, NULL, NULL);
        help = printed();
        for (const struct verb *verb = verbs; verb->words; verb++) {
                const char *last = strrchr(verb->words, ' ');

                cr_assert_not_null(strstr(help, last ? last + 1 : verb->words), "%s", verb->words);
        }
        cr_assert_leq(check_help(help), 24);
        for (const struct verb *verb = verbs; verb->words; verb++) {
                help_print(file, verb, NULL);
                check_help(printed());
        }
}

static char told[256];

static void tell(enum output_event event, const Admin__QueryListItem *i, void *userdata) {
        static const char *const marks[] = { "=", "+", "~", "-" };

        strcat(told, marks[event]);
        strcat(told, i->name);
        strcat(told, " ");
}

Test(ctl_output, roster_tells_what_differs) {
        Admin__QueryListItem a = item("a", "Svc", "v"), b = item("b", "Svc", "v"), c = item("c", "Svc", "v"),
                             *before[] = { &c, &a }, *after[] = { &b, &c };
        struct roster roster = ROSTER_NULL;

        cr_assert_eq(roster_replace(&roster, before, 2, NULL, NULL), 0);
        cr_assert_str_eq(told, "");

        set_online(&a, true, 1);
        roster_apply(&roster, OUTPUT_CHANGED, &a, tell, NULL);
        set_online(&a, true, 2);
        roster_apply(&roster, OUTPUT_CHANGED, &a, tell, NULL);
        roster_apply(&roster, OUTPUT_ADDED, &a, tell, NULL);
        roster_apply(&roster, OUTPUT_REMOVED, &b, tell, NULL);
        cr_assert_str_eq(told, "~a ");

        told[0] = '\0';
        c.vmstatus = (char *) "Paused";
        cr_assert_eq(roster_replace(&roster, after, 2, tell, NULL), 0);
        cr_assert_str_eq(told, "-a +b ~c ");
        cr_assert_eq(roster_replace(&roster, after, 2, tell, NULL), 0);
        cr_assert_str_eq(told, "-a +b ~c ");

        roster_apply(&roster, OUTPUT_REMOVED, &b, tell, NULL);
        cr_assert_eq(roster.n, 1);
        cr_assert_str_eq(told, "-a +b ~c -b ");
        roster_clear(&roster);
}

Test(ctl_output, reason_out_of_debug_info) {
        static const char *const entries[] = { "outer", "inner" };
        _cleanup_(freep) uint8_t *status = NULL;
        _cleanup_(freep) char *reason = NULL, *entry = NULL;
        size_t n;

        status = rpc_status_debug_info(RPC_INVALID_ARGUMENT, "no", entries, 2, "root cause", &n);
        cr_assert_not_null(status);
        reason = debug_info_reason(status, n);
        cr_assert_str_eq(reason, "root cause");
        for (size_t i = 0; i < n; i++) {
                _cleanup_(freep) uint8_t *cut = malloc(i + 1);
                _cleanup_(freep) char *part = NULL;

                memcpy(cut, status, i); /* on the heap, so that a sanitizer sees where it ends */
                part = debug_info_reason(cut, i);
        }
        free(TAKE_PTR(status));
        status = rpc_status_debug_info(RPC_INVALID_ARGUMENT, "no", entries, 2, "", &n);
        entry = debug_info_reason(status, n);
        cr_assert_str_eq(entry, "inner");
        cr_assert_null(debug_info_reason(NULL, 0));
}
