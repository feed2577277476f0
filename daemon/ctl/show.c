/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "show.h"

#include "failure.h"
#include "options.h"
#include "output.h"

int show_status(const struct options *options, const Systemd__UnitStatus *status) {
        int r = 0;

        if (options->json)
                r = output_json(stdout, output_status_json(status));
        else if (options->compatible)
                r = output_status_deployed(stdout, status);
        else
                output_status(stdout, status);
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}
