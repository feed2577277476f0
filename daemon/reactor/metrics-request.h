/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What somebody who has connected for our figures asks for: HTTP/1.1 (RFC 9112), or nothing at all. */

#include "util.h"

/* Headers of scrapers take a few hundred bytes. */
#define METRICS_REQUEST_MAX 4096

enum metrics_request {
        METRICS_REQUEST_MORE,  /* it is not all there yet */
        METRICS_REQUEST_PLAIN, /* no HTTP: the text alone */
        METRICS_REQUEST_GET,
        METRICS_REQUEST_HEAD,
        METRICS_REQUEST_NOT_FOUND,
        METRICS_REQUEST_NOT_ALLOWED, /* neither GET nor HEAD */
        METRICS_REQUEST_TOO_LARGE,
        METRICS_REQUEST_BAD,
};

/* Of what has been sent so far; at_end: nothing follows. */
enum metrics_request metrics_request_parse(const char *data, size_t n, bool at_end);

/* "200 OK" and the like. */
const char *metrics_request_status(enum metrics_request request);
