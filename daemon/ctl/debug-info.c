/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "debug-info.h"

/* google/rpc/status.proto, google/protobuf/any.proto, google/rpc/error_details.proto: the fields that matter
 * here. */
#define STATUS_DETAILS         3
#define ANY_TYPE_URL           1
#define ANY_VALUE              2
#define DEBUG_INFO_STACK_ENTRY 1
#define DEBUG_INFO_DETAIL      2
#define DEBUG_INFO_URL         "type.googleapis.com/google.rpc.DebugInfo"

/* https://protobuf.dev/programming-guides/encoding/#structure */
enum wire_type {
        WIRE_VARINT = 0,
        WIRE_I64 = 1,
        WIRE_LEN = 2,
        WIRE_I32 = 5,
};

/* What is left to read of a serialised message, and the field read last. */
struct fields {
        const uint8_t *at, *end;
        uint64_t number;
        const uint8_t *value; /* of a WIRE_LEN field, else NULL */
        size_t n_value;
};

static bool read_varint(struct fields *fields, uint64_t *ret) {
        uint64_t value = 0;

        for (unsigned shift = 0; shift < 64 && fields->at < fields->end; shift += 7) {
                uint8_t byte = *fields->at++;

                value |= (uint64_t) (byte & 0x7f) << shift;
                if (!(byte & 0x80)) {
                        *ret = value;
                        return true;
                }
        }
        return false;
}

static bool skip(struct fields *fields, uint64_t n) {
        if (n > (uint64_t) (fields->end - fields->at))
                return false;
        fields->at += n;
        return true;
}

/* False at the end, and at anything malformed. */
static bool fields_next(struct fields *fields) {
        uint64_t tag, n;

        fields->value = NULL;
        if (!read_varint(fields, &tag))
                return false;
        fields->number = tag >> 3;
        switch (tag & 7) {
        case WIRE_VARINT:
                return read_varint(fields, &n);
        case WIRE_I64:
                return skip(fields, 8);
        case WIRE_I32:
                return skip(fields, 4);
        case WIRE_LEN:
                if (!read_varint(fields, &n))
                        return false;
                fields->value = fields->at;
                fields->n_value = (size_t) n;
                return skip(fields, n);
        default:
                return false;
        }
}

static char *reason_of_debug_info(const uint8_t *message, size_t n) {
        struct fields fields = { .at = message, .end = message + n };
        const uint8_t *reason = NULL;
        size_t n_reason = 0;
        bool is_detail = false;

        while (fields_next(&fields)) {
                bool detail = fields.number == DEBUG_INFO_DETAIL;

                if (!fields.value || fields.n_value == 0)
                        continue;
                if (!detail && (is_detail || fields.number != DEBUG_INFO_STACK_ENTRY))
                        continue;
                reason = fields.value;
                n_reason = fields.n_value;
                is_detail = detail;
        }
        return reason ? strndup((const char *) reason, n_reason) : NULL;
}

static char *reason_of_any(const uint8_t *message, size_t n) {
        struct fields fields = { .at = message, .end = message + n };
        const uint8_t *value = NULL;
        size_t n_value = 0;
        bool ours = false;

        while (fields_next(&fields)) {
                if (!fields.value)
                        continue;
                if (fields.number == ANY_TYPE_URL)
                        ours = fields.n_value == strlen(DEBUG_INFO_URL) &&
                                        memcmp(fields.value, DEBUG_INFO_URL, fields.n_value) == 0;
                if (fields.number == ANY_VALUE) {
                        value = fields.value;
                        n_value = fields.n_value;
                }
        }
        return ours && value ? reason_of_debug_info(value, n_value) : NULL;
}

char *debug_info_reason(const uint8_t *status, size_t n) {
        struct fields fields = { .at = status, .end = status + n };

        if (!status)
                return NULL;
        while (fields_next(&fields)) {
                char *reason;

                if (fields.number != STATUS_DETAILS || !fields.value)
                        continue;
                reason = reason_of_any(fields.value, fields.n_value);
                if (reason)
                        return reason;
        }
        return NULL;
}
