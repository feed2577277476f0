/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said on the socket of the figures. */
#include "fuzz.h"

#include "metrics-request.h"

/* Parsed as it comes in, a byte more each time: a request that is whole stays what it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        enum metrics_request first = METRICS_REQUEST_MORE;
        const char *text = (const char *) data;
        size_t n;

        size = MIN(size, (size_t) METRICS_REQUEST_MAX);
        for (n = 0; n <= size && first == METRICS_REQUEST_MORE; n++)
                first = metrics_request_parse(text, n, false);
        must(first != METRICS_REQUEST_PLAIN, "as long as more may follow, nothing is no request");
        must(first != METRICS_REQUEST_MORE || size < METRICS_REQUEST_MAX, "there is a bound");
        must(metrics_request_parse(text, size, true) != METRICS_REQUEST_MORE, "the end is the end");
        must((metrics_request_parse(text, size, true) == METRICS_REQUEST_PLAIN) == (size == 0),
                        "plain is who says nothing");
        if (first != METRICS_REQUEST_MORE) {
                must(metrics_request_parse(text, size, false) == first, "what follows changes nothing");
                must(strlen(metrics_request_status(first)) > 4, "it has a status");
        }
        return 0;
}
