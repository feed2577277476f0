/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What expressions are made of: literals, sets, records, calls and names, and what follows them with a point
 * or in brackets. */
#include "cedar-build.h"
#include "cedar-parser-internal.h"
#include "cedar-parser.h"

int cedar_parser_add_node(
                struct cedar_parser *parser, const struct cedar_node *node, const struct cedar_node **ret) {
        const struct cedar_node *made = cedar_node_new(parser->arena, node);

        if (!made)
                return -ENOMEM;
        if (made->depth > CEDAR_DEPTH_MAX)
                return cedar_parser_fail_at(parser, node->span.offset,
                                "the expression is more than %u levels deep", CEDAR_DEPTH_MAX);
        *ret = made;
        return 0;
}

/* ---- primaries ---- */

static int parse_literal(
                struct cedar_parser *parser, struct cedar_value value, const struct cedar_node **ret) {
        uint32_t start = parser->token.offset;

        cedar_parser_advance(parser);
        return cedar_parser_add_node(parser,
                        &(struct cedar_node){
                                        .op = CEDAR_OP_LITERAL,
                                        .span = cedar_parser_span(parser, start),
                                        .literal = value,
                        },
                        ret);
}

int cedar_parser_number(struct cedar_parser *parser, uint64_t limit, uint64_t *ret) {
        const struct cedar_text *digits = &parser->token.text;
        uint64_t value = 0;

        for (size_t i = 0; i < digits->n; i++)
                if (__builtin_mul_overflow(value, 10, &value) ||
                                __builtin_add_overflow(value, (uint64_t) (digits->s[i] - '0'), &value) ||
                                value > limit)
                        return cedar_parser_fail_at(parser, parser->token.offset,
                                        "the number is larger than 64 bits hold, from "
                                        "-9223372036854775808 to 9223372036854775807");
        *ret = value;
        return 0;
}

static int parse_number(struct cedar_parser *parser, const struct cedar_node **ret) {
        uint64_t value = 0;
        int r = cedar_parser_number(parser, INT64_MAX, &value);

        return r < 0 ? r : parse_literal(parser, cedar_long((int64_t) value), ret);
}

static int parse_string(struct cedar_parser *parser, const struct cedar_node **ret) {
        uint32_t start = parser->token.offset;
        struct cedar_text text;
        int r = cedar_parser_string(parser, &text, NULL);

        if (r < 0)
                return r;
        return cedar_parser_add_node(parser,
                        &(struct cedar_node){
                                        .op = CEDAR_OP_LITERAL,
                                        .span = cedar_parser_span(parser, start),
                                        .literal = cedar_string(text),
                        },
                        ret);
}

/* Expressions with commas between them, up to the closing symbol, which is taken; the last may have a comma,
 * too. */
static int parse_list(struct cedar_parser *parser, const char *close, const struct cedar_node ***ret,
                size_t *ret_n) {
        const struct cedar_node **items = NULL;
        size_t n = 0;
        int r = 0;

        while (r == 0 && !cedar_parser_take(parser, close)) {
                items = cedar_grow(parser->arena, items, n, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                r = cedar_parser_expression(parser, &items[n++]);
                if (r == 0 && !cedar_token_is(&parser->token, close))
                        r = cedar_parser_take(parser, ",")
                                        ? 0
                                        : cedar_parser_expected(parser,
                                                          *close == ']' ? "\",\" or \"]\""
                                                                        : "\",\" or \")\"");
        }
        *ret = items;
        *ret_n = n;
        return r;
}

static int parse_set(struct cedar_parser *parser, const struct cedar_node **ret) {
        struct cedar_node node = { .op = CEDAR_OP_SET };
        uint32_t start = parser->token.offset;
        int r;

        cedar_parser_advance(parser);
        r = parse_list(parser, "]", &node.set.items, &node.set.n);
        if (r < 0)
                return r;
        node.span = cedar_parser_span(parser, start);
        return cedar_parser_add_node(parser, &node, ret);
}

static int parse_member(struct cedar_parser *parser, struct cedar_member *member) {
        int r;

        if (parser->token.kind == CEDAR_TOKEN_STRING)
                r = cedar_parser_string(parser, &member->key, NULL);
        else
                r = cedar_parser_identifier(parser, "a field's name", &member->key);
        if (r == 0)
                r = cedar_parser_expect(parser, ":");
        return r < 0 ? r : cedar_parser_expression(parser, &member->node);
}

/* By key, and then by place. */
static int compare_members(const void *a, const void *b) {
        const struct cedar_member *member_a = a, *member_b = b;
        size_t n = MIN(member_a->key.n, member_b->key.n);
        int r = n > 0 ? memcmp(member_a->key.s, member_b->key.s, n) : 0;

        if (r != 0 || member_a->key.n != member_b->key.n)
                return r ?: member_a->key.n < member_b->key.n ? -1 : 1;
        return member_a->node->span.offset < member_b->node->span.offset ? -1 : 1;
}

/* The members stay in their order, in which they are evaluated. */
static int refuse_duplicates(struct cedar_parser *parser, const struct cedar_node *record) {
        size_t n = record->record.n;
        struct cedar_member *sorted;

        if (n < 2)
                return 0;
        sorted = arena_alloc(parser->arena, n * sizeof(*sorted));
        if (!sorted)
                return -ENOMEM;
        memcpy(sorted, record->record.members, n * sizeof(*sorted));
        cedar_sort(sorted, n, sizeof(*sorted), compare_members);
        for (size_t i = 1; i < n; i++)
                if (cedar_text_equal(sorted[i - 1].key, sorted[i].key))
                        return cedar_parser_fail_at(parser, sorted[i].node->span.offset,
                                        "this field stands twice in one record");
        return 0;
}

static int parse_record(struct cedar_parser *parser, const struct cedar_node **ret) {
        struct cedar_node node = { .op = CEDAR_OP_RECORD };
        uint32_t start = parser->token.offset;
        struct cedar_member member;
        int r = 0;

        cedar_parser_advance(parser);
        while (r == 0 && !cedar_parser_take(parser, "}")) {
                node.record.members = cedar_grow(parser->arena, node.record.members, node.record.n,
                                sizeof(*node.record.members));
                if (!node.record.members)
                        return -ENOMEM;
                r = parse_member(parser, &member);
                if (r == 0)
                        node.record.members[node.record.n++] = member;
                if (r == 0 && !cedar_token_is(&parser->token, "}"))
                        r = cedar_parser_take(parser, ",") ? 0
                                                           : cedar_parser_expected(parser, "\",\" or \"}\"");
        }
        if (r == 0)
                r = refuse_duplicates(parser, &node);
        if (r < 0)
                return r;
        node.span = cedar_parser_span(parser, start);
        return cedar_parser_add_node(parser, &node, ret);
}

/* Cedar's own leaves it to the evaluation to see that. */
static int add_wrong(struct cedar_parser *parser, uint32_t start, const char *name, unsigned wanted,
                const struct cedar_node **ret) {
        return cedar_parser_add_node(parser,
                        &(struct cedar_node){
                                        .op = CEDAR_OP_WRONG,
                                        .span = cedar_parser_span(parser, start),
                                        .wrong = { .name = name, .wanted = wanted },
                        },
                        ret);
}

static int parse_call(struct cedar_parser *parser, uint32_t start, struct cedar_text name,
                const struct cedar_node **ret) {
        const struct cedar_node **arguments;
        enum cedar_function function;
        enum cedar_method method;
        size_t n;
        int r;

        if (cedar_function_find(name, &function) < 0)
                return cedar_parser_fail_at(parser, start,
                                cedar_method_find(name, &method) < 0
                                                ? "there is no function %.*s: ip, decimal, datetime and "
                                                  "duration are"
                                                : "%.*s is a method, to be written behind a point",
                                (int) name.n, name.s);
        cedar_parser_advance(parser);
        r = parse_list(parser, ")", &arguments, &n);
        if (r < 0)
                return r;
        if (n != 1)
                return add_wrong(parser, start, cedar_function_name(function), 1, ret);
        *ret = cedar_call_new(parser->arena, function, arguments[0], cedar_parser_span(parser, start));
        return *ret ? 0 : -ENOMEM;
}

/* A variable, a call, or an entity. */
static int parse_name(struct cedar_parser *parser, const struct cedar_node **ret) {
        struct cedar_node node = {};
        uint32_t start = parser->token.offset;
        const struct cedar_uid *uid = NULL;
        struct cedar_text path;
        int r;

        r = cedar_parser_path(parser, "an expression", &path);
        if (r < 0)
                return r;
        if (cedar_token_is(&parser->token, "::")) {
                r = cedar_parser_uid_of(parser, path, &uid);
                if (r < 0)
                        return r;
                node = (struct cedar_node){ .op = CEDAR_OP_LITERAL, .literal = cedar_entity(uid) };
                node.span = cedar_parser_span(parser, start);
                return cedar_parser_add_node(parser, &node, ret);
        }
        if (cedar_token_is(&parser->token, "("))
                return parse_call(parser, start, path, ret);
        for (enum cedar_var var = CEDAR_PRINCIPAL; var <= CEDAR_CONTEXT; var++)
                if (cedar_text_equal(path, cedar_text_of(cedar_var_name(var)))) {
                        node = (struct cedar_node){ .op = CEDAR_OP_VAR, .var = var };
                        node.span = cedar_parser_span(parser, start);
                        return cedar_parser_add_node(parser, &node, ret);
                }
        return cedar_parser_fail_at(parser, start,
                        "%.*s is none of principal, action, resource and context; a string stands in "
                        "quotes, an entity is Type::\"id\"",
                        (int) MIN(path.n, (size_t) 80), path.s);
}

int cedar_parser_primary(struct cedar_parser *parser, const struct cedar_node **ret) {
        const struct cedar_token *token = &parser->token;
        uint32_t start = token->offset;
        int r;

        if (token->kind == CEDAR_TOKEN_NUMBER)
                return parse_number(parser, ret);
        if (token->kind == CEDAR_TOKEN_STRING)
                return parse_string(parser, ret);
        if (token->kind == CEDAR_TOKEN_SLOT)
                return cedar_parser_fail_at(
                                parser, start, "a slot has its place in the scope, not in a condition");
        if (token->kind == CEDAR_TOKEN_WORD &&
                        (cedar_token_is(token, "true") || cedar_token_is(token, "false")))
                return parse_literal(parser, cedar_bool(cedar_token_is(token, "true")), ret);
        if (token->kind == CEDAR_TOKEN_WORD)
                return parse_name(parser, ret);
        if (cedar_token_is(token, "["))
                return parse_set(parser, ret);
        if (cedar_token_is(token, "{"))
                return parse_record(parser, ret);
        if (!cedar_parser_take(parser, "("))
                return cedar_parser_expected(parser, "an expression");
        r = cedar_parser_expression(parser, ret);
        return r < 0 ? r : cedar_parser_expect(parser, ")");
}

/* ---- what follows a primary ---- */

static int parse_method(struct cedar_parser *parser, uint32_t at, struct cedar_text name,
                const struct cedar_node **node) {
        struct cedar_node call = { .op = CEDAR_OP_METHOD, .left = *node };
        const struct cedar_node **arguments;
        enum cedar_function function;
        size_t n;
        int r;

        if (cedar_method_find(name, &call.method) < 0)
                return cedar_parser_fail_at(parser, at,
                                cedar_function_find(name, &function) < 0
                                                ? "there is no method %.*s"
                                                : "%.*s is a function, to be written without a point",
                                (int) MIN(name.n, (size_t) 80), name.s);
        cedar_parser_advance(parser);
        r = parse_list(parser, ")", &arguments, &n);
        if (r < 0)
                return r;
        if (n != cedar_method_arguments(call.method) && cedar_method_is_extension(call.method))
                return add_wrong(parser, (*node)->span.offset, cedar_method_name(call.method),
                                cedar_method_arguments(call.method), node);
        if (n != cedar_method_arguments(call.method))
                return cedar_parser_fail_at(parser, at, "%s takes %s, not %zu",
                                cedar_method_name(call.method),
                                cedar_method_arguments(call.method) == 0 ? "no argument" : "one argument",
                                n);
        call.right = n > 0 ? arguments[0] : NULL;
        call.span = cedar_parser_span(parser, (*node)->span.offset);
        return cedar_parser_add_node(parser, &call, node);
}

int cedar_parser_add_get(
                struct cedar_parser *parser, struct cedar_text name, const struct cedar_node **node) {
        return cedar_parser_add_node(parser,
                        &(struct cedar_node){
                                        .op = CEDAR_OP_GET,
                                        .span = cedar_parser_span(parser, (*node)->span.offset),
                                        .left = *node,
                                        .name = name,
                        },
                        node);
}

static int parse_access(struct cedar_parser *parser, const struct cedar_node **node) {
        uint32_t at = parser->next.offset;
        struct cedar_text name;
        int r;

        if (cedar_parser_take(parser, ".")) {
                r = cedar_parser_identifier(parser, "an attribute or a method", &name);
                if (r < 0)
                        return r;
                if (cedar_token_is(&parser->token, "("))
                        return parse_method(parser, at, name, node);
                return cedar_parser_add_get(parser, name, node);
        }
        r = cedar_parser_expect(parser, "[");
        if (r == 0)
                r = cedar_parser_string(parser, &name, NULL);
        if (r == 0)
                r = cedar_parser_expect(parser, "]");
        return r < 0 ? r : cedar_parser_add_get(parser, name, node);
}

int cedar_parser_accesses(struct cedar_parser *parser, const struct cedar_node **node) {
        int r = 0;

        while (r == 0 && (cedar_token_is(&parser->token, ".") || cedar_token_is(&parser->token, "[")))
                r = parse_access(parser, node);
        return r;
}
