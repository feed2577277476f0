/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include "text.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <strings.h>

/* To a terminal of another character set parts of characters may be controls. Who has set no locale has not
 * said that the terminal is an old one. */
static bool locale_is_utf8(void) {
        static const char *const variables[] = { "LC_ALL", "LC_CTYPE", "LANG" };
        const char *name = NULL, *codeset;

        for (size_t i = 0; i < ELEMENTSOF(variables) && isempty(name); i++)
                name = getenv(variables[i]);
        if (isempty(name) || streq(name, "C") || streq(name, "POSIX"))
                return true;
        codeset = strchr(name, '.');
        codeset = setlocale(LC_CTYPE, "") ? nl_langinfo(CODESET) : codeset ? codeset + 1 : "UTF-8";
        return strncasecmp(codeset, "UTF", 3) == 0;
}

static bool takes_utf8(FILE *file) {
        return !isatty(fileno(file)) || locale_is_utf8();
}

static bool is_ascii(const char *text, size_t n) {
        for (size_t i = 0; i < n; i++)
                if ((uint8_t) text[i] >= 0x80)
                        return false;
        return true;
}

void output_bytes(FILE *file, const char *text, size_t n) {
        bool utf8 = is_ascii(text, n) || (text_is_utf8(text, n) && takes_utf8(file));

        for (const char *s = text, *end = text + n; s < end;) {
                size_t hidden = utf8 || (uint8_t) *s < 0x80 ? text_hidden_length(s, (size_t) (end - s)) : 1;

                if (hidden == 0)
                        fputc(*s++, file);
                for (; hidden > 0; hidden--)
                        fprintf(file, "\\x%02x", (uint8_t) *s++);
        }
}

void output_text(FILE *file, const char *text) {
        output_bytes(file, text, strlen(text));
}

static void print_padded(FILE *file, const char *text, size_t width) {
        size_t n = strlen(text);

        output_text(file, text);
        for (; n < width; n++)
                fputc(' ', file);
}

const char *output_time(uint64_t usec, char text[OUTPUT_TIME]) {
        time_t seconds = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;

        if (!localtime_r(&seconds, &tm) || strftime(text, OUTPUT_TIME, "%F %T", &tm) == 0)
                text[0] = '\0';
        return text;
}

int output_event(FILE *file, enum output_event event, const Admin__QueryListItem *item, uint64_t at_usec) {
        static const char *const names[] = {
                [OUTPUT_PRESENT] = "present",
                [OUTPUT_ADDED] = "added",
                [OUTPUT_CHANGED] = "changed",
                [OUTPUT_REMOVED] = "removed",
        };
        const char *vm = item->vm_name_presence_case ? item->vmname : "";
        char date[OUTPUT_TIME];

        fprintf(file, "%s.%03u  %-7s  ", output_time(at_usec, date),
                        (unsigned) (at_usec % USEC_PER_SEC / USEC_PER_MSEC), names[event]);
        print_padded(file, item->name, 28);
        fputs("  ", file);
        print_padded(file, isempty(vm) ? "-" : vm, 12);
        fputs("  ", file);
        print_padded(file, item->vmstatus, item->online_presence_case || !isempty(item->result) ? 10 : 0);
        if (item->online_presence_case)
                fputs(item->online ? "  online" : "  offline", file);
        if (!isempty(item->result)) {
                fputs("  ", file);
                output_text(file, item->result);
        }
        fputc('\n', file);
        return 0;
}

void output_log(FILE *file, const Logs__LogEntry *entry) {
        bool is_error = entry->priority <= 3 && output_may_colour(file);
        char date[OUTPUT_TIME];

        fprintf(file, "%s ", output_time(entry->realtimeusec, date));
        output_text(file, entry->identifier);
        if (entry->pid > 0)
                fprintf(file, "[%" PRIu32 "]", entry->pid);
        fputs(is_error ? ": \033[31m" : ": ", file);
        output_text(file, entry->message);
        fputs(is_error ? "\033[0m\n" : "\n", file);
}

void output_labelled(FILE *file, const char *label, const char *text, const char *more) {
        if (isempty(text))
                return;
        fprintf(file, "%11s: ", label);
        output_text(file, text);
        if (!isempty(more)) {
                fputs(" (", file);
                output_text(file, more);
                fputc(')', file);
        }
        fputc('\n', file);
}

void output_status(FILE *file, const Systemd__UnitStatus *status) {
        output_text(file, status->name);
        if (!isempty(status->description)) {
                fputs(" - ", file);
                output_text(file, status->description);
        }
        fputc('\n', file);
        output_labelled(file, "Loaded", status->loadstate, NULL);
        output_labelled(file, "Active", status->activestate, status->substate);
        /* A unit that is not frozen has the state "running", dead ones, too. */
        if (!streq(status->freezerstate, "running"))
                output_labelled(file, "Freezer", status->freezerstate, NULL);
}
