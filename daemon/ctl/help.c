/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "help.h"

#include "verb.h"

static const char verbs_help[] =
                "  query, query-list         Show all that is registered (--by-type=, --by-name=)\n"
                "  get-status VM UNIT        Show the state of a unit in a VM\n"
                "  start vm VM...            Start VMs\n"
                "  start service UNIT...     Start units in a VM (--vm=VM)\n"
                "  stop service UNIT...      Stop units in a VM (--vm=VM)\n"
                "  watch                     Show changes as they happen (--initial, --limit=N)\n"
                "  reboot, poweroff, suspend The host\n"
                "  unit VERB UNIT            Ask an agent itself: start, stop, kill, freeze,\n"
                "                            thaw, status, monitor\n";

static const char options_help[] =
                "  --addr=ADDR --port=PORT   Where the admin is: IP, host name, Unix path, @name\n"
                "  --vsock=CID:PORT          The same on vsock\n"
                "  --name=NAME               Name in its certificate (default: admin-vm)\n"
                "  --cacert= --cert= --key=  PEM files (default: in /etc/givc)\n"
                "  --notls                   In clear\n"
                "  --timeout=TIME            Give up after 60s, or this: 5, 90s, 2min, infinity\n"
                "  --json                    Print JSON\n"
                "  -h --help, -V --version   Help on a verb, too: givcctl watch --help\n";

void help_print(FILE *file, const struct verb *verb) {
        const char *name = program_invocation_short_name;

        if (verb) {
                fprintf(file, "%s [OPTION...] %s%s%s\n\n%s.\n", name, verb->words,
                                *verb->arguments ? " " : "", verb->arguments, verb->summary);
                if (verb->details)
                        fprintf(file, "\n%s", verb->details);
                fprintf(file, "\n'%s --help' lists the options for every verb.\n", name);
                return;
        }
        fprintf(file, "%s [OPTION...] VERB ...\n\n%s\n%s", name, verbs_help, options_help);
}
