/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Policies' text, cut into tokens (Cedar's grammar, "Lexical"). */

#include "cedar-value.h"

enum cedar_token_kind {
        CEDAR_TOKEN_END,
        CEDAR_TOKEN_BAD, /* what cannot begin one; lexer->problem says more */
        CEDAR_TOKEN_WORD,
        CEDAR_TOKEN_NUMBER,
        CEDAR_TOKEN_STRING, /* text is what stands between the quotes, escapes and all */
        CEDAR_TOKEN_SLOT,   /* text is without the question mark */
        CEDAR_TOKEN_SYMBOL, /* "==" and the like */
};

struct cedar_token {
        enum cedar_token_kind kind;
        struct cedar_text text;
        uint32_t offset, length; /* in the whole text, quotes and all */
};

struct cedar_lexer {
        const char *text;
        size_t size, at;
        const char *problem; /* of a CEDAR_TOKEN_BAD */
};

#define CEDAR_LEXER(text_, size_) ((struct cedar_lexer){ .text = (text_), .size = (size_) })

struct cedar_token cedar_lexer_next(struct cedar_lexer *lexer);

/* Line and column (in characters), both from 1, of a place in a text. */
void cedar_text_position(const char *text, size_t offset, unsigned *ret_line, unsigned *ret_column);

/*
 * What a string's token says: the text, in the arena. With wildcards, a '*' that is not escaped is put into
 * *stars (as many bytes as the text has, 1 where there is one), else stars is NULL. 0; -EINVAL, and *ret_bad
 * is the place of the escape that is none; -ENOMEM.
 */
int cedar_unescape(struct arena *arena, struct cedar_text raw, struct cedar_text *ret, uint8_t **stars,
                size_t *ret_bad);
