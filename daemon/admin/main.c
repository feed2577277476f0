/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"
#include "manager.h"

#include <sysexits.h>

int main(int argc, char **argv) {
        _cleanup_(manager_freep) struct manager *manager = NULL;
        _cleanup_(options_clear) struct options options = {};
        int r;

        log_open();
        r = options_parse(&options, argc, argv);
        if (r == 0)
                return EXIT_SUCCESS;
        if (r == -ENOMEM) {
                log_error_errno(r, "Cannot read the command line");
                return EXIT_FAILURE;
        }
        if (r < 0)
                return EX_USAGE;
        if (options.debug)
                log_set_max_level(LOG_DEBUG);

        r = manager_new(&manager, &options);
        if (r < 0)
                return EXIT_FAILURE;
        r = manager_run(manager);
        return r < 0 ? EXIT_FAILURE : r;
}
