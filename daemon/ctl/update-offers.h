/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a server of updates answers: a JSON array of {name, storePath, current, pubKey}. */

#include "util.h"

#include <jansson.h>

struct update_offer {
        const char *name, *path, *key;
        int current;
};

struct update_offers {
        struct update_offer *offers;
        size_t n;
        json_t *json; /* into which they point */
};

/*
 * Those that are wanted: as the deployed command chooses, without all those alone that are marked as
 * current. 0; -EBADMSG: that is no list of updates; -ENOMEM. In each case update_offers_clear() is due.
 */
int update_offers_read(struct update_offers *ret, const char *text, size_t n, bool all);
void update_offers_clear(struct update_offers *offers);
