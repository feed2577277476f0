/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verb.h"

#include "text.h"

#define FILTER_OPTIONS (VERB_OPTION_BY_TYPE | VERB_OPTION_BY_NAME)
#define FILTER_HELP                                                                                         \
        "  --by-type=TYPE   Only these: Host, AdmVM, SysVM, AppVM, or VM, Mgr, Svc, App,\n"                 \
        "                   or a component type by number (0 to 14)\n"                                      \
        "  --by-name=NAME   Only those whose name contains NAME or, where it has any of\n"                  \
        "                   *?[, matches it; given several times: any of them\n"
#define SERVICE_HELP                                                                                        \
        "  --vm=VM          Where the units are. A unit written VM/UNIT says so itself.\n"                  \
        "                   Of several, the exit status is that of the first failure.\n"
#define NO_BLOCK_HELP "  --no-block       Do not wait until it is done\n"
#define APP_HELP                                                                                            \
        "  --vm=VM          Where they run, if not in the VM that is named after them.\n"                   \
        "APP is an instance, or the beginning of the names of instances: firefox@\n"
#define FOR_HELP                                                                                            \
        "  --for=STATE      What to wait for: active (default), inactive, failed,\n"                        \
        "                   running, dead, frozen, ...; several: with commas\n"
#define KILL_HELP                                                                                           \
        "  --signal=SIGNAL, -s  By name or number (default: TERM)\n"                                        \
        "  --kill-whom=WHOM     main, control, or all processes (default)\n"
#define NOTIFY_HELP                                                                                         \
        "  --event=, --title=, --message=, --icon=   What is shown\n"                                       \
        "  --urgency=LEVEL                           low, normal (default) or critical\n"
#define LIST_OPTIONS (FILTER_OPTIONS | VERB_OPTION_VM | VERB_OPTION_STATE | VERB_OPTION_SORT)
#define LIST_HELP                                                                                           \
        FILTER_HELP "  --vm=VM          Only those in VM\n"                                                 \
                    "  --state=STATE    Only these: running, poweredoff, paused, online, offline\n"         \
                    "  --sort=COLUMN    By vm (default), name, type, status or since\n"
#define MANAGE(words, options, summary, help)                                                               \
        {                                                                                                   \
                words, "UNIT...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM | (options), false, summary,           \
                                SERVICE_HELP help, verb_manage                                              \
        }
#define AUTH_WHY_HELP                                                                                       \
        "Without --rules, the admin is asked, or VM's agent: by the rules in force there.\n"                \
        "  --vm=VM          That VM's agent\n"                                                              \
        "  --rules=FILE     Ask nobody: Cedar's text, or its JSON format\n"                                 \
        "  --entities=FILE  What there is, and what it is in, as Cedar's JSON\n"                            \
        "  --context=FILE   The context of the request: a JSON object\n"                                    \
        "  --requests=FILE  Many requests, a JSON object a line: principal, action,\n"                      \
        "                   resource, context; -: standard input\n"                                         \
        "Each is Type::\"id\", or a plain name: of a Source, a Command and a Module.\n"
#define AUTH_LINT_HELP                                                                                      \
        "  --rules=FILE     Cedar's text, or its JSON format\n"                                             \
        "  --entities=FILE  What there is, and what it is in, as Cedar's JSON\n"                            \
        "Exit status 0: nothing was found; 1: something was.\n"
#define AUTH_TEST_HELP                                                                                      \
        "  --rules=FILE     Cedar's text, or its JSON format\n"                                             \
        "  --entities=FILE  What there is, and what it is in, as Cedar's JSON\n"                            \
        "FILE has expectations, as a JSON array or a JSON object a line: principal,\n"                      \
        "action, resource, context, expect (allow or deny), by (the rules that decide),\n"                  \
        "name.\n"                                                                                           \
        "Exit status 1: not all of them hold.\n"
#define AGENT_HELP "--name, --addr and --port say which agent; the environment does not.\n"

const struct verb verbs[] = {
        { "query", "", 0, 0, FILTER_OPTIONS, false,
                        "Show what is registered: agents, VMs, services, applications", FILTER_HELP,
                        verb_query },
        { "query-list", "", 0, 0, FILTER_OPTIONS, false,
                        "Show what is registered: agents, VMs, services, applications", FILTER_HELP,
                        verb_query },
        { "list", "", 0, 0, LIST_OPTIONS, false, "Show what is registered, chosen and sorted", LIST_HELP,
                        verb_query },
        { "get-status", "VM UNIT", 2, 2, 0, false, "Show the state of a unit in a VM", NULL,
                        verb_get_status },
        { "list-units", "VM...", 1, VERB_ANY_NUMBER, 0, false,
                        "Show the units of VMs that their agents may control, and how they ended", NULL,
                        verb_list_units },
        { "start app", "APP... [-- ARGUMENT...]", 1, VERB_ANY_NUMBER, VERB_OPTION_VM, false,
                        "Start applications, and the VM if need be",
                        "  --vm=VM          Where (default: APP-vm)\n"
                        "What follows -- is passed to each of them.\n",
                        verb_app },
        { "stop app", "APP...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM, false, "Stop applications", APP_HELP,
                        verb_app },
        { "start vm", "VM...", 1, VERB_ANY_NUMBER, VERB_OPTION_NO_BLOCK, false,
                        "Start VMs, and wait until they run", NO_BLOCK_HELP, verb_start_vm },
        { "stop vm", "VM...", 1, VERB_ANY_NUMBER, VERB_OPTION_NO_BLOCK, false,
                        "Stop VMs, and wait until they are down", NO_BLOCK_HELP, verb_stop_vm },
        { "start service", "UNIT...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM | VERB_OPTION_NO_BLOCK, false,
                        "Start units in VMs; one that runs is left alone", SERVICE_HELP NO_BLOCK_HELP,
                        verb_start_service },
        { "stop service", "UNIT...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM | VERB_OPTION_NO_BLOCK, false,
                        "Stop units in VMs, and wait until they are dead", SERVICE_HELP NO_BLOCK_HELP,
                        verb_stop_service },
        { "pause vm", "VM...", 1, VERB_ANY_NUMBER, 0, false, "Freeze VMs", NULL, verb_pause_vm },
        { "resume vm", "VM...", 1, VERB_ANY_NUMBER, 0, false, "Let frozen VMs run on", NULL,
                        verb_resume_vm },
        { "pause app", "APP...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM, false, "Freeze applications", APP_HELP,
                        verb_app },
        { "resume app", "APP...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM, false,
                        "Let frozen applications run on", APP_HELP, verb_app },
        { "pause", "APP...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM, false, "Freeze applications", APP_HELP,
                        verb_app },
        { "resume", "APP...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM, false, "Let frozen applications run on",
                        APP_HELP, verb_app },
        MANAGE("restart", VERB_OPTION_NO_BLOCK, "Stop units in VMs, and start them again", NO_BLOCK_HELP),
        MANAGE("try-restart", VERB_OPTION_NO_BLOCK, "Restart units in VMs that run", NO_BLOCK_HELP),
        MANAGE("reload", VERB_OPTION_NO_BLOCK, "Have units in VMs read their configuration again",
                        NO_BLOCK_HELP),
        MANAGE("reset-failed", 0, "Forget that units in VMs have failed", ""),
        MANAGE("kill", VERB_OPTION_KILL, "Send a signal to processes of units in VMs", KILL_HELP),
        MANAGE("freeze", 0, "Keep the processes of units in VMs from running", ""),
        MANAGE("thaw", 0, "Let frozen units in VMs run on", ""),
        { "wait", "UNIT...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM | VERB_OPTION_FOR, false,
                        "Wait until units in VMs are in a state", SERVICE_HELP FOR_HELP, verb_wait },
        { "watch", "", 0, 0, VERB_OPTION_INITIAL | VERB_OPTION_LIMIT, false,
                        "Show changes as they happen, one a line",
                        "  --initial        Show first what is there already\n"
                        "  --limit=N        End after N changes (those of --initial do not count)\n",
                        verb_watch },
        { "reboot", "", 0, 0, VERB_OPTION_NO_BLOCK, false, "Reboot the host", NO_BLOCK_HELP, verb_host },
        { "poweroff", "", 0, 0, VERB_OPTION_NO_BLOCK, false, "Switch the host off", NO_BLOCK_HELP,
                        verb_host },
        { "suspend", "", 0, 0, VERB_OPTION_NO_BLOCK, false, "Put the host to sleep", NO_BLOCK_HELP,
                        verb_host },
        { "is-online", "VM", 1, 1, VERB_OPTION_ONLINE, false, "Show whether a VM's agent answers",
                        "  --wait           Wait until it does\n"
                        "  --monitor        Show each change until interrupted\n"
                        "Exit status 0: it is online; 1: it is not.\n",
                        verb_is_online },
        { "get-stats", "VM...", 1, VERB_ANY_NUMBER, 0, false, "Show the load of VMs", NULL, verb_get_stats },
        { "logs", "[VM|VM/UNIT]", 0, 1, VERB_OPTION_VM | VERB_OPTION_LOGS, false, "Show the journal of a VM",
                        "  --vm=VM              Whose, if it is not said so already\n"
                        "  --follow, -f         Show what comes, too, until interrupted\n"
                        "  --unit=UNIT, -u      Of this unit alone\n"
                        "  --lines=N, -n        The newest N; 0: only what comes; all\n"
                        "  --priority=P, -p     At least so grave: 0 to 7, or emerg to debug\n"
                        "  --since=, -S         \"2026-01-02 03:04:05\", 03:04, today, yesterday, "
                        "@SECONDS,\n"
                        "  --until=, -U         or how long ago: 1h\n"
                        "  --after-cursor=CURSOR  What follows the entry with it (see --json)\n",
                        verb_logs },
        { "wakeup", "", 0, 0, 0, false, "Wake the host up", NULL, verb_host },
        { "sysinfo", "", 0, 0, 0, false, "Show what the host is, and how it is secured", NULL,
                        verb_sysinfo },
        { "set-locale", "[KEY=]LOCALE...", 1, VERB_ANY_NUMBER, 0, false,
                        "Set the language of the whole fleet",
                        "KEY is LANG (default) or one of the LC_ names.\n", verb_set_locale },
        { "set-timezone", "ZONE", 1, 1, 0, false, "Set the time zone of the whole fleet", NULL,
                        verb_set_timezone },
        { "notify-user", "VM...", 1, VERB_ANY_NUMBER, VERB_OPTION_NOTIFY, false,
                        "Show a notification on the desktop in a VM", NOTIFY_HELP, verb_notify_user },
        { "update query", "", 0, 0, VERB_OPTION_OFFERS, false,
                        "Show the host's system generations, or what a server offers",
                        "  --source=URL         Ask this server for updates, not the host\n"
                        "  --pin-name=NAME      Of which profile (default: ghaf-updates)\n"
                        "  --current            All of them, not only those that are marked as current\n"
                        "  --raw                Their store paths alone\n",
                        verb_update_query },
        { "update list", "", 0, 0, 0, false, "Show the host's system generations", NULL, verb_update_list },
        { "update cachix", "PIN", 1, 1, VERB_OPTION_CACHIX, false, "Update the host to a pin of a cache",
                        "  --cache=CACHE        (default: ghaf-dev)\n"
                        "  --token=TOKEN        (default: CACHIX_TOKEN of the environment)\n"
                        "  --cachix-host=HOST\n",
                        verb_update_cachix },
        { "ctap", "OPERATION[+ARGUMENT]", 1, 1, 0, false,
                        "Have the security key do something: payload on standard input", NULL, verb_ctap },
        { "auth why", "[PRINCIPAL ACTION RESOURCE]", 0, 3,
                        VERB_OPTION_VM | VERB_OPTION_RULES | VERB_OPTION_REQUESTS, false,
                        "Show what rules decide, and why; nothing is done", AUTH_WHY_HELP, verb_auth_why },
        { "auth log", "", 0, 0, VERB_OPTION_VM | VERB_OPTION_PERMITS | VERB_OPTION_LIMIT, false,
                        "Show the calls that access rules of the fleet deny, as they happen",
                        "  --vm=VM          Of this VM's agent alone\n"
                        "  --permits        And those that they permit\n"
                        "  --limit=N        End after so many\n",
                        verb_auth_log },
        { "auth lint", "", 0, 0, VERB_OPTION_RULES, false,
                        "Find rules that never apply or add nothing, and names that there are not",
                        AUTH_LINT_HELP, verb_auth_lint },
        { "auth test", "FILE...", 1, VERB_ANY_NUMBER, VERB_OPTION_RULES, false,
                        "Test whether rules decide as files of expectations say", AUTH_TEST_HELP,
                        verb_auth_test },
        { "wifi list", "[SSID]", 0, 1, 0, true, "List the wireless networks in sight of a VM", AGENT_HELP,
                        verb_wifi_list },
        { "wifi status", "", 0, 0, 0, true, "Show the wireless network in use", AGENT_HELP, verb_wifi },
        { "wifi connect", "SSID", 1, 1, VERB_OPTION_WIFI, true, "Join a wireless network",
                        "  --password-file=FILE  Its first line is the password; -: standard input.\n"
                        "                        Otherwise it is asked for, on a terminal\n"
                        "  --settings=FILE       JSON, merged into the connection: for 802.1X\n" AGENT_HELP,
                        verb_wifi_connect },
        { "wifi disconnect", "", 0, 0, 0, true, "Leave the wireless network", AGENT_HELP, verb_wifi },
        { "wifi on", "", 0, 0, 0, true, "Switch Wi-Fi on", AGENT_HELP, verb_wifi },
        { "wifi off", "", 0, 0, 0, true, "Switch Wi-Fi off", AGENT_HELP, verb_wifi },
        { "status", "[VM|VM/UNIT|UNIT]", 0, 1, VERB_OPTION_VM, false,
                        "Show a unit, a VM or the fleet on one screen, with the end of its journal",
                        "  --vm=VM          Where the unit is\n"
                        "The exit status is 0 when it is active, or all of the fleet is online; else 1.\n",
                        verb_status },
        { "top", "", 0, 0, VERB_OPTION_INTERVAL | VERB_OPTION_LIMIT, false,
                        "Show the load of all VMs, as it changes",
                        "  --interval=TIME  Between two looks (default: 2s)\n"
                        "  --limit=N        End after so many\n",
                        verb_top },
        { "dump", "[FILE|-]", 0, 1, 0, false, "Collect what is needed to find a fault, in a tar archive",
                        "FILE must not be there yet (default: givc-HOST-TIME.tar); -: standard output.\n"
                        "What cannot be had is named in it, in errors.txt, and on standard error. Each\n"
                        "question waits 10s for its answer, or --timeout. No key or password is in it.\n",
                        verb_dump, 10 * USEC_PER_SEC },
        { "test ensure", "SERVICE", 1, 1, VERB_OPTION_ENSURE | VERB_OPTION_VM, false,
                        "Succeed if it is registered, or comes to be in time",
                        "  --retry=N        Give it that many seconds (default: 1)\n"
                        "  --type=N         Only of that component type, by number or name\n"
                        "  --vm=VM          Only in that VM\n",
                        verb_test_ensure },
        { "unit start", "UNIT", 1, 1, 0, true, "Have an agent start a unit; one that runs is started again",
                        AGENT_HELP, verb_unit },
        { "unit stop", "UNIT", 1, 1, 0, true, "Have an agent stop a unit", AGENT_HELP, verb_unit },
        { "unit kill", "UNIT", 1, 1, 0, true, "Have an agent kill a unit's processes", AGENT_HELP,
                        verb_unit },
        { "unit freeze", "UNIT", 1, 1, 0, true, "Have an agent freeze a unit", AGENT_HELP, verb_unit },
        { "unit thaw", "UNIT", 1, 1, 0, true, "Have an agent let a frozen unit run on", AGENT_HELP,
                        verb_unit },
        { "unit status", "UNIT", 1, 1, 0, true, "Ask an agent for the state of a unit", AGENT_HELP,
                        verb_unit },
        { "unit monitor", "UNIT", 1, 1, 0, true,
                        "Show a unit's use of processor and memory as its agent measures it", AGENT_HELP,
                        verb_unit_monitor },
        {},
};

bool verb_is_of(const struct verb *verb, const char *word) {
        size_t n = strlen(word);

        return strncmp(verb->words, word, n) == 0 && verb->words[n] == ' ';
}

/* How many of words the verb's own are, all of them present; else 0. */
static size_t verb_match(const struct verb *verb, const char *const *words, size_t n_words) {
        if (n_words < 1)
                return 0;
        if (streq(verb->words, words[0]))
                return 1;
        return n_words >= 2 && verb_is_of(verb, words[0]) &&
                                        streq(verb->words + strlen(words[0]) + 1, words[1])
                        ? 2
                        : 0;
}

const struct verb *verb_find(const char *const *words, size_t n_words, size_t *ret_n) {
        for (const struct verb *verb = verbs; verb->words; verb++) {
                size_t n = verb_match(verb, words, n_words);

                if (n > 0) {
                        *ret_n = n;
                        return verb;
                }
        }
        return NULL;
}

char *verb_list(const char *family) {
        _cleanup_(freep) char *list = NULL;

        for (const struct verb *verb = verbs; verb->words; verb++) {
                char *longer;

                if (!verb_is_of(verb, family))
                        continue;
                longer = text_printf("%s%s%s", strempty(list), list ? ", " : "", verb->words);
                if (!longer)
                        return NULL;
                free(list);
                list = longer;
        }
        return list ? TAKE_PTR(list) : strdup("");
}
