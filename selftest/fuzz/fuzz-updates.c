/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is to boot: as the host's ota-update prints it, or as a server of updates answers. The first
 * byte says which: even, or odd.
 */
#include "fuzz.h"

#include "generations.h"
#include "text.h"
#include "update-offers.h"

#define ARENA_BYTES (16 * 1024 * 1024)

static void try_generations(const char *text, size_t n) {
        Admin__ListGenerationsResponse response = ADMIN__LIST_GENERATIONS_RESPONSE__INIT;
        _cleanup_(arena_clear) struct arena arena = {};
        const char *problem;
        int r;

        arena_init(&arena, ARENA_BYTES);
        r = generations_read(text, n, &arena, &response, &problem);
        must(r == 0 || r == -EBADMSG, "it is a list, or none");
        must((r < 0) == (problem != NULL), "what is wrong is said");
        if (r < 0)
                return;
        must(protobuf_c_message_check(&response.base), "the answer is a message");
        for (size_t i = 0; i < response.n_list; i++) {
                const Admin__Generation *generation = response.list[i];

                must(generation->generation >= 0, "generations are counted");
                must(text_is_utf8(generation->storepath, strlen(generation->storepath)),
                                "its texts are UTF-8");
                for (size_t k = 0; k < generation->n_specialisations; k++)
                        must(generation->specialisations[k] != NULL, "a specialisation has a name");
        }
}

static size_t try_offers(const char *text, size_t n, bool all) {
        _cleanup_(update_offers_clear) struct update_offers offers = {};
        int r = update_offers_read(&offers, text, n, all);

        must(r == 0 || r == -EBADMSG, "it is a list, or none");
        if (r < 0)
                return SIZE_MAX;
        for (size_t i = 0; i < offers.n; i++) {
                must(offers.offers[i].name && offers.offers[i].path && offers.offers[i].key,
                                "an offer has all texts");
                must(all || offers.offers[i].current, "it is current, or was asked for");
        }
        return offers.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text;
        size_t some, all;

        if (take_byte(&data, &size) % 2 == 0) {
                try_generations((const char *) data, size);
                return 0;
        }
        text = (const char *) data;
        all = try_offers(text, size, true);
        some = try_offers(text, size, false);
        must((some == SIZE_MAX) == (all == SIZE_MAX) && some <= all, "some of them are some of all");
        return 0;
}
