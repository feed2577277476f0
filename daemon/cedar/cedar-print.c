/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-print.h"

#include "buffer.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* How tightly an expression holds together: one that stands inside of a tighter one needs parentheses. */
enum level {
        LEVEL_IF,
        LEVEL_OR,
        LEVEL_AND,
        LEVEL_RELATION,
        LEVEL_SUM,
        LEVEL_PRODUCT,
        LEVEL_UNARY,
        LEVEL_MEMBER,
};

struct printer {
        struct buffer buffer;
        bool starved;
};

static void put_bytes(struct printer *printer, const char *s, size_t n) {
        printer->starved = printer->starved || buffer_append(&printer->buffer, s, n) < 0;
}

static void put(struct printer *printer, const char *s) {
        put_bytes(printer, s, strlen(s));
}

static void _printf_(2, 3) put_format(struct printer *printer, const char *format, ...) {
        char text[128];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        put(printer, text);
}

static char *finish(struct printer *printer) {
        char *text = NULL;

        put_bytes(printer, "", 1);
        if (!printer->starved)
                text = strdup(buffer_bytes(&printer->buffer));
        buffer_clear(&printer->buffer);
        return text;
}

/* ---- texts and names ---- */

/* Between quotes; what is a wildcard unless it is escaped, in patterns alone. */
static void put_escaped(struct printer *printer, struct cedar_text text, bool pattern) {
        static const char from[] = "\n\r\t\\\"", to[] = "nrt\\\"";

        for (size_t i = 0; i < text.n; i++) {
                unsigned char c = (unsigned char) text.s[i];
                const char *simple = c != '\0' ? strchr(from, c) : NULL;

                if (simple)
                        put_format(printer, "\\%c", to[simple - from]);
                else if (pattern && c == '*')
                        put(printer, "\\*");
                else if (c < 0x20 || c == 0x7F)
                        put_format(printer, "\\u{%x}", c);
                else
                        put_bytes(printer, text.s + i, 1);
        }
}

static void put_string(struct printer *printer, struct cedar_text text) {
        put(printer, "\"");
        put_escaped(printer, text, false);
        put(printer, "\"");
}

/* An attribute's or a field's name. */
static void put_name(struct printer *printer, struct cedar_text name) {
        if (cedar_is_identifier(name))
                put_bytes(printer, name.s, name.n);
        else
                put_string(printer, name);
}

static void put_uid(struct printer *printer, const struct cedar_uid *uid) {
        put_bytes(printer, uid->type.s, uid->type.n);
        put(printer, "::");
        put_string(printer, uid->id);
}

static void put_pattern(struct printer *printer, const struct cedar_pattern *pattern) {
        put(printer, "\"");
        for (size_t i = 0; i < pattern->n; i++) {
                put(printer, i > 0 ? "*" : "");
                put_escaped(printer, pattern->pieces[i], true);
        }
        put(printer, "\"");
}

/* ---- values ---- */

static void put_ip(struct printer *printer, const struct cedar_ip *ip) {
        char text[INET6_ADDRSTRLEN] = "";
        const uint8_t *b = ip->bytes;

        if (!ip->is_v6)
                put_format(printer, "ip(\"%u.%u.%u.%u/%u\")", b[0], b[1], b[2], b[3], ip->prefix);
        else {
                /* inet_ntop() may write a part of it as IPv4, which Cedar does not take. */
                for (size_t i = 0; i < 16; i += 2)
                        (void) snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%x",
                                        i > 0 ? ":" : "", b[i] << 8 | b[i + 1]);
                put_format(printer, "ip(\"%s/%u\")", text, ip->prefix);
        }
}

static void put_decimal(struct printer *printer, int64_t number) {
        uint64_t size = number < 0 ? -(uint64_t) number : (uint64_t) number;

        put_format(printer, "decimal(\"%s%" PRIu64 ".%04" PRIu64 "\")", number < 0 ? "-" : "", size / 10000,
                        size % 10000);
}

static void put_datetime(struct printer *printer, int64_t msec) {
        int64_t rest = msec % 1000 + (msec % 1000 < 0 ? 1000 : 0);
        time_t seconds = (msec - rest) / 1000;
        struct tm tm;

        /* What has no year of four digits is some way off the epoch. */
        if (msec < INT64_MIN + 1000 || !gmtime_r(&seconds, &tm) || tm.tm_year < -1900 ||
                        tm.tm_year > 9999 - 1900)
                put_format(printer,
                                "datetime(\"1970-01-01T00:00:00.000Z\").offset(duration(\"%" PRId64 "ms\"))",
                                msec);
        else
                put_format(printer, "datetime(\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\")", tm.tm_year + 1900,
                                tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int) rest);
}

static void put_value(struct printer *printer, const struct cedar_value *value) {
        switch (value->kind) {
        case CEDAR_BOOL:
                put(printer, value->boolean ? "true" : "false");
                return;
        case CEDAR_LONG:
                put_format(printer, "%" PRId64, value->number);
                return;
        case CEDAR_STRING:
                put_string(printer, value->text);
                return;
        case CEDAR_ENTITY:
                put_uid(printer, value->uid);
                return;
        case CEDAR_SET:
                put(printer, "[");
                for (size_t i = 0; i < value->set->n; i++) {
                        put(printer, i > 0 ? ", " : "");
                        put_value(printer, &value->set->items[i]);
                }
                put(printer, "]");
                return;
        case CEDAR_RECORD:
                put(printer, "{");
                for (size_t i = 0; i < value->record->n; i++) {
                        put(printer, i > 0 ? ", " : "");
                        put_name(printer, value->record->fields[i].key);
                        put(printer, ": ");
                        put_value(printer, &value->record->fields[i].value);
                }
                put(printer, "}");
                return;
        case CEDAR_DECIMAL:
                put_decimal(printer, value->number);
                return;
        case CEDAR_DATETIME:
                put_datetime(printer, value->number);
                return;
        case CEDAR_DURATION:
                put_format(printer, "duration(\"%" PRId64 "ms\")", value->number);
                return;
        case CEDAR_IP:
                put_ip(printer, value->ip);
                return;
        }
}

/* ---- expressions ---- */

static enum level level_of(const struct cedar_node *node) {
        switch (node->op) {
        case CEDAR_OP_LITERAL:
                return node->literal.kind == CEDAR_LONG && node->literal.number < 0 ? LEVEL_UNARY
                                                                                    : LEVEL_MEMBER;
        case CEDAR_OP_IF:
                return LEVEL_IF;
        case CEDAR_OP_OR:
                return LEVEL_OR;
        case CEDAR_OP_AND:
                return LEVEL_AND;
        case CEDAR_OP_EQ ... CEDAR_OP_IN:
        case CEDAR_OP_HAS:
        case CEDAR_OP_LIKE:
        case CEDAR_OP_IS:
                return LEVEL_RELATION;
        case CEDAR_OP_ADD ... CEDAR_OP_SUB:
                return LEVEL_SUM;
        case CEDAR_OP_MUL:
                return LEVEL_PRODUCT;
        case CEDAR_OP_NOT ... CEDAR_OP_NEG:
                return LEVEL_UNARY;
        default:
                return LEVEL_MEMBER;
        }
}

static void put_node(struct printer *printer, const struct cedar_node *node, enum level level);

/* What stands between two: those that may stand in a row do so from the left. */
static void put_binary(struct printer *printer, const struct cedar_node *node) {
        enum level level = level_of(node);

        put_node(printer, node->left, level == LEVEL_RELATION ? LEVEL_SUM : level);
        put_format(printer, " %s ", cedar_op_symbol(node->op));
        put_node(printer, node->right, level + 1);
}

static void put_list(struct printer *printer, const char *open, const struct cedar_node **items, size_t n,
                const char *close) {
        put(printer, open);
        for (size_t i = 0; i < n; i++) {
                put(printer, i > 0 ? ", " : "");
                put_node(printer, items[i], LEVEL_IF);
        }
        put(printer, close);
}

static void put_record(struct printer *printer, const struct cedar_node *node) {
        put(printer, "{");
        for (size_t i = 0; i < node->record.n; i++) {
                put(printer, i > 0 ? ", " : "");
                put_name(printer, node->record.members[i].key);
                put(printer, ": ");
                put_node(printer, node->record.members[i].node, LEVEL_IF);
        }
        put(printer, "}");
}

static void put_get(struct printer *printer, const struct cedar_node *node) {
        put_node(printer, node->left, LEVEL_MEMBER);
        if (cedar_is_identifier(node->name)) {
                put(printer, ".");
                put_name(printer, node->name);
                return;
        }
        put(printer, "[");
        put_string(printer, node->name);
        put(printer, "]");
}

static void put_is(struct printer *printer, const struct cedar_node *node) {
        put_node(printer, node->left, LEVEL_SUM);
        put(printer, " is ");
        put_bytes(printer, node->name.s, node->name.n);
        if (!node->right)
                return;
        put(printer, " in ");
        put_node(printer, node->right, LEVEL_SUM);
}

static void put_if(struct printer *printer, const struct cedar_node *node) {
        put(printer, "if ");
        put_node(printer, node->left, LEVEL_IF);
        put(printer, " then ");
        put_node(printer, node->right, LEVEL_IF);
        put(printer, " else ");
        put_node(printer, node->third, LEVEL_IF);
}

static void put_method(struct printer *printer, const struct cedar_node *node) {
        const struct cedar_node *arguments[] = { node->right };

        put_node(printer, node->left, LEVEL_MEMBER);
        put_format(printer, ".%s", cedar_method_name(node->method));
        put_list(printer, "(", arguments, node->right ? 1 : 0, ")");
}

static void put_call(struct printer *printer, const struct cedar_node *node) {
        put(printer, cedar_function_name(node->function));
        put_list(printer, "(", (const struct cedar_node *[]){ node->left }, 1, ")");
}

/* Its arguments are not kept: two are as wrong as any number that it does not want. */
static void put_wrong(struct printer *printer, const struct cedar_node *node) {
        enum cedar_function function;

        if (cedar_function_find(cedar_text_of(node->wrong.name), &function) < 0)
                put(printer, "context.");
        put_format(printer, "%s(0, 0)", node->wrong.name);
}

static void put_bare(struct printer *printer, const struct cedar_node *node) {
        switch (node->op) {
        case CEDAR_OP_LITERAL:
                put_value(printer, &node->literal);
                return;
        case CEDAR_OP_VAR:
                put(printer, cedar_var_name(node->var));
                return;
        case CEDAR_OP_AND ... CEDAR_OP_MUL:
                put_binary(printer, node);
                return;
        case CEDAR_OP_NOT ... CEDAR_OP_NEG:
                put(printer, cedar_op_symbol(node->op));
                put_node(printer, node->left, LEVEL_MEMBER);
                return;
        case CEDAR_OP_IF:
                put_if(printer, node);
                return;
        case CEDAR_OP_HAS:
                put_node(printer, node->left, LEVEL_SUM);
                put(printer, " has ");
                put_name(printer, node->name);
                return;
        case CEDAR_OP_GET:
                put_get(printer, node);
                return;
        case CEDAR_OP_LIKE:
                put_node(printer, node->left, LEVEL_SUM);
                put(printer, " like ");
                put_pattern(printer, node->pattern);
                return;
        case CEDAR_OP_IS:
                put_is(printer, node);
                return;
        case CEDAR_OP_SET:
                put_list(printer, "[", node->set.items, node->set.n, "]");
                return;
        case CEDAR_OP_RECORD:
                put_record(printer, node);
                return;
        case CEDAR_OP_CALL:
                put_call(printer, node);
                return;
        case CEDAR_OP_METHOD:
                put_method(printer, node);
                return;
        case CEDAR_OP_WRONG:
                put_wrong(printer, node);
                return;
        }
}

static void put_node(struct printer *printer, const struct cedar_node *node, enum level level) {
        bool bare = level_of(node) >= level;

        put(printer, bare ? "" : "(");
        put_bare(printer, node);
        put(printer, bare ? "" : ")");
}

char *cedar_print_node(const struct cedar_node *node) {
        struct printer printer = {};

        put_node(&printer, node, LEVEL_IF);
        return finish(&printer);
}

/* ---- policies ---- */

static void put_scope(struct printer *printer, const struct cedar_policy *policy, enum cedar_var var) {
        const struct cedar_scope *scope = &policy->scopes[var];
        const struct cedar_uid *slot = policy->slots[var == CEDAR_RESOURCE];

        put(printer, cedar_var_name(var));
        if (scope->op == CEDAR_SCOPE_IS || scope->op == CEDAR_SCOPE_IS_IN) {
                put(printer, " is ");
                put_bytes(printer, scope->type.s, scope->type.n);
        }
        if (scope->op == CEDAR_SCOPE_ANY || scope->op == CEDAR_SCOPE_IS)
                return;
        put(printer, scope->op == CEDAR_SCOPE_EQ ? " == " : " in ");
        put(printer, scope->op == CEDAR_SCOPE_IN_LIST ? "[" : "");
        if (scope->slot && slot)
                put_uid(printer, slot);
        else if (scope->slot)
                put_format(printer, "?%s", cedar_var_name(var));
        for (size_t i = 0; i < scope->n_uids; i++) {
                put(printer, i > 0 ? ", " : "");
                put_uid(printer, scope->uids[i]);
        }
        put(printer, scope->op == CEDAR_SCOPE_IN_LIST ? "]" : "");
}

char *cedar_print_scope(const struct cedar_policy *policy, enum cedar_var var) {
        struct printer printer = {};

        put_scope(&printer, policy, var);
        return finish(&printer);
}

char *cedar_print_policy(const struct cedar_policy *policy) {
        struct printer printer = {};

        for (size_t i = 0; i < policy->n_annotations; i++) {
                put(&printer, "@");
                put_bytes(&printer, policy->annotations[i].key.s, policy->annotations[i].key.n);
                put(&printer, "(");
                put_string(&printer, policy->annotations[i].value);
                put(&printer, ")\n");
        }
        put(&printer, policy->forbid ? "forbid (" : "permit (");
        for (enum cedar_var var = CEDAR_PRINCIPAL; var <= CEDAR_RESOURCE; var++) {
                put(&printer, var > CEDAR_PRINCIPAL ? ", " : "");
                put_scope(&printer, policy, var);
        }
        put(&printer, ")");
        for (size_t i = 0; i < policy->n_clauses; i++) {
                put(&printer, policy->clauses[i].unless ? "\nunless { " : "\nwhen { ");
                put_node(&printer, policy->clauses[i].node, LEVEL_IF);
                put(&printer, " }");
        }
        put(&printer, ";\n");
        return finish(&printer);
}
