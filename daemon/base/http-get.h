/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What our programs that fetch by HTTP have in common. Apart from base, which links no libcurl. */

#include "buffer.h"

#include <curl/curl.h>

struct http_get {
        struct buffer body; /* for the owner to clear */
        size_t max; /* bytes: a body that is longer ends with CURLE_WRITE_ERROR, as does want of memory */
};

/*
 * Prepares curl for a GET of url by http or https, never from https to http, within so many seconds. error:
 * CURL_ERROR_SIZE bytes, "", that last as long as curl, as must get. False: out of memory, or a libcurl that
 * cannot do this.
 */
bool http_get_set_up(CURL *curl, const char *url, long seconds, struct http_get *get, char *error);
