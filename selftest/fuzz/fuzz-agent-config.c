/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent's configuration: not hostile, but written by people. */
#include "fuzz.h"

#include "config.h"
#include "text.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static int fd = -1;
        _cleanup_(freep) char *path = NULL, *error = NULL;
        struct config config;
        int r;

        if (fd < 0)
                fd = memfd_create("config", MFD_CLOEXEC);
        must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t) size, "a file can be written");
        path = text_printf("/proc/self/fd/%i", fd);
        r = config_load(&config, path, &error);
        must((r < 0) == (error != NULL), "an error has a text, and success has none");
        if (r < 0) {
                must(startswith(error, path), "an error names the file");
                return 0;
        }
        must(config.name && config.agent && config.services && config.warnings, "what is never NULL is not");
        must(text_is_host_name(config.name) && text_is_unit_name(config.agent), "an agent has a name");
        for (char **unit = config.services; *unit; unit++)
                must(text_is_unit_name(*unit), "a service is a unit");
        for (char **unit = config.system_vms; *unit; unit++)
                must(text_is_unit_name(*unit), "and so is a VM's");
        config_clear(&config);
        return 0;
}
