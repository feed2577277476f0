/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expressions: one function for each level of precedence, the loosest last. */
#include "cedar-build.h"
#include "cedar-parser-internal.h"
#include "cedar-parser.h"

/* As many ! or - may stand in a row. */
#define UNARY_MAX 4

static int add_binary(struct cedar_parser *parser, enum cedar_op op, const struct cedar_node *left,
                const struct cedar_node *right, const struct cedar_node **ret) {
        return cedar_parser_add_node(parser,
                        &(struct cedar_node){
                                        .op = op,
                                        .span = cedar_parser_span(parser, left->span.offset),
                                        .left = left,
                                        .right = right,
                        },
                        ret);
}

/* -9223372036854775808 is a number, of which the part behind the sign alone is none. */
static int parse_negative(struct cedar_parser *parser, uint32_t start, const struct cedar_node **ret) {
        uint64_t value = 0;
        int r = cedar_parser_number(parser, (uint64_t) INT64_MAX + 1, &value);

        if (r < 0)
                return r;
        if (value > INT64_MAX && (cedar_token_is(&parser->next, ".") || cedar_token_is(&parser->next, "[")))
                return cedar_parser_number(parser, INT64_MAX, &value);
        cedar_parser_advance(parser);
        return cedar_parser_add_node(parser,
                        &(struct cedar_node){
                                        .op = CEDAR_OP_LITERAL,
                                        .span = cedar_parser_span(parser, start),
                                        .literal = cedar_long((int64_t) -value),
                        },
                        ret);
}

static int parse_unary(struct cedar_parser *parser, const struct cedar_node **ret) {
        uint32_t starts[UNARY_MAX];
        bool minus = cedar_token_is(&parser->token, "-");
        unsigned n = 0;
        int r;

        while (cedar_token_is(&parser->token, minus ? "-" : "!")) {
                if (n == UNARY_MAX)
                        return cedar_parser_fail_at(parser, parser->token.offset,
                                        "more than %u of %s in a row", UNARY_MAX, minus ? "-" : "!");
                starts[n++] = parser->token.offset;
                cedar_parser_advance(parser);
        }
        if (n > 0 && minus && parser->token.kind == CEDAR_TOKEN_NUMBER) {
                n--;
                r = parse_negative(parser, starts[n], ret);
        } else
                r = cedar_parser_primary(parser, ret);
        if (r == 0)
                r = cedar_parser_accesses(parser, ret);
        while (r == 0 && n > 0) {
                n--;
                r = cedar_parser_add_node(parser,
                                &(struct cedar_node){
                                                .op = minus ? CEDAR_OP_NEG : CEDAR_OP_NOT,
                                                .span = cedar_parser_span(parser, starts[n]),
                                                .left = *ret,
                                },
                                ret);
        }
        return r;
}

static int parse_product(struct cedar_parser *parser, const struct cedar_node **ret) {
        const struct cedar_node *right = NULL;
        int r = parse_unary(parser, ret);

        while (r == 0 && cedar_parser_take(parser, "*")) {
                r = parse_unary(parser, &right);
                if (r == 0)
                        r = add_binary(parser, CEDAR_OP_MUL, *ret, right, ret);
        }
        if (r == 0 && (cedar_token_is(&parser->token, "/") || cedar_token_is(&parser->token, "%")))
                return cedar_parser_fail_at(parser, parser->token.offset, "Cedar has no division");
        return r;
}

static int parse_sum(struct cedar_parser *parser, const struct cedar_node **ret) {
        const struct cedar_node *right = NULL;
        int r = parse_product(parser, ret);

        while (r == 0 && (cedar_token_is(&parser->token, "+") || cedar_token_is(&parser->token, "-"))) {
                enum cedar_op op = cedar_token_is(&parser->token, "+") ? CEDAR_OP_ADD : CEDAR_OP_SUB;

                cedar_parser_advance(parser);
                r = parse_product(parser, &right);
                if (r == 0)
                        r = add_binary(parser, op, *ret, right, ret);
        }
        return r;
}

static bool relation_op(const struct cedar_token *token, enum cedar_op *ret) {
        static const enum cedar_op ops[] = { CEDAR_OP_EQ, CEDAR_OP_NE, CEDAR_OP_LT, CEDAR_OP_LE, CEDAR_OP_GT,
                CEDAR_OP_GE, CEDAR_OP_IN };

        for (size_t i = 0; i < ELEMENTSOF(ops); i++)
                if (cedar_token_is(token, cedar_op_symbol(ops[i]))) {
                        *ret = ops[i];
                        return true;
                }
        return false;
}

/* a has b.c.d is (a has b) && (a.b has c) && (a.b.c has d). */
static int parse_has(struct cedar_parser *parser, const struct cedar_node **node) {
        const struct cedar_node *object = *node, *all = NULL, *has = NULL;
        bool more = parser->token.kind != CEDAR_TOKEN_STRING;
        struct cedar_text name;
        int r;

        r = more ? cedar_parser_identifier(parser, "an attribute's name, or that in quotes", &name)
                 : cedar_parser_string(parser, &name, NULL);
        while (r == 0) {
                r = cedar_parser_add_node(parser,
                                &(struct cedar_node){
                                                .op = CEDAR_OP_HAS,
                                                .span = cedar_parser_span(parser, (*node)->span.offset),
                                                .left = object,
                                                .name = name,
                                },
                                &has);
                if (r == 0 && all)
                        r = add_binary(parser, CEDAR_OP_AND, all, has, &all);
                else
                        all = has;
                if (r < 0 || !more || !cedar_parser_take(parser, "."))
                        break;
                r = cedar_parser_add_get(parser, name, &object);
                if (r == 0)
                        r = cedar_parser_identifier(parser, "an attribute's name", &name);
        }
        *node = all;
        return r;
}

static int parse_like(struct cedar_parser *parser, const struct cedar_node **node) {
        struct cedar_node like = { .op = CEDAR_OP_LIKE, .left = *node };
        struct cedar_text text;
        uint8_t *stars;
        int r = cedar_parser_string(parser, &text, &stars);

        if (r < 0)
                return r;
        like.pattern = cedar_pattern_new(parser->arena, text, stars);
        if (!like.pattern)
                return -ENOMEM;
        like.span = cedar_parser_span(parser, (*node)->span.offset);
        return cedar_parser_add_node(parser, &like, node);
}

static int parse_is(struct cedar_parser *parser, const struct cedar_node **node) {
        struct cedar_node is = { .op = CEDAR_OP_IS, .left = *node };
        int r = cedar_parser_path(parser, "the name of a type", &is.name);

        if (r == 0 && cedar_parser_take(parser, "in"))
                r = parse_sum(parser, &is.right);
        if (r < 0)
                return r;
        is.span = cedar_parser_span(parser, (*node)->span.offset);
        return cedar_parser_add_node(parser, &is, node);
}

static int parse_relation(struct cedar_parser *parser, const struct cedar_node **ret) {
        const struct cedar_node *right = NULL;
        enum cedar_op op, again;
        int r = parse_sum(parser, ret);

        if (r < 0)
                return r;
        if (cedar_parser_take(parser, "has"))
                return parse_has(parser, ret);
        if (cedar_parser_take(parser, "like"))
                return parse_like(parser, ret);
        if (cedar_parser_take(parser, "is"))
                return parse_is(parser, ret);
        if (cedar_token_is(&parser->token, "="))
                return cedar_parser_fail_at(
                                parser, parser->token.offset, "\"=\" is no operator: == compares");
        if (!relation_op(&parser->token, &op))
                return 0;
        cedar_parser_advance(parser);
        r = parse_sum(parser, &right);
        if (r == 0)
                r = add_binary(parser, op, *ret, right, ret);
        if (r == 0 && relation_op(&parser->token, &again))
                return cedar_parser_fail_at(parser, parser->token.offset,
                                "comparisons in a row: parentheses must say which comes first");
        return r;
}

static int parse_chain(struct cedar_parser *parser, enum cedar_op op,
                int (*parse)(struct cedar_parser *parser, const struct cedar_node **ret),
                const struct cedar_node **ret) {
        const struct cedar_node *right = NULL;
        int r = parse(parser, ret);

        while (r == 0 && cedar_parser_take(parser, cedar_op_symbol(op))) {
                r = parse(parser, &right);
                if (r == 0)
                        r = add_binary(parser, op, *ret, right, ret);
        }
        return r;
}

static int parse_and(struct cedar_parser *parser, const struct cedar_node **ret) {
        return parse_chain(parser, CEDAR_OP_AND, parse_relation, ret);
}

static int parse_if(struct cedar_parser *parser, const struct cedar_node **ret) {
        struct cedar_node node = { .op = CEDAR_OP_IF };
        uint32_t start = parser->token.offset;
        int r;

        cedar_parser_advance(parser);
        r = cedar_parser_expression(parser, &node.left);
        if (r == 0)
                r = cedar_parser_expect(parser, "then");
        if (r == 0)
                r = cedar_parser_expression(parser, &node.right);
        if (r == 0)
                r = cedar_parser_expect(parser, "else");
        if (r == 0)
                r = cedar_parser_expression(parser, &node.third);
        if (r < 0)
                return r;
        node.span = cedar_parser_span(parser, start);
        return cedar_parser_add_node(parser, &node, ret);
}

int cedar_parser_expression(struct cedar_parser *parser, const struct cedar_node **ret) {
        int r;

        if (parser->nest == CEDAR_NEST_MAX)
                return cedar_parser_fail_at(parser, parser->token.offset,
                                "expressions are inside of each other more than %u deep", CEDAR_NEST_MAX);
        parser->nest++;
        r = cedar_token_is(&parser->token, "if") ? parse_if(parser, ret)
                                                 : parse_chain(parser, CEDAR_OP_OR, parse_and, ret);
        parser->nest--;
        return r;
}
