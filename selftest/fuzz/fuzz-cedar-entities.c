/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entities out of JSON. */
#include "fuzz.h"

#include "cedar-entities.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(cedar_entities_freep) struct cedar_entities *entities = NULL;
        _cleanup_(freep) char *error = NULL;
        int r = cedar_entities_new(&entities, "entities", (const char *) data, size, &error);

        must(r == 0 || (r == -EINVAL && error), "what cannot be read is said to be so");
        return 0;
}
