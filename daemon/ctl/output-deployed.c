/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the deployed command prints where it prints no JSON, and what scripts may read: answers as Rust's
 * Debug shows them (std::fmt), {:?} in one line and {:#?} with a line for each member.
 */
#include "output.h"
#include "text.h"

#include <inttypes.h>

/* From here on, fields are additions of ours. */
#define OURS_FROM 100

/* The code point of the n bytes of UTF-8 at s. */
static uint32_t code_point(const char *s, size_t n) {
        uint32_t code = (uint8_t) s[0] & (n == 1 ? 0x7f : 0xff >> (n + 1));

        for (size_t i = 1; i < n; i++)
                code = code << 6 | ((uint8_t) s[i] & 0x3f);
        return code;
}

static void print_text(FILE *file, const char *text) {
        static const char escaped[] = "\t\r\n\"\\", letters[] = "trn\"\\";
        const char *end = text + strlen(text);
        bool utf8 = text_is_utf8(text, strlen(text));

        fputc('"', file);
        for (const char *s = text; s < end;) {
                const char *escape = strchr(escaped, *s);
                size_t hidden = text_hidden_length(s, (size_t) (end - s));

                if (escape) {
                        fprintf(file, "\\%c", letters[escape - escaped]);
                        s++;
                } else if (!utf8 && (uint8_t) *s >= 0x80) {
                        fputs("\\u{fffd}", file);
                        s++;
                } else if (hidden > 0) {
                        fprintf(file, "\\u{%x}", code_point(s, hidden));
                        s += hidden;
                } else
                        fputc(*s++, file);
        }
        fputc('"', file);
}

/* As few digits as tell the number from its neighbours, of which one is behind the point; with an exponent
 * from 1e16 on, and below 1e-4. */
static void print_float(FILE *file, double value, int digits_max, bool is_float) {
        char text[64], *exponent;

        for (int digits = 1; digits <= digits_max; digits++) {
                snprintf(text, sizeof(text), "%.*g", digits, value);
                if (is_float ? strtof(text, NULL) == (float) value : strtod(text, NULL) == value)
                        break;
        }
        exponent = strchr(text, 'e');
        if (exponent && (value >= 1e16 || value <= -1e16 || (value < 1 && value > -1)))
                snprintf(exponent, 8, "e%d", atoi(exponent + 1));
        else if (exponent)
                snprintf(text, sizeof(text), "%.0f", value);
        fputs(text, file);
        if (!strpbrk(text, ".en"))
                fputs(".0", file);
}

/* registryId and Load1Min, as Rust's structs have it: registry_id and load1_min. */
static void print_name(FILE *file, const char *name) {
        for (const char *s = name; *s; s++) {
                bool upper = *s >= 'A' && *s <= 'Z';

                if (upper && s > name && s[-1] != '_' && !(s[-1] >= 'A' && s[-1] <= 'Z'))
                        fputc('_', file);
                fputc(upper ? *s - 'A' + 'a' : *s, file);
        }
}

static void print_message(FILE *file, const ProtobufCMessage *message);

static void print_value(FILE *file, const ProtobufCFieldDescriptor *field, const void *value) {
        switch (field->type) {
        case PROTOBUF_C_TYPE_STRING:
                print_text(file, *(const char *const *) value);
                break;
        case PROTOBUF_C_TYPE_MESSAGE:
                print_message(file, *(const ProtobufCMessage *const *) value);
                break;
        case PROTOBUF_C_TYPE_BOOL:
                fputs(*(const protobuf_c_boolean *) value ? "true" : "false", file);
                break;
        case PROTOBUF_C_TYPE_FLOAT:
                print_float(file, (double) *(const float *) value, 9, true);
                break;
        case PROTOBUF_C_TYPE_DOUBLE:
                print_float(file, *(const double *) value, 17, false);
                break;
        case PROTOBUF_C_TYPE_UINT64:
                fprintf(file, "%" PRIu64, *(const uint64_t *) value);
                break;
        case PROTOBUF_C_TYPE_UINT32:
                fprintf(file, "%" PRIu32, *(const uint32_t *) value);
                break;
        default: /* int32 and enumerations: no other kind is in what is printed */
                fprintf(file, "%" PRId32, *(const int32_t *) value);
                break;
        }
}

static size_t size_of(const ProtobufCFieldDescriptor *field) {
        switch (field->type) {
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
                return sizeof(void *);
        case PROTOBUF_C_TYPE_DOUBLE:
        case PROTOBUF_C_TYPE_UINT64:
                return sizeof(uint64_t);
        case PROTOBUF_C_TYPE_BOOL:
                return sizeof(protobuf_c_boolean);
        default:
                return sizeof(uint32_t);
        }
}

static void print_list(FILE *file, const ProtobufCFieldDescriptor *field, const char *values, size_t n) {
        fputc('[', file);
        for (size_t i = 0; i < n; i++) {
                fputs(i > 0 ? ", " : "", file);
                print_value(file, field, values + i * size_of(field));
        }
        fputc(']', file);
}

static void print_message(FILE *file, const ProtobufCMessage *message) {
        const ProtobufCMessageDescriptor *descriptor = message->descriptor;
        const char *base = (const char *) message;

        fprintf(file, "%s {", descriptor->short_name);
        for (unsigned i = 0; i < descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
                const void *value = base + field->offset;
                bool message_kind = field->type == PROTOBUF_C_TYPE_MESSAGE;

                if (field->id >= OURS_FROM)
                        continue;
                fputs(i > 0 ? ", " : " ", file);
                print_name(file, field->name);
                fputs(": ", file);
                if (field->label == PROTOBUF_C_LABEL_REPEATED)
                        print_list(file, field, *(const char *const *) value,
                                        *(const size_t *) (base + field->quantifier_offset));
                else if (!message_kind)
                        print_value(file, field, value);
                else if (!*(const void *const *) value)
                        fputs("None", file);
                else {
                        fputs("Some(", file);
                        print_value(file, field, value);
                        fputc(')', file);
                }
        }
        fputs(descriptor->n_fields > 0 ? " }" : "}", file);
}

void output_deployed(FILE *file, const ProtobufCMessage *message) {
        print_message(file, message);
        fputc('\n', file);
}

void output_messages_deployed(FILE *file, const ProtobufCMessage *const *messages, size_t n) {
        fputc('[', file);
        for (size_t i = 0; i < n; i++) {
                fputs(i > 0 ? ", " : "", file);
                print_message(file, messages[i]);
        }
        fputs("]\n", file);
}

/* ---- the registry, over several lines ---- */

static void print_option(FILE *file, const char *indent, const char *name, bool present, const char *text) {
        fprintf(file, "%s    %s: ", indent, name);
        if (!present) {
                fputs("None,\n", file);
                return;
        }
        fprintf(file, "Some(\n%s        ", indent);
        print_text(file, text);
        fprintf(file, ",\n%s    ),\n", indent);
}

/* Words of enumerations stand there without quotes. */
static void print_word(FILE *file, const char *indent, const char *name, const char *word) {
        fprintf(file, "%s    %s: ", indent, name);
        output_text(file, word);
        fputs(",\n", file);
}

static void print_item(FILE *file, const Admin__QueryListItem *item) {
        static const char indent[] = "    ";

        fprintf(file, "%sQueryResult {\n%s    name: ", indent, indent);
        print_text(file, item->name);
        fprintf(file, ",\n%s    description: ", indent);
        print_text(file, item->description);
        fputs(",\n", file);
        print_word(file, indent, "status", item->vmstatus);
        print_word(file, indent, "trust_level", item->trustlevel);
        print_word(file, indent, "vm_type", item->vmtype);
        print_word(file, indent, "service_type", item->servicetype);
        print_option(file, indent, "vm_name", item->vm_name_presence_case, item->vmname);
        print_option(file, indent, "agent_name", item->agent_name_presence_case, item->agentname);
        fprintf(file, "%s},\n", indent);
}

void output_list_deployed(FILE *file, Admin__QueryListItem *const *items, size_t n) {
        fputs(n > 0 ? "[\n" : "[", file);
        for (size_t i = 0; i < n; i++)
                print_item(file, items[i]);
        fputs("]\n", file);
}

void output_event_deployed(FILE *file, enum output_event event, const Admin__QueryListItem *item) {
        fprintf(file, "%s(\n", output_event_name(event));
        print_item(file, item);
        fputs(")\n", file);
}
