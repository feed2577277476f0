/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent's bookkeeping of policies, as somebody else may have left it. */
#include "fuzz.h"

#include "policy-book.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char sha[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        static char local[] = "local", placed[] = "placed", store[] = "", path[] = "/etc/placed";
        static struct config_policy policies[] = { { local, store }, { placed, path } };
        static const struct config config = { .policy = { .policies = policies, .n_policies = 2 } };
        _cleanup_(freep) char *once = NULL, *twice = NULL;
        json_t *book;

        once = policy_book_update((const char *) data, size, &config, &policies[1], sha);
        must(once != NULL, "there is always a book");
        book = json_loads(once, JSON_REJECT_DUPLICATES, NULL);
        must(json_object_size(book) == 2, "it has the policies of the configuration");
        json_decref(book);
        twice = policy_book_update(once, strlen(once), &config, &policies[1], sha);
        must(twice && streq(once, twice), "it reads what it has written");
        return 0;
}
