/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts of /proc: the kernel writes them, but processes choose their names. */
#include "fuzz.h"

#include "proc-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *) data, size);
        struct proc_process process;
        struct proc_memory memory;
        struct proc_ticks ticks;
        float load[3];

        if (proc_read_process(text, &process) == 0)
                must(strlen(process.name) < PROC_NAME_MAX, "a name has an end");
        if (proc_read_memory(text, &memory) == 0)
                must(memory.total > 0, "a machine has memory");
        (void) proc_read_ticks(text, &ticks);
        (void) proc_read_load(text, load);
        return 0;
}
