/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-eval.h"

#include "cedar-build.h"
#include "cedar-eval-internal.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

/* Texts of others in messages. */
#define SHOWN_MAX 80

bool cedar_fail(struct cedar_evaluation *e, const char *format, ...) {
        char message[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        e->failure = arena_strdup(e->arena, message) ?: "out of memory";
        return false;
}

/* For want of memory. Always false. */
static bool starve(struct cedar_evaluation *e) {
        e->starved = true;
        e->failure = "out of memory";
        return false;
}

int cedar_shown_length(struct cedar_text text) {
        size_t n = MIN(text.n, (size_t) SHOWN_MAX);

        return (int) (n - text_unfinished_length(text.s, n));
}

bool cedar_expect_kind(struct cedar_evaluation *e, const struct cedar_value *value, enum cedar_kind kind,
                const char *what) {
        return value->kind == kind ||
                        cedar_fail(e, "%s takes %s, not %s", what, cedar_kind_name(kind),
                                        cedar_kind_name(value->kind));
}

static bool evaluate_kind(struct cedar_evaluation *e, const struct cedar_node *node, enum cedar_kind kind,
                const char *what, struct cedar_value *ret) {
        return cedar_evaluate(e, node, ret) && cedar_expect_kind(e, ret, kind, what);
}

bool cedar_evaluate_bool(struct cedar_evaluation *e, const struct cedar_node *node, bool *ret) {
        struct cedar_value value;

        if (!evaluate_kind(e, node, CEDAR_BOOL, "a condition", &value))
                return false;
        *ret = value.boolean;
        return true;
}

/* ---- operators ---- */

static bool evaluate_and_or(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        const char *what = cedar_op_symbol(node->op);

        if (!evaluate_kind(e, node->left, CEDAR_BOOL, what, ret))
                return false;
        if (ret->boolean == (node->op == CEDAR_OP_OR))
                return true;
        return evaluate_kind(e, node->right, CEDAR_BOOL, what, ret);
}

static bool evaluate_equality(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        struct cedar_value a, b;

        if (!cedar_evaluate(e, node->left, &a) || !cedar_evaluate(e, node->right, &b))
                return false;
        *ret = cedar_bool((cedar_value_compare(&a, &b) == 0) == (node->op == CEDAR_OP_EQ));
        return true;
}

static bool evaluate_order(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        struct cedar_value a, b;

        if (!cedar_evaluate(e, node->left, &a) || !cedar_evaluate(e, node->right, &b))
                return false;
        if (a.kind != b.kind ||
                        (a.kind != CEDAR_LONG && a.kind != CEDAR_DATETIME && a.kind != CEDAR_DURATION))
                return cedar_fail(e, "%s compares two longs, datetimes or durations, not %s and %s",
                                cedar_op_symbol(node->op), cedar_kind_name(a.kind), cedar_kind_name(b.kind));
        switch (node->op) {
        case CEDAR_OP_LT:
                *ret = cedar_bool(a.number < b.number);
                return true;
        case CEDAR_OP_LE:
                *ret = cedar_bool(a.number <= b.number);
                return true;
        case CEDAR_OP_GT:
                *ret = cedar_bool(a.number > b.number);
                return true;
        default:
                *ret = cedar_bool(a.number >= b.number);
                return true;
        }
}

static bool evaluate_arithmetic(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        const char *what = cedar_op_symbol(node->op);
        struct cedar_value a, b;
        int64_t number;
        bool overflow;

        /* Both are evaluated before either is judged. */
        if (!cedar_evaluate(e, node->left, &a) || !cedar_evaluate(e, node->right, &b) ||
                        !cedar_expect_kind(e, &a, CEDAR_LONG, what) ||
                        !cedar_expect_kind(e, &b, CEDAR_LONG, what))
                return false;
        overflow = node->op == CEDAR_OP_ADD        ? __builtin_add_overflow(a.number, b.number, &number)
                        : node->op == CEDAR_OP_SUB ? __builtin_sub_overflow(a.number, b.number, &number)
                                                   : __builtin_mul_overflow(a.number, b.number, &number);
        if (overflow)
                return cedar_fail(e, "%s overflows 64 bits", what);
        *ret = cedar_long(number);
        return true;
}

static bool evaluate_negation(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        if (node->op == CEDAR_OP_NOT) {
                if (!evaluate_kind(e, node->left, CEDAR_BOOL, "!", ret))
                        return false;
                ret->boolean = !ret->boolean;
                return true;
        }
        if (!evaluate_kind(e, node->left, CEDAR_LONG, "-", ret))
                return false;
        return !__builtin_sub_overflow(INT64_C(0), ret->number, &ret->number) ||
                        cedar_fail(e, "- overflows 64 bits");
}

/* Whether the entity is in one, or in one of a set, all of which must be entities. */
static bool is_in(struct cedar_evaluation *e, const struct cedar_uid *uid, const struct cedar_value *where,
                bool *ret) {
        if (where->kind == CEDAR_ENTITY) {
                *ret = cedar_entities_is_in(e->entities, uid, where->uid);
                return true;
        }
        if (where->kind != CEDAR_SET)
                return cedar_fail(e, "in takes an entity or a set of them, not %s",
                                cedar_kind_name(where->kind));
        for (size_t i = 0; i < where->set->n; i++)
                if (!cedar_expect_kind(e, &where->set->items[i], CEDAR_ENTITY, "in"))
                        return false;
        *ret = false;
        for (size_t i = 0; i < where->set->n && !*ret; i++)
                *ret = cedar_entities_is_in(e->entities, uid, where->set->items[i].uid);
        return true;
}

static bool evaluate_in(struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        struct cedar_value a, b;
        bool in;

        if (!cedar_evaluate(e, node->left, &a) || !cedar_evaluate(e, node->right, &b) ||
                        !cedar_expect_kind(e, &a, CEDAR_ENTITY, "in") || !is_in(e, a.uid, &b, &in))
                return false;
        *ret = cedar_bool(in);
        return true;
}

static bool evaluate_is(struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        struct cedar_value value, where;
        bool is;

        if (!evaluate_kind(e, node->left, CEDAR_ENTITY, "is", &value))
                return false;
        is = cedar_text_equal(value.uid->type, node->name);
        if (is && node->right &&
                        (!cedar_evaluate(e, node->right, &where) || !is_in(e, value.uid, &where, &is)))
                return false;
        *ret = cedar_bool(is);
        return true;
}

static bool evaluate_like(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        struct cedar_value value;

        if (!evaluate_kind(e, node->left, CEDAR_STRING, "like", &value))
                return false;
        *ret = cedar_bool(cedar_pattern_match(node->pattern, value.text));
        return true;
}

static bool evaluate_if(struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        struct cedar_value condition;

        if (!evaluate_kind(e, node->left, CEDAR_BOOL, "if", &condition))
                return false;
        return cedar_evaluate(e, condition.boolean ? node->right : node->third, ret);
}

/* ---- attributes and tags ---- */

static bool evaluate_has(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        const struct cedar_record *record = NULL;
        const struct cedar_entity *entity;
        struct cedar_value object;

        if (!cedar_evaluate(e, node->left, &object))
                return false;
        if (object.kind == CEDAR_ENTITY) {
                entity = cedar_entities_find(e->entities, object.uid);
                record = entity ? entity->attributes : NULL;
        } else if (object.kind == CEDAR_RECORD)
                record = object.record;
        else
                return cedar_fail(
                                e, "has takes an entity or a record, not %s", cedar_kind_name(object.kind));
        *ret = cedar_bool(record && cedar_record_get(record, node->name));
        return true;
}

const struct cedar_entity *cedar_expect_entity(struct cedar_evaluation *e, const struct cedar_uid *uid) {
        const struct cedar_entity *entity = cedar_entities_find(e->entities, uid);

        if (!entity)
                (void) cedar_fail(e, "there is no entity %.*s::\"%.*s\"", CEDAR_SHOWN(uid->type),
                                CEDAR_SHOWN(uid->id));
        return entity;
}

static bool evaluate_get(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        const struct cedar_record *record;
        const struct cedar_entity *entity;
        const struct cedar_value *value;
        struct cedar_value object;

        if (!cedar_evaluate(e, node->left, &object))
                return false;
        if (object.kind == CEDAR_ENTITY) {
                entity = cedar_expect_entity(e, object.uid);
                if (!entity)
                        return false;
                record = entity->attributes;
        } else if (object.kind == CEDAR_RECORD)
                record = object.record;
        else
                return cedar_fail(e, "%s has no attributes", cedar_kind_name(object.kind));
        value = cedar_record_get(record, node->name);
        if (!value)
                return cedar_fail(e, "there is no attribute \"%.*s\"", CEDAR_SHOWN(node->name));
        *ret = *value;
        return true;
}

/* ---- sets, records and values of extension types ---- */

static bool evaluate_set(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        struct cedar_value *items = arena_alloc(e->arena, node->set.n * sizeof(*items));

        if (!items)
                return starve(e);
        for (size_t i = 0; i < node->set.n; i++)
                if (!cedar_evaluate(e, node->set.items[i], &items[i]))
                        return false;
        return cedar_set_new(e->arena, items, node->set.n, ret) == 0 || starve(e);
}

static bool evaluate_record(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        struct cedar_field *fields = arena_alloc(e->arena, node->record.n * sizeof(*fields));

        if (!fields)
                return starve(e);
        for (size_t i = 0; i < node->record.n; i++) {
                fields[i].key = node->record.members[i].key;
                if (!cedar_evaluate(e, node->record.members[i].node, &fields[i].value))
                        return false;
        }
        return cedar_record_new(e->arena, fields, node->record.n, ret) == 0 || starve(e);
}

static bool evaluate_call(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        const char *name = cedar_function_name(node->function);
        struct cedar_value argument;
        int r;

        if (!evaluate_kind(e, node->left, CEDAR_STRING, name, &argument))
                return false;
        r = cedar_function_apply(e->arena, node->function, argument.text, ret);
        if (r == -ENOMEM)
                return starve(e);
        return r == 0 ||
                        cedar_fail(e, "\"%.*s\" is no %s: %s is", CEDAR_SHOWN(argument.text), name,
                                        cedar_function_expects(node->function));
}

/* ---- all of them ---- */

static void evaluate_var(const struct cedar_evaluation *e, enum cedar_var var, struct cedar_value *ret) {
        const struct cedar_request *request = e->request;

        switch (var) {
        case CEDAR_PRINCIPAL:
                *ret = cedar_entity(request->principal);
                return;
        case CEDAR_ACTION:
                *ret = cedar_entity(request->action);
                return;
        case CEDAR_RESOURCE:
                *ret = cedar_entity(request->resource);
                return;
        default:
                *ret = (struct cedar_value){ .kind = CEDAR_RECORD, .record = request->context };
                return;
        }
}

bool cedar_evaluate(struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        switch (node->op) {
        case CEDAR_OP_LITERAL:
                *ret = node->literal;
                return true;
        case CEDAR_OP_VAR:
                evaluate_var(e, node->var, ret);
                return true;
        case CEDAR_OP_AND:
        case CEDAR_OP_OR:
                return evaluate_and_or(e, node, ret);
        case CEDAR_OP_EQ:
        case CEDAR_OP_NE:
                return evaluate_equality(e, node, ret);
        case CEDAR_OP_LT ... CEDAR_OP_GE:
                return evaluate_order(e, node, ret);
        case CEDAR_OP_IN:
                return evaluate_in(e, node, ret);
        case CEDAR_OP_ADD ... CEDAR_OP_MUL:
                return evaluate_arithmetic(e, node, ret);
        case CEDAR_OP_NOT:
        case CEDAR_OP_NEG:
                return evaluate_negation(e, node, ret);
        case CEDAR_OP_IF:
                return evaluate_if(e, node, ret);
        case CEDAR_OP_HAS:
                return evaluate_has(e, node, ret);
        case CEDAR_OP_GET:
                return evaluate_get(e, node, ret);
        case CEDAR_OP_LIKE:
                return evaluate_like(e, node, ret);
        case CEDAR_OP_IS:
                return evaluate_is(e, node, ret);
        case CEDAR_OP_SET:
                return evaluate_set(e, node, ret);
        case CEDAR_OP_RECORD:
                return evaluate_record(e, node, ret);
        case CEDAR_OP_CALL:
                return evaluate_call(e, node, ret);
        case CEDAR_OP_WRONG:
                return cedar_fail(e, "%s takes another number of arguments: %u", node->wrong.name,
                                node->wrong.wanted);
        default:
                return cedar_evaluate_method(e, node, ret);
        }
}

/* ---- the scope ---- */

bool cedar_scope_is_met(
                const struct cedar_evaluation *e, const struct cedar_policy *policy, enum cedar_var var) {
        const struct cedar_scope *scope = &policy->scopes[var];
        const struct cedar_request *request = e->request;
        const struct cedar_uid *uid = var == CEDAR_PRINCIPAL ? request->principal
                        : var == CEDAR_ACTION                ? request->action
                                                             : request->resource,
                               *wanted = NULL;

        if (scope->slot)
                wanted = policy->slots[var == CEDAR_RESOURCE];
        else if (scope->n_uids > 0)
                wanted = scope->uids[0];
        switch (scope->op) {
        case CEDAR_SCOPE_ANY:
                return true;
        case CEDAR_SCOPE_EQ:
                return wanted && cedar_uid_equal(uid, wanted);
        case CEDAR_SCOPE_IN:
                return wanted && cedar_entities_is_in(e->entities, uid, wanted);
        case CEDAR_SCOPE_IS:
                return cedar_text_equal(uid->type, scope->type);
        case CEDAR_SCOPE_IS_IN:
                return cedar_text_equal(uid->type, scope->type) && wanted &&
                                cedar_entities_is_in(e->entities, uid, wanted);
        default:
                for (size_t i = 0; i < scope->n_uids; i++)
                        if (cedar_entities_is_in(e->entities, uid, scope->uids[i]))
                                return true;
                return false;
        }
}
