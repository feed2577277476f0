/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The headers of gRPC that we read: grpc-timeout, grpc-message, and "-bin" metadata. */
#include "fuzz.h"

#include "status.h"
#include "text.h"
#include "timeout.h"

static void try_timeout(const char *text) {
        char again[TIMEOUT_TEXT_MAX];
        uint64_t usec, back;

        if (timeout_parse(text, &usec) < 0)
                return;
        timeout_format(usec, again);
        must(timeout_parse(again, &back) == 0, "a timeout of ours can be read");
        must(back <= usec, "a timeout does not get longer");
}

static void try_message(const char *text, size_t n) {
        _cleanup_(freep) char *message = rpc_status_message_decode(text, n), *encoded = NULL, *again = NULL;

        must(message, "there is memory");
        must(text_is_utf8(message, strlen(message)), "a message is UTF-8");
        encoded = rpc_status_message_encode(message, SIZE_MAX);
        for (const char *p = encoded; *p; p++)
                must(*p >= 0x20 && *p < 0x7F, "it travels in printable ASCII");
        again = rpc_status_message_decode(encoded, strlen(encoded));
        must(streq(again, message), "a message comes back as it was");
}

static void try_base64(const char *text, size_t n) {
        _cleanup_(freep) char *encoded = NULL;
        _cleanup_(freep) uint8_t *bytes = NULL, *again = NULL;
        size_t n_bytes, n_again;

        if (rpc_base64_decode(text, n, &bytes, &n_bytes) < 0)
                return;
        encoded = rpc_base64_encode(bytes, n_bytes);
        must(rpc_base64_decode(encoded, strlen(encoded), &again, &n_again) == 0,
                        "what we encode can be read");
        must(n_again == n_bytes && memcmp(again, bytes, n_bytes) == 0, "bytes come back as they were");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = strndup((const char *) data, size);

        try_timeout(text);
        try_message((const char *) data, size);
        try_base64((const char *) data, size);
        return 0;
}
