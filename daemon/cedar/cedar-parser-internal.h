/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What cedar-parser.c (policies), cedar-expression.c (operators) and cedar-primary.c share. Functions return
 * 0, -EINVAL with *ret_error set, or -ENOMEM. */

#include "cedar-lexer.h"
#include "cedar-node.h"
#include "util.h"

struct cedar_parser {
        struct arena *arena;
        const char *name; /* of the file */
        struct cedar_lexer lexer;
        struct cedar_token token, next;
        uint32_t end; /* of the token before */
        unsigned nest;
        uint32_t counted; /* up to here, */
        unsigned lines;   /* so many have ended */
        char **ret_error; /* the first one */
};

void cedar_parser_advance(struct cedar_parser *parser);
/* From start to the end of the last token that was taken. */
struct cedar_span cedar_parser_span(const struct cedar_parser *parser, uint32_t start);

bool cedar_token_is(const struct cedar_token *token, const char *text);
/* Takes the token if it is that word or symbol. */
bool cedar_parser_take(struct cedar_parser *parser, const char *text);
int cedar_parser_expect(struct cedar_parser *parser, const char *text);

/* Always fails. */
int cedar_parser_fail_at(struct cedar_parser *parser, uint32_t offset, const char *format, ...)
                _printf_(3, 4);
int cedar_parser_expected(struct cedar_parser *parser, const char *expected);

int cedar_parser_string(struct cedar_parser *parser, struct cedar_text *ret, uint8_t **stars);
int cedar_parser_identifier(struct cedar_parser *parser, const char *expected, struct cedar_text *ret);
int cedar_parser_path(struct cedar_parser *parser, const char *expected, struct cedar_text *ret);
int cedar_parser_uid_of(struct cedar_parser *parser, struct cedar_text type, const struct cedar_uid **ret);

/* cedar-expression.c */
int cedar_parser_expression(struct cedar_parser *parser, const struct cedar_node **ret);

/* cedar-primary.c. In *node is what stands before, and then what it has become. */
int cedar_parser_primary(struct cedar_parser *parser, const struct cedar_node **ret);
int cedar_parser_accesses(struct cedar_parser *parser, const struct cedar_node **node);
/* node.name */
int cedar_parser_add_get(
                struct cedar_parser *parser, struct cedar_text name, const struct cedar_node **node);
/* A copy of the node, unless it is too deep. */
int cedar_parser_add_node(
                struct cedar_parser *parser, const struct cedar_node *node, const struct cedar_node **ret);
/* The digits of the token, which is not taken; limit is the largest number that is one. */
int cedar_parser_number(struct cedar_parser *parser, uint64_t limit, uint64_t *ret);
