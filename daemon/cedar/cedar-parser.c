/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-parser.h"

#include "cedar-build.h"
#include "cedar-parser-internal.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- tokens ---- */

void cedar_parser_advance(struct cedar_parser *parser) {
        parser->end = parser->token.offset + parser->token.length;
        parser->token = parser->next;
        parser->next = cedar_lexer_next(&parser->lexer);
}

static void begin(struct cedar_parser *parser) {
        parser->token = cedar_lexer_next(&parser->lexer);
        parser->next = cedar_lexer_next(&parser->lexer);
}

struct cedar_span cedar_parser_span(const struct cedar_parser *parser, uint32_t start) {
        return (struct cedar_span){ .offset = start,
                .length = parser->end > start ? parser->end - start : 0 };
}

bool cedar_token_is(const struct cedar_token *token, const char *text) {
        return (token->kind == CEDAR_TOKEN_WORD || token->kind == CEDAR_TOKEN_SYMBOL) &&
                        cedar_text_equal(token->text, cedar_text_of(text));
}

bool cedar_parser_take(struct cedar_parser *parser, const char *text) {
        if (!cedar_token_is(&parser->token, text))
                return false;
        cedar_parser_advance(parser);
        return true;
}

/* ---- errors ---- */

int cedar_parser_fail_at(struct cedar_parser *parser, uint32_t offset, const char *format, ...) {
        _cleanup_(freep) char *message = NULL;
        unsigned line, column;
        va_list ap;

        if (*parser->ret_error)
                return -EINVAL;
        va_start(ap, format);
        message = text_vprintf(format, ap);
        va_end(ap);
        cedar_text_position(parser->lexer.text, offset, &line, &column);
        *parser->ret_error =
                        message ? text_printf("%s:%u:%u: %s", parser->name, line, column, message) : NULL;
        return *parser->ret_error ? -EINVAL : -ENOMEM;
}

int cedar_parser_expected(struct cedar_parser *parser, const char *expected) {
        const struct cedar_token *token = &parser->token;
        _cleanup_(freep) char *found = NULL;

        if (token->kind == CEDAR_TOKEN_END)
                return cedar_parser_fail_at(
                                parser, token->offset, "the text ends where %s is expected", expected);
        found = text_escape(parser->lexer.text + token->offset, token->length, 40);
        if (!found)
                return -ENOMEM;
        if (token->kind == CEDAR_TOKEN_BAD)
                return cedar_parser_fail_at(parser, token->offset, "found %s, \"%s\", where %s is expected",
                                parser->lexer.problem, found, expected);
        return cedar_parser_fail_at(parser, token->offset, "found %s where %s is expected", found, expected);
}

int cedar_parser_expect(struct cedar_parser *parser, const char *text) {
        char expected[32];

        if (cedar_parser_take(parser, text))
                return 0;
        (void) snprintf(expected, sizeof(expected), "\"%s\"", text);
        return cedar_parser_expected(parser, expected);
}

/* ---- names and strings ---- */

int cedar_parser_string(struct cedar_parser *parser, struct cedar_text *ret, uint8_t **stars) {
        size_t bad;
        int r;

        if (parser->token.kind != CEDAR_TOKEN_STRING)
                return cedar_parser_expected(parser, "a string");
        r = cedar_unescape(parser->arena, parser->token.text, ret, stars, &bad);
        if (r == -EINVAL)
                return cedar_parser_fail_at(parser, parser->token.offset + 1 + (uint32_t) bad,
                                "this is no escape: \\n, \\r, \\t, \\\\, \\0, \\', \\\", \\x41 and "
                                "\\u{1F600} are%s",
                                stars ? ", and \\*" : "");
        if (r < 0)
                return r;
        cedar_parser_advance(parser);
        return 0;
}

int cedar_parser_identifier(struct cedar_parser *parser, const char *expected, struct cedar_text *ret) {
        if (parser->token.kind != CEDAR_TOKEN_WORD)
                return cedar_parser_expected(parser, expected);
        if (cedar_is_reserved(parser->token.text))
                return cedar_parser_fail_at(parser, parser->token.offset,
                                "\"%.*s\" is reserved, where %s is expected", (int) parser->token.text.n,
                                parser->token.text.s, expected);
        *ret = parser->token.text;
        cedar_parser_advance(parser);
        return 0;
}

/* A::B::C, for as long as a word follows the colons. */
int cedar_parser_path(struct cedar_parser *parser, const char *expected, struct cedar_text *ret) {
        struct cedar_text part;
        char *path;
        size_t n;
        int r;

        r = cedar_parser_identifier(parser, expected, ret);
        while (r == 0 && cedar_token_is(&parser->token, "::") && parser->next.kind == CEDAR_TOKEN_WORD) {
                cedar_parser_advance(parser);
                r = cedar_parser_identifier(parser, expected, &part);
                if (r < 0)
                        return r;
                n = ret->n + 2 + part.n;
                path = arena_alloc(parser->arena, n + 1);
                if (!path)
                        return -ENOMEM;
                memcpy(path, ret->s, ret->n);
                memcpy(path + ret->n, "::", 2);
                memcpy(path + ret->n + 2, part.s, part.n);
                path[n] = '\0';
                *ret = (struct cedar_text){ path, n };
        }
        return r;
}

/* What follows Type in Type::"id". */
int cedar_parser_uid_of(struct cedar_parser *parser, struct cedar_text type, const struct cedar_uid **ret) {
        struct cedar_text id;
        int r;

        r = cedar_parser_expect(parser, "::");
        if (r == 0)
                r = cedar_parser_string(parser, &id, NULL);
        if (r < 0)
                return r;
        *ret = cedar_uid_new(parser->arena, type, id);
        return *ret ? 0 : -ENOMEM;
}

static int parse_uid(struct cedar_parser *parser, const struct cedar_uid **ret) {
        struct cedar_text type;
        int r = cedar_parser_path(parser, "an entity such as Type::\"id\"", &type);

        return r < 0 ? r : cedar_parser_uid_of(parser, type, ret);
}

/* ---- the scope ---- */

/* Cedar's own lets parentheses stand around what the scope names. How many were opened. */
static unsigned take_open(struct cedar_parser *parser) {
        unsigned n = 0;

        while (cedar_parser_take(parser, "("))
                n++;
        return n;
}

static int expect_close(struct cedar_parser *parser, unsigned n) {
        int r = 0;

        for (; r == 0 && n > 0; n--)
                r = cedar_parser_expect(parser, ")");
        return r;
}

/* Type::"id", or the slot of that variable. */
static int parse_scope_uid(struct cedar_parser *parser, enum cedar_var var, struct cedar_policy *policy,
                struct cedar_scope *scope) {
        const struct cedar_uid *uid = NULL;
        int r;

        scope->uids = arena_alloc0(parser->arena, sizeof(*scope->uids));
        if (!scope->uids)
                return -ENOMEM;
        if (parser->token.kind == CEDAR_TOKEN_SLOT) {
                if (var == CEDAR_ACTION ||
                                !cedar_text_equal(parser->token.text, cedar_text_of(cedar_var_name(var))))
                        return cedar_parser_expected(parser,
                                        var == CEDAR_ACTION ? "an entity: there is no slot for actions"
                                                            : "an entity, or the slot of that name");
                scope->slot = policy->has_slots = true;
                cedar_parser_advance(parser);
                return 0;
        }
        r = parse_uid(parser, &uid);
        scope->uids[0] = uid;
        scope->n_uids = 1;
        return r;
}

static int parse_scope_list(struct cedar_parser *parser, struct cedar_scope *scope) {
        unsigned open;
        int r = cedar_parser_expect(parser, "[");

        scope->op = CEDAR_SCOPE_IN_LIST;
        while (r == 0 && !cedar_parser_take(parser, "]")) {
                scope->uids = cedar_grow(parser->arena, scope->uids, scope->n_uids, sizeof(*scope->uids));
                if (!scope->uids)
                        return -ENOMEM;
                open = take_open(parser);
                r = parse_uid(parser, &scope->uids[scope->n_uids]);
                if (r == 0)
                        r = expect_close(parser, open);
                scope->n_uids++;
                if (r == 0 && !cedar_token_is(&parser->token, "]"))
                        r = cedar_parser_expect(parser, ",");
        }
        return r;
}

/* What stands behind ==, or in. */
static int parse_operand(struct cedar_parser *parser, enum cedar_var var, struct cedar_policy *policy,
                struct cedar_scope *scope) {
        unsigned open = take_open(parser);
        bool list = var == CEDAR_ACTION && scope->op == CEDAR_SCOPE_IN &&
                        cedar_token_is(&parser->token, "[");
        int r = list ? parse_scope_list(parser, scope) : parse_scope_uid(parser, var, policy, scope);

        return r < 0 ? r : expect_close(parser, open);
}

static int parse_constraint(struct cedar_parser *parser, enum cedar_var var, struct cedar_policy *policy,
                struct cedar_scope *scope) {
        int r;

        if (cedar_parser_take(parser, "==")) {
                scope->op = CEDAR_SCOPE_EQ;
                return parse_operand(parser, var, policy, scope);
        }
        if (cedar_parser_take(parser, "in")) {
                scope->op = CEDAR_SCOPE_IN;
                return parse_operand(parser, var, policy, scope);
        }
        if (cedar_token_is(&parser->token, "is") && var != CEDAR_ACTION) {
                cedar_parser_advance(parser);
                scope->op = CEDAR_SCOPE_IS;
                r = cedar_parser_path(parser, "the name of a type", &scope->type);
                if (r < 0 || !cedar_parser_take(parser, "in"))
                        return r;
                scope->op = CEDAR_SCOPE_IS_IN;
                return parse_operand(parser, var, policy, scope);
        }
        return 0;
}

static int parse_scope(struct cedar_parser *parser, struct cedar_policy *policy) {
        int r = cedar_parser_expect(parser, "(");

        for (enum cedar_var var = CEDAR_PRINCIPAL; r == 0 && var <= CEDAR_RESOURCE; var++) {
                struct cedar_scope *scope = &policy->scopes[var];
                uint32_t start = parser->token.offset;

                r = cedar_parser_expect(parser, cedar_var_name(var));
                if (r == 0)
                        r = parse_constraint(parser, var, policy, scope);
                scope->span = cedar_parser_span(parser, start);
                if (r < 0)
                        return r;
                if (var < CEDAR_RESOURCE)
                        r = cedar_token_is(&parser->token, ",")
                                        ? 0
                                        : cedar_parser_expected(parser,
                                                          var == CEDAR_ACTION ? "\",\" or ==, or in"
                                                                              : "\",\" or ==, in or is");
                if (r == 0 && cedar_token_is(&parser->token, ","))
                        cedar_parser_advance(parser);
        }
        return r < 0 ? r : cedar_parser_expect(parser, ")");
}

/* ---- policies ---- */

static int parse_annotation(struct cedar_parser *parser, struct cedar_policy *policy) {
        struct cedar_annotation *annotation;
        uint32_t start = parser->token.offset;
        int r;

        if (parser->token.kind != CEDAR_TOKEN_WORD)
                return cedar_parser_expected(parser, "the annotation's name");
        for (size_t i = 0; i < policy->n_annotations; i++)
                if (cedar_text_equal(policy->annotations[i].key, parser->token.text))
                        return cedar_parser_fail_at(parser, start, "the annotation @%.*s stands here twice",
                                        (int) parser->token.text.n, parser->token.text.s);
        if (policy->n_annotations == CEDAR_ANNOTATIONS_MAX)
                return cedar_parser_fail_at(parser, start, "a policy has more than %u annotations",
                                CEDAR_ANNOTATIONS_MAX);
        policy->annotations = cedar_grow(
                        parser->arena, policy->annotations, policy->n_annotations, sizeof(*annotation));
        if (!policy->annotations)
                return -ENOMEM;
        annotation = &policy->annotations[policy->n_annotations++];
        *annotation = (struct cedar_annotation){ .key = parser->token.text, .value = CEDAR_TEXT("") };
        cedar_parser_advance(parser);
        if (cedar_parser_take(parser, "(")) {
                r = cedar_parser_string(parser, &annotation->value, NULL);
                if (r == 0)
                        r = cedar_parser_expect(parser, ")");
                if (r < 0)
                        return r;
        }
        if (cedar_text_equal(annotation->key, CEDAR_TEXT("id")))
                policy->name = annotation->value;
        return 0;
}

static int parse_clause(struct cedar_parser *parser, bool unless, struct cedar_policy *policy) {
        struct cedar_clause *clause;
        int r;

        cedar_parser_advance(parser);
        policy->clauses = cedar_grow(parser->arena, policy->clauses, policy->n_clauses, sizeof(*clause));
        if (!policy->clauses)
                return -ENOMEM;
        clause = &policy->clauses[policy->n_clauses++];
        *clause = (struct cedar_clause){ .unless = unless };
        r = cedar_parser_expect(parser, "{");
        if (r == 0)
                r = cedar_parser_expression(parser, &clause->node);
        return r < 0 ? r : cedar_parser_expect(parser, "}");
}

/* The line of a place that is behind the one that was asked for before: the text is gone through once. */
static unsigned count_lines(struct cedar_parser *parser, uint32_t offset) {
        for (; parser->counted < offset; parser->counted++)
                parser->lines += parser->lexer.text[parser->counted] == '\n';
        return parser->lines + 1;
}

static int parse_policy(struct cedar_parser *parser, size_t index, struct cedar_policy *policy) {
        uint32_t start = parser->token.offset;
        char id[32];
        int r = 0;

        *policy = (struct cedar_policy){};
        while (r == 0 && cedar_parser_take(parser, "@"))
                r = parse_annotation(parser, policy);
        if (r < 0)
                return r;
        policy->forbid = cedar_token_is(&parser->token, "forbid");
        if (!policy->forbid && !cedar_token_is(&parser->token, "permit"))
                return cedar_parser_expected(parser, "permit or forbid");
        policy->line = count_lines(parser, parser->token.offset);
        cedar_parser_advance(parser);
        r = parse_scope(parser, policy);
        while (r == 0 &&
                        (cedar_token_is(&parser->token, "when") || cedar_token_is(&parser->token, "unless")))
                r = parse_clause(parser, cedar_token_is(&parser->token, "unless"), policy);
        if (r == 0 && !cedar_parser_take(parser, ";"))
                r = cedar_parser_expected(parser, "when, unless or \";\"");
        if (r < 0)
                return r;
        policy->is_template = policy->has_slots;
        policy->span = cedar_parser_span(parser, start);
        (void) snprintf(id, sizeof(id), "policy%zu", index);
        policy->id = cedar_text_copy(parser->arena, cedar_text_of(id));
        return policy->id.s ? 0 : -ENOMEM;
}

int cedar_parse_text(struct arena *arena, const char *name, const char *text, size_t size,
                struct cedar_policy **ret, size_t *ret_n, char **ret_error) {
        struct cedar_parser parser = {
                .arena = arena, .name = name, .lexer = CEDAR_LEXER(text, size), .ret_error = ret_error
        };
        struct cedar_policy *policies = NULL;
        size_t n = 0;
        int r = 0;

        *ret_error = NULL;
        if (size > CEDAR_TEXT_MAX) {
                *ret_error = text_printf("%s: more than %u bytes", name, CEDAR_TEXT_MAX);
                return -E2BIG;
        }
        if (!text_is_utf8(text, size)) {
                *ret_error = text_printf("%s: not UTF-8", name);
                return -EINVAL;
        }
        begin(&parser);
        while (r == 0 && parser.token.kind != CEDAR_TOKEN_END) {
                if (n == CEDAR_POLICIES_MAX)
                        return cedar_parser_fail_at(&parser, parser.token.offset,
                                        "there are more than %u policies", CEDAR_POLICIES_MAX);
                policies = cedar_grow(arena, policies, n, sizeof(*policies));
                if (!policies)
                        return -ENOMEM;
                r = parse_policy(&parser, n, &policies[n]);
                n++;
        }
        *ret = policies;
        *ret_n = n;
        return r;
}

int cedar_parse_uid(struct arena *arena, const char *name, struct cedar_text text,
                const struct cedar_uid **ret, char **ret_error) {
        struct cedar_parser parser = { .arena = arena, .name = name, .ret_error = ret_error };
        int r;

        *ret_error = NULL;
        text = cedar_text_copy(arena, text);
        if (!text.s)
                return -ENOMEM;
        parser.lexer = CEDAR_LEXER(text.s, text.n);
        if (!text_is_utf8(text.s, text.n)) {
                *ret_error = text_printf("%s: not UTF-8", name);
                return -EINVAL;
        }
        begin(&parser);
        r = parse_uid(&parser, ret);
        if (r == 0 && parser.token.kind != CEDAR_TOKEN_END)
                r = cedar_parser_expected(&parser, "the end");
        return r;
}
