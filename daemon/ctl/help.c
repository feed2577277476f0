/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "help.h"

#include "verb.h"

static const char verbs_help[] =
                "  status [VM|VM/UNIT], list, query, query-list, top\n"
                "  list-units VM..., get-status VM UNIT, get-stats VM, is-online VM\n"
                "  start|stop|pause|resume app APP...|vm VM...     Applications and VMs (--vm=)\n"
                "  start|stop service UNIT...      Units in VMs (--vm=VM, or VM/UNIT)\n"
                "  restart, try-restart, reload, reset-failed, kill, freeze, thaw UNIT...\n"
                "  wait UNIT... --for=STATE        Wait until units are in a state\n"
                "  watch; logs --vm=VM; dump       Changes; a VM's journal; all, for support\n"
                "  reboot, poweroff, suspend, wakeup, sysinfo, update query|list|cachix PIN\n"
                "  set-locale LOCALE..., set-timezone ZONE         Of the whole fleet\n"
                "  notify-user VM..., ctap OPERATION[+ARGUMENT]\n"
                "  auth why|log|test|lint, test ensure SERVICE     Access rules; is it registered\n"
                "  wifi list|status|connect SSID|disconnect|on|off Ask an agent itself\n"
                "  unit VERB UNIT                  The same: status, monitor, ...\n";

static const char options_help[] =
                "  --addr=ADDR --port=PORT   Where the admin is: IP, host name, Unix path, @name\n"
                "  --vsock=CID:PORT          The same on vsock\n"
                "  --name=NAME               Name in its certificate (default: admin-vm)\n"
                "  --cacert= --cert= --key=  PEM files (default: in /etc/givc)\n"
                "  --notls                   In clear\n"
                "  --timeout=TIME            Give up after 60s, or this: 5, 90s, 2min, infinity\n"
                "  --json                    Print JSON\n"
                "  -h --help, -V --version   Help on a verb, too: givcctl watch --help\n";

static bool print_family(FILE *file, const char *family) {
        const char *name = program_invocation_short_name;
        bool any = false;

        for (const struct verb *verb = verbs; verb->words; verb++) {
                if (!verb_is_of(verb, family))
                        continue;
                any = true;
                fprintf(file, "%s [OPTION...] %s%s%s\n      %s.\n", name, verb->words,
                                *verb->arguments ? " " : "", verb->arguments, verb->summary);
        }
        if (any)
                fprintf(file, "\n'%s %s WORD --help' says more of each.\n", name, family);
        return any;
}

void help_print(FILE *file, const struct verb *verb, const char *family) {
        const char *name = program_invocation_short_name;

        if (!verb && family && print_family(file, family))
                return;
        if (verb) {
                fprintf(file, "%s [OPTION...] %s%s%s\n\n%s.\n", name, verb->words,
                                *verb->arguments ? " " : "", verb->arguments, verb->summary);
                if (verb->details)
                        fprintf(file, "\n%s", verb->details);
                fputc('\n', file);
                if (!strchr(verb->words, ' '))
                        print_family(file, verb->words);
                fprintf(file, "'%s --help' lists the options for every verb.\n", name);
                return;
        }
        fprintf(file, "%s [OPTION...] VERB ...\n\n%s\n%s", name, verbs_help, options_help);
}
