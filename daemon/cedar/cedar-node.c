/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-node.h"

static const struct {
        const char *name;
        unsigned arguments;
} methods[CEDAR_METHODS] = {
        [CEDAR_METHOD_CONTAINS] = { "contains", 1 },
        [CEDAR_METHOD_CONTAINS_ALL] = { "containsAll", 1 },
        [CEDAR_METHOD_CONTAINS_ANY] = { "containsAny", 1 },
        [CEDAR_METHOD_IS_EMPTY] = { "isEmpty", 0 },
        [CEDAR_METHOD_GET_TAG] = { "getTag", 1 },
        [CEDAR_METHOD_HAS_TAG] = { "hasTag", 1 },
        [CEDAR_METHOD_IS_IPV4] = { "isIpv4", 0 },
        [CEDAR_METHOD_IS_IPV6] = { "isIpv6", 0 },
        [CEDAR_METHOD_IS_LOOPBACK] = { "isLoopback", 0 },
        [CEDAR_METHOD_IS_MULTICAST] = { "isMulticast", 0 },
        [CEDAR_METHOD_IS_IN_RANGE] = { "isInRange", 1 },
        [CEDAR_METHOD_LESS_THAN] = { "lessThan", 1 },
        [CEDAR_METHOD_LESS_THAN_OR_EQUAL] = { "lessThanOrEqual", 1 },
        [CEDAR_METHOD_GREATER_THAN] = { "greaterThan", 1 },
        [CEDAR_METHOD_GREATER_THAN_OR_EQUAL] = { "greaterThanOrEqual", 1 },
        [CEDAR_METHOD_OFFSET] = { "offset", 1 },
        [CEDAR_METHOD_DURATION_SINCE] = { "durationSince", 1 },
        [CEDAR_METHOD_TO_DATE] = { "toDate", 0 },
        [CEDAR_METHOD_TO_TIME] = { "toTime", 0 },
        [CEDAR_METHOD_TO_MILLISECONDS] = { "toMilliseconds", 0 },
        [CEDAR_METHOD_TO_SECONDS] = { "toSeconds", 0 },
        [CEDAR_METHOD_TO_MINUTES] = { "toMinutes", 0 },
        [CEDAR_METHOD_TO_HOURS] = { "toHours", 0 },
        [CEDAR_METHOD_TO_DAYS] = { "toDays", 0 },
};

static const char *const reserved[] = { "true", "false", "if", "then", "else", "in", "is", "like", "has",
        "__cedar" };

const struct cedar_node *cedar_node_child(const struct cedar_node *node, size_t i) {
        const struct cedar_node *children[3] = { node->left, node->right,
                node->op == CEDAR_OP_IF ? node->third : NULL };

        if (node->op == CEDAR_OP_SET)
                return i < node->set.n ? node->set.items[i] : NULL;
        if (node->op == CEDAR_OP_RECORD)
                return i < node->record.n ? node->record.members[i].node : NULL;
        return i < ELEMENTSOF(children) ? children[i] : NULL;
}

const char *cedar_var_name(enum cedar_var var) {
        static const char *const names[] = {
                [CEDAR_PRINCIPAL] = "principal",
                [CEDAR_ACTION] = "action",
                [CEDAR_RESOURCE] = "resource",
                [CEDAR_CONTEXT] = "context",
        };

        return names[var];
}

const char *cedar_method_name(enum cedar_method method) {
        return methods[method].name;
}

bool cedar_method_is_extension(enum cedar_method method) {
        return method >= CEDAR_METHOD_IS_IPV4;
}

unsigned cedar_method_arguments(enum cedar_method method) {
        return methods[method].arguments;
}

int cedar_method_find(struct cedar_text name, enum cedar_method *ret) {
        for (size_t i = 0; i < CEDAR_METHODS; i++)
                if (cedar_text_equal(name, cedar_text_of(methods[i].name))) {
                        *ret = i;
                        return 0;
                }
        return -ENOENT;
}

const char *cedar_op_symbol(enum cedar_op op) {
        static const char *const symbols[] = {
                [CEDAR_OP_AND] = "&&",
                [CEDAR_OP_OR] = "||",
                [CEDAR_OP_EQ] = "==",
                [CEDAR_OP_NE] = "!=",
                [CEDAR_OP_LT] = "<",
                [CEDAR_OP_LE] = "<=",
                [CEDAR_OP_GT] = ">",
                [CEDAR_OP_GE] = ">=",
                [CEDAR_OP_IN] = "in",
                [CEDAR_OP_ADD] = "+",
                [CEDAR_OP_SUB] = "-",
                [CEDAR_OP_MUL] = "*",
                [CEDAR_OP_NOT] = "!",
                [CEDAR_OP_NEG] = "-",
        };

        return op < ELEMENTSOF(symbols) ? symbols[op] : NULL;
}

bool cedar_is_reserved(struct cedar_text name) {
        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                if (cedar_text_equal(name, cedar_text_of(reserved[i])))
                        return true;
        return false;
}

bool cedar_is_word(struct cedar_text name) {
        for (size_t i = 0; i < name.n; i++) {
                char c = name.s[i];

                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                                    (i > 0 && c >= '0' && c <= '9')))
                        return false;
        }
        return name.n > 0;
}

bool cedar_is_identifier(struct cedar_text name) {
        return cedar_is_word(name) && !cedar_is_reserved(name);
}

bool cedar_is_type_name(struct cedar_text name) {
        for (;;) {
                const char *colon = memmem(name.s, name.n, "::", 2);
                size_t n = colon ? (size_t) (colon - name.s) : name.n;

                if (!cedar_is_identifier((struct cedar_text){ name.s, n }))
                        return false;
                if (!colon)
                        return true;
                name = (struct cedar_text){ colon + 2, name.n - n - 2 };
        }
}
