/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What methods come to: of entities' tags, of sets, and of the extension types. */
#include "cedar-eval-internal.h"

/* ---- tags ---- */

static bool evaluate_tag(struct cedar_evaluation *e, const struct cedar_node *node,
                const struct cedar_value *object, const struct cedar_value *key, struct cedar_value *ret) {
        const char *what = cedar_method_name(node->method);
        const struct cedar_entity *entity;
        const struct cedar_value *value;

        if (!cedar_expect_kind(e, object, CEDAR_ENTITY, what) ||
                        !cedar_expect_kind(e, key, CEDAR_STRING, what))
                return false;
        if (node->method == CEDAR_METHOD_HAS_TAG) {
                entity = cedar_entities_find(e->entities, object->uid);
                *ret = cedar_bool(entity && cedar_record_get(entity->tags, key->text));
                return true;
        }
        entity = cedar_expect_entity(e, object->uid);
        if (!entity)
                return false;
        value = cedar_record_get(entity->tags, key->text);
        if (!value)
                return cedar_fail(e, "there is no tag \"%.*s\"", CEDAR_SHOWN(key->text));
        *ret = *value;
        return true;
}

/* ---- sets ---- */

static bool evaluate_containment(struct cedar_evaluation *e, const struct cedar_node *node,
                const struct cedar_value *object, const struct cedar_value *argument,
                struct cedar_value *ret) {
        const char *what = cedar_method_name(node->method);
        size_t n = 0;

        if (!cedar_expect_kind(e, object, CEDAR_SET, what))
                return false;
        if (node->method == CEDAR_METHOD_IS_EMPTY || node->method == CEDAR_METHOD_CONTAINS) {
                *ret = cedar_bool(node->method == CEDAR_METHOD_IS_EMPTY
                                                ? object->set->n == 0
                                                : cedar_set_contains(object->set, argument));
                return true;
        }
        if (!cedar_expect_kind(e, argument, CEDAR_SET, what))
                return false;
        for (size_t i = 0; i < argument->set->n; i++)
                n += cedar_set_contains(object->set, &argument->set->items[i]);
        *ret = cedar_bool(node->method == CEDAR_METHOD_CONTAINS_ALL ? n == argument->set->n : n > 0);
        return true;
}

/* ---- extension types ---- */

static bool evaluate_ip(struct cedar_evaluation *e, const struct cedar_node *node,
                const struct cedar_value *object, const struct cedar_value *argument,
                struct cedar_value *ret) {
        const char *what = cedar_method_name(node->method);

        if (!cedar_expect_kind(e, object, CEDAR_IP, what))
                return false;
        switch (node->method) {
        case CEDAR_METHOD_IS_IPV4:
                *ret = cedar_bool(!object->ip->is_v6);
                return true;
        case CEDAR_METHOD_IS_IPV6:
                *ret = cedar_bool(object->ip->is_v6);
                return true;
        case CEDAR_METHOD_IS_LOOPBACK:
                *ret = cedar_bool(cedar_ip_is_loopback(object->ip));
                return true;
        case CEDAR_METHOD_IS_MULTICAST:
                *ret = cedar_bool(cedar_ip_is_multicast(object->ip));
                return true;
        default:
                if (!cedar_expect_kind(e, argument, CEDAR_IP, what))
                        return false;
                *ret = cedar_bool(cedar_ip_is_in_range(object->ip, argument->ip));
                return true;
        }
}

static bool evaluate_decimal(struct cedar_evaluation *e, const struct cedar_node *node,
                const struct cedar_value *object, const struct cedar_value *argument,
                struct cedar_value *ret) {
        const char *what = cedar_method_name(node->method);
        int64_t a, b;

        if (!cedar_expect_kind(e, object, CEDAR_DECIMAL, what) ||
                        !cedar_expect_kind(e, argument, CEDAR_DECIMAL, what))
                return false;
        a = object->number;
        b = argument->number;
        *ret = cedar_bool(node->method == CEDAR_METHOD_LESS_THAN                          ? a < b
                                        : node->method == CEDAR_METHOD_LESS_THAN_OR_EQUAL ? a <= b
                                        : node->method == CEDAR_METHOD_GREATER_THAN       ? a > b
                                                                                          : a >= b);
        return true;
}

static bool evaluate_datetime(struct cedar_evaluation *e, const struct cedar_node *node,
                const struct cedar_value *object, const struct cedar_value *argument,
                struct cedar_value *ret) {
        const char *what = cedar_method_name(node->method);
        enum cedar_kind kind = CEDAR_DATETIME;
        bool overflow = false;
        int64_t number;

        if (!cedar_expect_kind(e, object, CEDAR_DATETIME, what))
                return false;
        if (argument &&
                        !cedar_expect_kind(e, argument,
                                        node->method == CEDAR_METHOD_OFFSET ? CEDAR_DURATION
                                                                            : CEDAR_DATETIME,
                                        what))
                return false;
        switch (node->method) {
        case CEDAR_METHOD_OFFSET:
                overflow = __builtin_add_overflow(object->number, argument->number, &number);
                break;
        case CEDAR_METHOD_DURATION_SINCE:
                overflow = __builtin_sub_overflow(object->number, argument->number, &number);
                kind = CEDAR_DURATION;
                break;
        case CEDAR_METHOD_TO_DATE:
                overflow = cedar_datetime_to_date(object->number, &number) < 0;
                break;
        default:
                number = cedar_datetime_to_time(object->number);
                kind = CEDAR_DURATION;
                break;
        }
        if (overflow)
                return cedar_fail(e, "%s overflows 64 bits of milliseconds", what);
        *ret = (struct cedar_value){ .kind = kind, .number = number };
        return true;
}

static bool evaluate_duration(struct cedar_evaluation *e, const struct cedar_node *node,
                const struct cedar_value *object, struct cedar_value *ret) {
        static const int64_t units[] = {
                [CEDAR_METHOD_TO_MILLISECONDS] = 1,
                [CEDAR_METHOD_TO_SECONDS] = 1000,
                [CEDAR_METHOD_TO_MINUTES] = 1000 * 60,
                [CEDAR_METHOD_TO_HOURS] = 1000 * 60 * 60,
                [CEDAR_METHOD_TO_DAYS] = 1000 * 60 * 60 * 24,
        };

        if (!cedar_expect_kind(e, object, CEDAR_DURATION, cedar_method_name(node->method)))
                return false;
        *ret = cedar_long(object->number / units[node->method]);
        return true;
}

bool cedar_evaluate_method(
                struct cedar_evaluation *e, const struct cedar_node *node, struct cedar_value *ret) {
        struct cedar_value object, argument;
        const struct cedar_value *a = node->right ? &argument : NULL;

        if (!cedar_evaluate(e, node->left, &object) || (a && !cedar_evaluate(e, node->right, &argument)))
                return false;
        switch (node->method) {
        case CEDAR_METHOD_CONTAINS ... CEDAR_METHOD_IS_EMPTY:
                return evaluate_containment(e, node, &object, a, ret);
        case CEDAR_METHOD_GET_TAG ... CEDAR_METHOD_HAS_TAG:
                return evaluate_tag(e, node, &object, a, ret);
        case CEDAR_METHOD_IS_IPV4 ... CEDAR_METHOD_IS_IN_RANGE:
                return evaluate_ip(e, node, &object, a, ret);
        case CEDAR_METHOD_LESS_THAN ... CEDAR_METHOD_GREATER_THAN_OR_EQUAL:
                return evaluate_decimal(e, node, &object, a, ret);
        case CEDAR_METHOD_OFFSET ... CEDAR_METHOD_TO_TIME:
                return evaluate_datetime(e, node, &object, a, ret);
        default:
                return evaluate_duration(e, node, &object, ret);
        }
}
