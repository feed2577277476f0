/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Policies as they are kept: what cedar-parser.c and cedar-json.c make, and everything else reads. */

#include "cedar-extension.h"
#include "cedar-value.h"

/*
 * How deep an expression may be: as many calls deep does everything recurse that walks it. A chain of && or
 * + is as deep as it is long. Each call takes some hundred bytes of stack, or a few thousand under the
 * sanitizers.
 */
#define CEDAR_DEPTH_MAX 2048

enum cedar_var {
        CEDAR_PRINCIPAL,
        CEDAR_ACTION,
        CEDAR_RESOURCE,
        CEDAR_CONTEXT,
};

enum cedar_op {
        CEDAR_OP_LITERAL,
        CEDAR_OP_VAR,
        CEDAR_OP_AND, /* binary ones: left and right */
        CEDAR_OP_OR,
        CEDAR_OP_EQ,
        CEDAR_OP_NE,
        CEDAR_OP_LT,
        CEDAR_OP_LE,
        CEDAR_OP_GT,
        CEDAR_OP_GE,
        CEDAR_OP_IN,
        CEDAR_OP_ADD,
        CEDAR_OP_SUB,
        CEDAR_OP_MUL,
        CEDAR_OP_NOT, /* unary ones: left */
        CEDAR_OP_NEG,
        CEDAR_OP_IF,   /* if left then right else third */
        CEDAR_OP_HAS,  /* left has name */
        CEDAR_OP_GET,  /* left.name */
        CEDAR_OP_LIKE, /* left like pattern */
        CEDAR_OP_IS,   /* left is name [in right] */
        CEDAR_OP_SET,
        CEDAR_OP_RECORD,
        CEDAR_OP_CALL,   /* function(left) */
        CEDAR_OP_METHOD, /* left.method(right) */
        CEDAR_OP_WRONG,  /* a function or method of an extension type with another number of arguments: it
                            fails */
};

enum cedar_method {
        CEDAR_METHOD_CONTAINS,
        CEDAR_METHOD_CONTAINS_ALL,
        CEDAR_METHOD_CONTAINS_ANY,
        CEDAR_METHOD_IS_EMPTY,
        CEDAR_METHOD_GET_TAG,
        CEDAR_METHOD_HAS_TAG,
        CEDAR_METHOD_IS_IPV4,
        CEDAR_METHOD_IS_IPV6,
        CEDAR_METHOD_IS_LOOPBACK,
        CEDAR_METHOD_IS_MULTICAST,
        CEDAR_METHOD_IS_IN_RANGE,
        CEDAR_METHOD_LESS_THAN,
        CEDAR_METHOD_LESS_THAN_OR_EQUAL,
        CEDAR_METHOD_GREATER_THAN,
        CEDAR_METHOD_GREATER_THAN_OR_EQUAL,
        CEDAR_METHOD_OFFSET,
        CEDAR_METHOD_DURATION_SINCE,
        CEDAR_METHOD_TO_DATE,
        CEDAR_METHOD_TO_TIME,
        CEDAR_METHOD_TO_MILLISECONDS,
        CEDAR_METHOD_TO_SECONDS,
        CEDAR_METHOD_TO_MINUTES,
        CEDAR_METHOD_TO_HOURS,
        CEDAR_METHOD_TO_DAYS,
        CEDAR_METHODS,
};

/* Where something stands in the text: bytes. Of policies out of JSON: 0, 0. */
struct cedar_span {
        uint32_t offset, length;
};

/* What stands between the wildcards of a pattern, in order; one piece: there is no wildcard. */
struct cedar_pattern {
        size_t n;
        struct cedar_text pieces[];
};

struct cedar_member {
        struct cedar_text key;
        const struct cedar_node *node;
};

struct cedar_node {
        enum cedar_op op;
        unsigned depth;
        uint32_t steps; /* of an evaluation, at most: nodes, as often as they are met; UINT32_MAX: or more */
        struct cedar_span span;
        const struct cedar_node *left, *right;
        union {
                const struct cedar_node *third;
                struct cedar_text name;
                const struct cedar_pattern *pattern;
                enum cedar_method method;
                enum cedar_function function;
                enum cedar_var var;
                struct cedar_value literal;
                struct {
                        const struct cedar_node **items;
                        size_t n;
                } set;
                struct {
                        struct cedar_member *members;
                        size_t n;
                } record;
                struct {
                        const char *name;
                        unsigned wanted; /* besides what stands before a method's point */
                } wrong;
        };
};

enum cedar_scope_op {
        CEDAR_SCOPE_ANY,
        CEDAR_SCOPE_EQ,
        CEDAR_SCOPE_IN,
        CEDAR_SCOPE_IN_LIST, /* of actions alone */
        CEDAR_SCOPE_IS,
        CEDAR_SCOPE_IS_IN,
};

/* What a policy says of principal, action or resource before its conditions. */
struct cedar_scope {
        enum cedar_scope_op op;
        bool slot; /* the entity is a template's ?principal or ?resource, not uids[0] */
        struct cedar_text type;
        const struct cedar_uid **uids;
        size_t n_uids;
        struct cedar_span span;
};

struct cedar_clause {
        bool unless;
        const struct cedar_node *node;
};

struct cedar_annotation {
        struct cedar_text key, value;
};

/* One that applies, or a template. What a template's links share is the template's. */
struct cedar_policy {
        struct cedar_text id; /* policy0, policy1, … in the order of the file; out of a policy set in JSON:
                                 its name */
        struct cedar_text name; /* of the annotation @id; n is 0: none */
        bool forbid;
        bool has_slots;                   /* in the scope */
        bool is_template;                 /* which applies to nothing by itself */
        const struct cedar_uid *slots[2]; /* of a link: what its ?principal and ?resource are; else NULL */
        struct cedar_scope scopes[3];     /* by enum cedar_var */
        struct cedar_clause *clauses;
        size_t n_clauses;
        struct cedar_annotation *annotations;
        size_t n_annotations;
        struct cedar_span span;
        unsigned line; /* from 1; 0: not known */
};

/* What stands directly below a node, from 0, in the order of the text; NULL past the last one. */
const struct cedar_node *cedar_node_child(const struct cedar_node *node, size_t i);

const char *cedar_var_name(enum cedar_var var);
const char *cedar_method_name(enum cedar_method method);
/* Of an extension type: the number of its arguments is looked at only when it is evaluated. */
bool cedar_method_is_extension(enum cedar_method method);
/* How many arguments it takes: 0 or 1. */
unsigned cedar_method_arguments(enum cedar_method method);
/* -ENOENT: there is no method of that name. */
int cedar_method_find(struct cedar_text name, enum cedar_method *ret);

/* "&&", "<": of binary and unary ones; else NULL. */
const char *cedar_op_symbol(enum cedar_op op);

/* Whether it may not name a type or an attribute without quotes: if, true, in, …. */
bool cedar_is_reserved(struct cedar_text name);
/* [_a-zA-Z][_a-zA-Z0-9]* */
bool cedar_is_word(struct cedar_text name);
/* The same, and not reserved. */
bool cedar_is_identifier(struct cedar_text name);
/* Identifiers with :: between them. */
bool cedar_is_type_name(struct cedar_text name);
