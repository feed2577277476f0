/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "update-offers.h"

static int read_offer(const json_t *json, struct update_offer *ret) {
        /* json_unpack() does not change it. */
        return json_unpack((json_t *) json, "{s:s,s:s,s:b,s:s}", "name", &ret->name, "storePath", &ret->path,
                               "current", &ret->current, "pubKey", &ret->key) < 0
                        ? -EBADMSG
                        : 0;
}

int update_offers_read(struct update_offers *ret, const char *text, size_t n, bool all) {
        *ret = (struct update_offers){ .json = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) };
        if (!json_is_array(ret->json))
                return -EBADMSG;
        ret->offers = calloc(json_array_size(ret->json) + 1, sizeof(*ret->offers));
        if (!ret->offers)
                return -ENOMEM;
        for (size_t i = 0; i < json_array_size(ret->json); i++) {
                struct update_offer *offer = &ret->offers[ret->n];
                int r = read_offer(json_array_get(ret->json, i), offer);

                if (r < 0)
                        return r;
                ret->n += all || offer->current;
        }
        return 0;
}

void update_offers_clear(struct update_offers *offers) {
        free(offers->offers);
        json_decref(offers->json);
        *offers = (struct update_offers){};
}
