/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "echo-common.h"

#include "lines.h"
#include "text.h"

struct tls_context *echo_load_tls(const char *directory) {
        _cleanup_(freep) char *ca = text_printf("%s/ca-cert.pem", directory);
        _cleanup_(freep) char *certificate = text_printf("%s/cert.pem", directory);
        _cleanup_(freep) char *key = text_printf("%s/key.pem", directory);
        _cleanup_(freep) char *error = NULL;
        struct tls_context *tls;

        if (tls_context_new(&tls, ca, certificate, key, &error) < 0)
                lines_fail("%s", strempty(error));
        return tls;
}

uint64_t echo_read_number(const char *text) {
        uint64_t value;

        if (text_to_uint(text, UINT64_MAX, &value) < 0)
                lines_fail("%s is not a number", text);
        return value;
}
