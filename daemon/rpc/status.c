/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "status.h"

#include "text.h"

const char *rpc_code_name(enum rpc_code code) {
        static const char *const names[_RPC_CODE_MAX] = {
                [RPC_OK] = "OK",
                [RPC_CANCELLED] = "CANCELLED",
                [RPC_UNKNOWN] = "UNKNOWN",
                [RPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
                [RPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
                [RPC_NOT_FOUND] = "NOT_FOUND",
                [RPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
                [RPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
                [RPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
                [RPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
                [RPC_ABORTED] = "ABORTED",
                [RPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
                [RPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
                [RPC_INTERNAL] = "INTERNAL",
                [RPC_UNAVAILABLE] = "UNAVAILABLE",
                [RPC_DATA_LOSS] = "DATA_LOSS",
                [RPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
        };

        return (unsigned) code < _RPC_CODE_MAX ? names[code] : names[RPC_UNKNOWN];
}

/* Status-Message: what PROTOCOL-HTTP2 calls Percent-Byte-Unencoded is every printable ASCII character but
 * '%' */
static bool goes_plain(const char *message, size_t i) {
        unsigned char c = (unsigned char) message[i];

        /* RFC 9113, 8.2.1: no field value starts or ends with a space; who is strict resets the stream. */
        if (c == ' ' && (i == 0 || !message[i + 1]))
                return false;
        return c >= 0x20 && c <= 0x7E && c != '%';
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

/* How much of message, in whole UTF-8 characters, takes at most max bytes when encoded; *ret_n is how many.
 */
static size_t measure(const char *message, size_t max, size_t *ret_n) {
        size_t whole = 0, n_whole = 0, n = 0, i;

        for (i = 0; message[i]; i++) {
                unsigned char c = (unsigned char) message[i];

                if ((c & 0xC0) != 0x80) {
                        whole = i;
                        n_whole = n;
                }
                n += goes_plain(message, i) ? 1 : 3;
                if (n > max) {
                        *ret_n = n_whole;
                        return whole;
                }
        }
        *ret_n = n;
        return i;
}

char *rpc_status_message_encode(const char *message, size_t max) {
        static const char digits[] = "0123456789ABCDEF";
        size_t length, n;
        char *out, *to;

        length = measure(message, max, &n);
        /* Where it was cut, too. */
        while (length > 1 && message[length] && message[length - 1] == ' ')
                length--;
        out = to = malloc(n + 1);
        if (!out)
                return NULL;
        for (size_t i = 0; i < length; i++) {
                unsigned char c = (unsigned char) message[i];

                if (goes_plain(message, i)) {
                        *to++ = (char) c;
                        continue;
                }
                *to++ = '%';
                *to++ = digits[c >> 4];
                *to++ = digits[c & 0xF];
        }
        *to = '\0';
        return out;
}

/* The byte that the escape at text stands for, or -1. %00 counts as none: it would cut the text short. */
static int read_escape(const char *text, size_t n) {
        int high, low;

        if (n < 3 || text[0] != '%')
                return -1;
        high = hex_digit(text[1]);
        low = hex_digit(text[2]);
        if (high < 0 || low < 0 || high + low == 0)
                return -1;
        return high << 4 | low;
}

char *rpc_status_message_decode(const char *text, size_t n) {
        char *out = malloc(n + 1), *to = out;

        if (!out)
                return NULL;
        for (size_t i = 0; i < n;) {
                int c = read_escape(text + i, n - i);

                *to++ = c < 0 ? text[i] : (char) c;
                i += c < 0 ? 1 : 3;
        }
        *to = '\0';
        if (text_is_utf8(out, (size_t) (to - out)))
                return out;

        /* "abort decoding [...] altogether such that the user would received the raw percent-encoded form"
         */
        for (size_t i = 0; i < n; i++)
                out[i] = (text[i] & 0x80) != 0 ? '?' : text[i];
        out[n] = '\0';
        return out;
}

/* Base64: RFC 4648, section 4 */

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *rpc_base64_encode(const uint8_t *data, size_t n) {
        char *out = malloc(n / 3 * 4 + 4), *to = out;
        uint32_t bits = 0;
        unsigned n_bits = 0;

        if (!out)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                bits = bits << 8 | data[i];
                for (n_bits += 8; n_bits >= 6; n_bits -= 6)
                        *to++ = base64_alphabet[bits >> (n_bits - 6) & 0x3F];
        }
        if (n_bits > 0)
                *to++ = base64_alphabet[bits << (6 - n_bits) & 0x3F];
        *to = '\0';
        return out;
}

static int base64_digit(char c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        if (c == '+')
                return 62;
        if (c == '/')
                return 63;
        return -1;
}

/* n without padding. Padding, where there is any, has to fill the last group of four. */
static size_t base64_unpadded(const char *text, size_t n) {
        if (n == 0 || n % 4 != 0 || text[n - 1] != '=')
                return n;
        return text[n - 2] == '=' ? n - 2 : n - 1;
}

int rpc_base64_decode(const char *text, size_t n, uint8_t **ret, size_t *ret_n) {
        _cleanup_(freep) uint8_t *out = NULL;
        uint32_t bits = 0;
        unsigned n_bits = 0;
        uint8_t *to;

        n = base64_unpadded(text, n);
        if (n % 4 == 1)
                return -EINVAL;
        out = to = malloc(n / 4 * 3 + 3);
        if (!out)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int digit = base64_digit(text[i]);

                if (digit < 0)
                        return -EINVAL;
                bits = bits << 6 | (uint32_t) digit;
                n_bits += 6;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        *to++ = (uint8_t) (bits >> n_bits);
                }
        }

        *ret_n = (size_t) (to - out);
        *ret = TAKE_PTR(out);
        return 0;
}

/*
 * google.rpc.Status (google/rpc/status.proto):        code = 1 int32, message = 2 string, details = 3
 * repeated Any google.protobuf.Any (google/protobuf/any.proto):    type_url = 1 string, value = 2 bytes
 * google.rpc.DebugInfo (google/rpc/error_details.proto): stack_entries = 1 repeated string, detail = 2
 * string
 *
 * Every tag that occurs is one byte, and all but code are length-delimited: too little for three generated
 * messages.
 */
#define DEBUG_INFO_URL "type.googleapis.com/google.rpc.DebugInfo"

enum {
        WIRE_VARINT = 0,
        WIRE_BYTES = 2,
};

static size_t varint_size(size_t value) {
        size_t n = 1;

        for (; value >= 0x80; value >>= 7)
                n++;
        return n;
}

/* Tag, length and bytes of a length-delimited field. */
static size_t field_size(size_t n) {
        return 1 + varint_size(n) + n;
}

static uint8_t *put_varint(uint8_t *to, size_t value) {
        for (; value >= 0x80; value >>= 7)
                *to++ = (uint8_t) (value | 0x80);
        *to++ = (uint8_t) value;
        return to;
}

static uint8_t *put_header(uint8_t *to, unsigned field, size_t n) {
        *to++ = (uint8_t) (field << 3 | WIRE_BYTES);
        return put_varint(to, n);
}

static uint8_t *put_text(uint8_t *to, unsigned field, const char *text) {
        size_t n = strlen(text);

        to = put_header(to, field, n);
        memcpy(to, text, n);
        return to + n;
}

uint8_t *rpc_status_debug_info(enum rpc_code code, const char *message, const char *const *entries,
                size_t n_entries, const char *detail, size_t *ret_n) {
        size_t info, any, n;
        uint8_t *out, *to;

        info = field_size(strlen(detail));
        for (size_t i = 0; i < n_entries; i++)
                info += field_size(strlen(entries[i]));
        any = field_size(strlen(DEBUG_INFO_URL)) + field_size(info);
        n = 1 + varint_size(code) + field_size(strlen(message)) + field_size(any);

        out = to = malloc(n);
        if (!out)
                return NULL;
        *to++ = 1 << 3 | WIRE_VARINT;
        to = put_varint(to, code);
        to = put_text(to, 2, message);
        to = put_header(to, 3, any);
        to = put_text(to, 1, DEBUG_INFO_URL);
        to = put_header(to, 2, info);
        for (size_t i = 0; i < n_entries; i++)
                to = put_text(to, 1, entries[i]);
        (void) put_text(to, 2, detail);

        *ret_n = n;
        return out;
}
