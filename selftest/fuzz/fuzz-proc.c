/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts of /proc: the kernel writes them, but processes choose their names. */
#include "fuzz.h"

#include "proc-text.h"
#include "text.h"

/* What we have understood, as the kernel writes it, is understood the same. */
static void check_process(const struct proc_process *process) {
        _cleanup_(freep) char *text = text_printf(
                        "%u (%s) %c 1 1 1 0 -1 0 0 0 0 0 %llu %llu 0 0 20 0 1 0 %llu 0 %llu\n", process->pid,
                        process->name, process->state, (unsigned long long) process->user,
                        (unsigned long long) process->system, (unsigned long long) process->start,
                        (unsigned long long) process->resident);
        struct proc_process again;

        must(text && proc_read_process(text, &again) == 0, "a process can be read again");
        must(again.pid == process->pid && streq(again.name, process->name) &&
                                        again.state == process->state && again.user == process->user &&
                                        again.system == process->system && again.start == process->start &&
                                        again.resident == process->resident,
                        "and is the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *) data, size);
        struct proc_process process;
        struct proc_memory memory;
        struct proc_ticks ticks;
        float load[3];

        if (proc_read_process(text, &process) == 0) {
                must(strlen(process.name) < PROC_NAME_MAX, "a name has an end");
                check_process(&process);
        }
        if (proc_read_memory(text, &memory) == 0)
                must(memory.total > 0, "a machine has memory");
        (void) proc_read_ticks(text, &ticks);
        if (proc_read_load(text, load) == 0)
                must(load[0] >= 0 && load[1] >= 0 && load[2] >= 0, "there is no less load than none");
        return 0;
}
