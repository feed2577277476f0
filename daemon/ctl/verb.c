/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verb.h"

#include "text.h"

#define FILTER_OPTIONS (VERB_OPTION_BY_TYPE | VERB_OPTION_BY_NAME)
#define FILTER_HELP                                                                                         \
        "  --by-type=TYPE   Only these: Host, AdmVM, SysVM, AppVM, or VM, Mgr, Svc, App,\n"                 \
        "                   or a component type by number (0 to 14)\n"                                      \
        "  --by-name=NAME   Only those whose name contains NAME or, where it has any of\n"                  \
        "                   *?[, matches it\n"
#define SERVICE_HELP                                                                                        \
        "  --vm=VM          Where the units are. A unit written VM/UNIT says so itself.\n"                  \
        "Several units are handled at once; the exit status is that of the first failure.\n"
#define AGENT_HELP "--name, --addr and --port say which agent; GIVC_NAME, GIVC_ADDR and GIVC_PORT do not.\n"

const struct verb verbs[] = {
        { "query", "", 0, 0, FILTER_OPTIONS, false,
                        "Show what is registered: agents, VMs, services, applications", FILTER_HELP,
                        verb_query },
        { "query-list", "", 0, 0, FILTER_OPTIONS, false,
                        "Show what is registered: agents, VMs, services, applications", FILTER_HELP,
                        verb_query },
        { "get-status", "VM UNIT", 2, 2, 0, false, "Show the state of a unit in a VM", NULL,
                        verb_get_status },
        { "start vm", "VM...", 1, VERB_ANY_NUMBER, 0, false, "Start VMs, and wait until they run", NULL,
                        verb_start_vm },
        { "start service", "UNIT...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM, false,
                        "Start units in VMs; one that runs is left alone", SERVICE_HELP,
                        verb_start_service },
        { "stop service", "UNIT...", 1, VERB_ANY_NUMBER, VERB_OPTION_VM, false,
                        "Stop units in VMs, and wait until they are dead", SERVICE_HELP, verb_stop_service },
        { "watch", "", 0, 0, VERB_OPTION_INITIAL | VERB_OPTION_LIMIT, false,
                        "Show changes as they happen, one a line",
                        "  --initial        Show first what is there already\n"
                        "  --limit=N        End after N changes (those of --initial do not count)\n",
                        verb_watch },
        { "reboot", "", 0, 0, 0, false, "Reboot the host", NULL, verb_host },
        { "poweroff", "", 0, 0, 0, false, "Switch the host off", NULL, verb_host },
        { "suspend", "", 0, 0, 0, false, "Put the host to sleep", NULL, verb_host },
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

/* How many of words the verb's own are, all of them present; else 0. */
static size_t verb_match(const struct verb *verb, const char *const *words, size_t n_words) {
        const char *second = strchr(verb->words, ' ');
        size_t n = second ? (size_t) (second - verb->words) : strlen(verb->words);

        if (n_words < 1 || strlen(words[0]) != n || memcmp(words[0], verb->words, n) != 0)
                return 0;
        if (!second)
                return 1;
        return n_words >= 2 && streq(words[1], second + 1) ? 2 : 0;
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

char *verb_list(void) {
        _cleanup_(freep) char *list = NULL;

        for (const struct verb *verb = verbs; verb->words; verb++) {
                char *longer = text_printf("%s%s%s", strempty(list), list ? ", " : "", verb->words);

                if (!longer)
                        return NULL;
                free(list);
                list = longer;
        }
        return TAKE_PTR(list);
}
