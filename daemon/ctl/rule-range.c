/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rule-range.h"

#include "cedar-eval.h"

#include <stdio.h>

/* ---- subjects ---- */

static const struct cedar_node var_nodes[] = {
        [CEDAR_PRINCIPAL] = { .op = CEDAR_OP_VAR, .var = CEDAR_PRINCIPAL },
        [CEDAR_ACTION] = { .op = CEDAR_OP_VAR, .var = CEDAR_ACTION },
        [CEDAR_RESOURCE] = { .op = CEDAR_OP_VAR, .var = CEDAR_RESOURCE },
        [CEDAR_CONTEXT] = { .op = CEDAR_OP_VAR, .var = CEDAR_CONTEXT },
};

const struct cedar_node *rule_var_node(enum cedar_var var) {
        return &var_nodes[var];
}

bool rule_is_subject(const struct cedar_node *node) {
        while (node->op == CEDAR_OP_GET)
                node = node->left;
        return node->op == CEDAR_OP_VAR;
}

bool rule_subject_equal(const struct cedar_node *a, const struct cedar_node *b) {
        for (; a->op == CEDAR_OP_GET && b->op == CEDAR_OP_GET; a = a->left, b = b->left)
                if (!cedar_text_equal(a->name, b->name))
                        return false;
        return a->op == CEDAR_OP_VAR && b->op == CEDAR_OP_VAR && a->var == b->var;
}

const struct cedar_value *rule_bound_find(const struct rule_world *world, const struct cedar_node *subject) {
        for (size_t i = 0; i < world->n_bounds; i++)
                if (rule_subject_equal(world->bounds[i].subject, subject))
                        return &world->bounds[i].value;
        return NULL;
}

bool rule_bind(struct rule_world *world, const struct cedar_node *subject, struct cedar_value value) {
        if (world->n_bounds == RULE_BOUNDS_MAX)
                return false;
        world->bounds[world->n_bounds++] = (struct rule_bound){ subject, value };
        return true;
}

int rule_find_field(const struct cedar_node *subject, const ProtobufCMessageDescriptor *input,
                const ProtobufCFieldDescriptor **ret, struct cedar_text *ret_name,
                const ProtobufCMessageDescriptor **ret_message) {
        const ProtobufCMessageDescriptor *message = input;
        int r;

        if (subject->op != CEDAR_OP_GET)
                return -EINVAL;
        if (subject->left->op == CEDAR_OP_VAR) {
                if (subject->left->var != CEDAR_CONTEXT ||
                                cedar_text_equal(subject->name, CEDAR_TEXT("service")))
                        return -EINVAL;
        } else {
                r = rule_find_field(subject->left, input, ret, ret_name, ret_message);
                if (r < 0)
                        return r;
                if ((*ret)->type != PROTOBUF_C_TYPE_MESSAGE || (*ret)->label == PROTOBUF_C_LABEL_REPEATED)
                        return -EINVAL;
                message = (*ret)->descriptor;
        }
        *ret = contract_field(message, subject->name);
        if (*ret)
                return 0;
        *ret_name = subject->name;
        *ret_message = message;
        return -ENOENT;
}

/* ---- ranges ---- */

static struct rule_range of_kinds(unsigned kinds) {
        bool is_bool = kinds & RULE_KIND(CEDAR_BOOL);

        return (struct rule_range){ .kinds = kinds, .can_be_true = is_bool, .can_be_false = is_bool };
}

static struct rule_range of_value(struct cedar_value value) {
        bool is_bool = value.kind == CEDAR_BOOL;

        return (struct rule_range){
                .kinds = RULE_KIND(value.kind),
                .can_be_true = is_bool && value.boolean,
                .can_be_false = is_bool && !value.boolean,
                .is_known = true,
                .value = value,
        };
}

static struct rule_range of_bool(bool can_be_true, bool can_be_false) {
        struct rule_range range = of_kinds(can_be_true || can_be_false ? RULE_KIND(CEDAR_BOOL) : 0);

        range.can_be_true = can_be_true;
        range.can_be_false = can_be_false;
        range.is_known = can_be_true != can_be_false;
        range.value = cedar_bool(can_be_true);
        return range;
}

static struct rule_range fail(struct rule_world *world, const struct cedar_node *node, const char *message) {
        if (world->failed)
                world->failed(node, message, world->userdata);
        return of_kinds(0);
}

static enum cedar_kind some_kind(unsigned kinds) {
        enum cedar_kind kind = CEDAR_BOOL;

        while (!(kinds & RULE_KIND(kind)))
                kind++;
        return kind;
}

static bool is_one_kind(unsigned kinds) {
        return kinds && (kinds & (kinds - 1)) == 0;
}

/* What a part must be; else the whole fails. 0 is what has been told of already. */
static bool expect(struct rule_world *world, const struct cedar_node *node, const struct rule_range *range,
                unsigned kinds, const char *what) {
        char message[256];

        if (range->kinds == 0)
                return false;
        if (range->kinds & kinds)
                return true;
        if (!is_one_kind(range->kinds))
                (void) snprintf(message, sizeof(message), "%s does not take what stands here", what);
        else if (!is_one_kind(kinds))
                (void) snprintf(message, sizeof(message), "%s does not take %s", what,
                                cedar_kind_name(some_kind(range->kinds)));
        else
                (void) snprintf(message, sizeof(message), "%s takes %s, not %s", what,
                                cedar_kind_name(some_kind(kinds)), cedar_kind_name(some_kind(range->kinds)));
        (void) fail(world, node, message);
        return false;
}

/* The node with parts that are known, evaluated as it will be. */
static struct rule_range evaluate(struct rule_world *world, const struct cedar_node *node,
                const struct rule_range *left, const struct rule_range *right) {
        struct cedar_node a = { .op = CEDAR_OP_LITERAL }, b = { .op = CEDAR_OP_LITERAL }, copy = *node;
        struct cedar_evaluation e = { .entities = world->entities, .arena = world->arena };
        struct cedar_value value;

        if (left) {
                a.literal = left->value;
                copy.left = &a;
        }
        if (right) {
                b.literal = right->value;
                copy.right = &b;
        }
        if (cedar_evaluate(&e, &copy, &value))
                return of_value(value);
        world->starved = world->starved || e.starved;
        return fail(world, node, e.failure);
}

/* ---- fields ---- */

static unsigned kinds_of_field(const ProtobufCFieldDescriptor *field) {
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
                return RULE_KIND(CEDAR_SET);
        switch (field->type) {
        case PROTOBUF_C_TYPE_BOOL:
                return RULE_KIND(CEDAR_BOOL);
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
                return RULE_KIND(CEDAR_STRING);
        case PROTOBUF_C_TYPE_ENUM:
                return RULE_KIND(CEDAR_STRING) | RULE_KIND(CEDAR_LONG);
        case PROTOBUF_C_TYPE_MESSAGE:
                return RULE_KIND(CEDAR_RECORD);
        case PROTOBUF_C_TYPE_FLOAT:
        case PROTOBUF_C_TYPE_DOUBLE:
                return RULE_ANY_KIND; /* is left out: that is not a matter of kinds */
        default:
                return RULE_KIND(CEDAR_LONG);
        }
}

/* A subject of which no value is known. */
static struct rule_range range_of_subject(const struct rule_world *world, const struct cedar_node *node) {
        const ProtobufCMessageDescriptor *message;
        const ProtobufCFieldDescriptor *field;
        struct cedar_text name;

        if (node->op == CEDAR_OP_VAR)
                return of_kinds(RULE_KIND(node->var == CEDAR_CONTEXT ? CEDAR_RECORD : CEDAR_ENTITY));
        if (!world->method || rule_find_field(node, world->method->input, &field, &name, &message) < 0)
                return of_kinds(RULE_ANY_KIND);
        return of_kinds(kinds_of_field(field));
}

/* ---- operators ---- */

static struct rule_range range_of_and_or(struct rule_world *world, const struct cedar_node *node) {
        const char *what = cedar_op_symbol(node->op);
        bool is_and = node->op == CEDAR_OP_AND, goes_on, stops;
        struct rule_range left = rule_range_of(world, node->left), right;

        if (!expect(world, node->left, &left, RULE_KIND(CEDAR_BOOL), what))
                return of_kinds(0);
        goes_on = is_and ? left.can_be_true : left.can_be_false;
        stops = is_and ? left.can_be_false : left.can_be_true;
        right = rule_range_of(world, node->right);
        if (!expect(world, node->right, &right, RULE_KIND(CEDAR_BOOL), what) || !goes_on)
                return is_and ? of_bool(false, stops) : of_bool(stops, false);
        return is_and ? of_bool(right.can_be_true, stops || right.can_be_false)
                      : of_bool(stops || right.can_be_true, right.can_be_false);
}

static struct rule_range range_of_equality(struct rule_world *world, const struct cedar_node *node) {
        struct rule_range left = rule_range_of(world, node->left), right = rule_range_of(world, node->right);
        bool is_eq = node->op == CEDAR_OP_EQ;

        if (left.kinds == 0 || right.kinds == 0)
                return of_kinds(0);
        if (left.is_known && right.is_known)
                return evaluate(world, node, &left, &right);
        return left.kinds & right.kinds ? of_bool(true, true) : of_bool(!is_eq, is_eq);
}

static struct rule_range range_of_order(struct rule_world *world, const struct cedar_node *node) {
        static const unsigned ordered =
                        RULE_KIND(CEDAR_LONG) | RULE_KIND(CEDAR_DATETIME) | RULE_KIND(CEDAR_DURATION);
        struct rule_range left = rule_range_of(world, node->left), right = rule_range_of(world, node->right);

        if (left.kinds == 0 || right.kinds == 0)
                return of_kinds(0);
        if (left.is_known && right.is_known)
                return evaluate(world, node, &left, &right);
        if (left.kinds & right.kinds & ordered)
                return of_bool(true, true);
        return fail(world, node, "what is compared must be two longs, two datetimes or two durations");
}

/* Two parts, each of which must be of certain kinds. */
static struct rule_range range_of_two(struct rule_world *world, const struct cedar_node *node,
                unsigned left_kinds, unsigned right_kinds, unsigned kinds, const char *what) {
        struct rule_range left = rule_range_of(world, node->left), right = { .is_known = true };

        if (node->right)
                right = rule_range_of(world, node->right);
        if (!expect(world, node->left, &left, left_kinds, what) ||
                        (node->right && !expect(world, node->right, &right, right_kinds, what)))
                return of_kinds(0);
        if (left.is_known && right.is_known)
                return evaluate(world, node, &left, node->right ? &right : NULL);
        return of_kinds(kinds);
}

static struct rule_range range_of_if(struct rule_world *world, const struct cedar_node *node) {
        struct rule_range condition = rule_range_of(world, node->left), yes, no;

        if (!expect(world, node->left, &condition, RULE_KIND(CEDAR_BOOL), "if"))
                return of_kinds(0);
        yes = rule_range_of(world, node->right);
        no = rule_range_of(world, node->third);
        if (!condition.can_be_true)
                return no;
        if (!condition.can_be_false)
                return yes;
        return (struct rule_range){
                .kinds = yes.kinds | no.kinds,
                .can_be_true = yes.can_be_true || no.can_be_true,
                .can_be_false = yes.can_be_false || no.can_be_false,
        };
}

/* Of some attributes alone is the subject's own value known. */
static struct rule_range range_of_has(struct rule_world *world, const struct cedar_node *node) {
        static const unsigned objects = RULE_KIND(CEDAR_ENTITY) | RULE_KIND(CEDAR_RECORD);
        const struct cedar_node attribute = { .op = CEDAR_OP_GET, .left = node->left, .name = node->name };

        if (rule_is_subject(node->left) && rule_bound_find(world, &attribute))
                return of_bool(true, false);
        return range_of_two(world, node, objects, 0, RULE_KIND(CEDAR_BOOL), "has");
}

static struct rule_range range_of_get(struct rule_world *world, const struct cedar_node *node) {
        static const unsigned objects = RULE_KIND(CEDAR_ENTITY) | RULE_KIND(CEDAR_RECORD);
        struct rule_range left = rule_range_of(world, node->left);

        if (!expect(world, node->left, &left, objects, "an attribute's name"))
                return of_kinds(0);
        if (left.is_known)
                return evaluate(world, node, &left, NULL);
        return rule_is_subject(node) ? range_of_subject(world, node) : of_kinds(RULE_ANY_KIND);
}

static struct rule_range range_of_set(struct rule_world *world, const struct cedar_node *node) {
        struct cedar_node *literals = arena_alloc0(world->arena, node->set.n * sizeof(*literals)),
                          copy = *node;
        bool is_known = true, fails = false;

        copy.set.items = arena_alloc(world->arena, node->set.n * sizeof(*copy.set.items));
        if (node->set.n > 0 && (!literals || !copy.set.items)) {
                world->starved = true;
                return of_kinds(RULE_KIND(CEDAR_SET));
        }
        for (size_t i = 0; i < node->set.n; i++) {
                struct rule_range item = rule_range_of(world, node->set.items[i]);

                fails = fails || item.kinds == 0;
                is_known = is_known && item.is_known;
                literals[i] = (struct cedar_node){ .op = CEDAR_OP_LITERAL, .literal = item.value };
                copy.set.items[i] = &literals[i];
        }
        if (fails)
                return of_kinds(0);
        return is_known ? evaluate(world, &copy, NULL, NULL) : of_kinds(RULE_KIND(CEDAR_SET));
}

/* Nobody compares records with what is known: their kind is enough. */
static struct rule_range range_of_record(struct rule_world *world, const struct cedar_node *node) {
        bool fails = false;

        for (size_t i = 0; i < node->record.n; i++)
                fails = rule_range_of(world, node->record.members[i].node).kinds == 0 || fails;
        return of_kinds(fails ? 0 : RULE_KIND(CEDAR_RECORD));
}

static struct rule_range range_of_method(struct rule_world *world, const struct cedar_node *node) {
        const char *what = cedar_method_name(node->method);
        unsigned object = RULE_KIND(CEDAR_SET), argument = RULE_KIND(CEDAR_SET),
                 kinds = RULE_KIND(CEDAR_BOOL);

        switch (node->method) {
        case CEDAR_METHOD_CONTAINS ... CEDAR_METHOD_IS_EMPTY:
                if (node->method == CEDAR_METHOD_CONTAINS)
                        argument = RULE_ANY_KIND;
                break;
        case CEDAR_METHOD_GET_TAG ... CEDAR_METHOD_HAS_TAG:
                object = RULE_KIND(CEDAR_ENTITY);
                argument = RULE_KIND(CEDAR_STRING);
                if (node->method == CEDAR_METHOD_GET_TAG)
                        kinds = RULE_ANY_KIND;
                break;
        case CEDAR_METHOD_IS_IPV4 ... CEDAR_METHOD_IS_IN_RANGE:
                object = argument = RULE_KIND(CEDAR_IP);
                break;
        case CEDAR_METHOD_LESS_THAN ... CEDAR_METHOD_GREATER_THAN_OR_EQUAL:
                object = argument = RULE_KIND(CEDAR_DECIMAL);
                break;
        case CEDAR_METHOD_OFFSET ... CEDAR_METHOD_TO_TIME:
                object = RULE_KIND(CEDAR_DATETIME);
                argument = RULE_KIND(node->method == CEDAR_METHOD_OFFSET ? CEDAR_DURATION : CEDAR_DATETIME);
                kinds = RULE_KIND(CEDAR_DATETIME) | RULE_KIND(CEDAR_DURATION);
                break;
        default:
                object = RULE_KIND(CEDAR_DURATION);
                kinds = RULE_KIND(CEDAR_LONG);
                break;
        }
        return range_of_two(world, node, object, argument, kinds, what);
}

static struct rule_range range_of_wrong(struct rule_world *world, const struct cedar_node *node) {
        char message[128];

        (void) snprintf(message, sizeof(message), "%s takes another number of arguments: %u",
                        node->wrong.name, node->wrong.wanted);
        return fail(world, node, message);
}

static struct rule_range range_of_call(struct rule_world *world, const struct cedar_node *node) {
        static const enum cedar_kind kinds[] = {
                [CEDAR_FUNCTION_IP] = CEDAR_IP,
                [CEDAR_FUNCTION_DECIMAL] = CEDAR_DECIMAL,
                [CEDAR_FUNCTION_DATETIME] = CEDAR_DATETIME,
                [CEDAR_FUNCTION_DURATION] = CEDAR_DURATION,
        };

        return range_of_two(world, node, RULE_KIND(CEDAR_STRING), 0, RULE_KIND(kinds[node->function]),
                        cedar_function_name(node->function));
}

struct rule_range rule_range_of(struct rule_world *world, const struct cedar_node *node) {
        static const unsigned entity = RULE_KIND(CEDAR_ENTITY), number = RULE_KIND(CEDAR_LONG),
                              boolean = RULE_KIND(CEDAR_BOOL);
        const struct cedar_value *bound;

        if (*world->steps == 0)
                return of_kinds(RULE_ANY_KIND);
        (*world->steps)--;
        bound = rule_is_subject(node) ? rule_bound_find(world, node) : NULL;
        if (bound)
                return of_value(*bound);
        switch (node->op) {
        case CEDAR_OP_LITERAL:
                return of_value(node->literal);
        case CEDAR_OP_VAR:
                return range_of_subject(world, node);
        case CEDAR_OP_AND:
        case CEDAR_OP_OR:
                return range_of_and_or(world, node);
        case CEDAR_OP_EQ:
        case CEDAR_OP_NE:
                return range_of_equality(world, node);
        case CEDAR_OP_LT ... CEDAR_OP_GE:
                return range_of_order(world, node);
        case CEDAR_OP_IN:
                return range_of_two(world, node, entity, entity | RULE_KIND(CEDAR_SET), boolean, "in");
        case CEDAR_OP_IS:
                return range_of_two(world, node, entity, entity | RULE_KIND(CEDAR_SET), boolean, "is");
        case CEDAR_OP_ADD ... CEDAR_OP_MUL:
                return range_of_two(world, node, number, number, number, cedar_op_symbol(node->op));
        case CEDAR_OP_NOT:
                return range_of_two(world, node, boolean, 0, boolean, "!");
        case CEDAR_OP_NEG:
                return range_of_two(world, node, number, 0, number, "-");
        case CEDAR_OP_IF:
                return range_of_if(world, node);
        case CEDAR_OP_HAS:
                return range_of_has(world, node);
        case CEDAR_OP_GET:
                return range_of_get(world, node);
        case CEDAR_OP_LIKE:
                return range_of_two(world, node, RULE_KIND(CEDAR_STRING), 0, boolean, "like");
        case CEDAR_OP_SET:
                return range_of_set(world, node);
        case CEDAR_OP_RECORD:
                return range_of_record(world, node);
        case CEDAR_OP_CALL:
                return range_of_call(world, node);
        case CEDAR_OP_WRONG:
                return range_of_wrong(world, node);
        default:
                return range_of_method(world, node);
        }
}

/* ---- rules ---- */

bool rule_scope_may_be_met(
                const struct rule_world *world, const struct cedar_policy *policy, enum cedar_var var) {
        const struct cedar_value *bound = rule_bound_find(world, rule_var_node(var));
        const struct cedar_uid *uid = bound ? bound->uid : NULL;
        const struct cedar_request request = { .principal = uid, .action = uid, .resource = uid };
        const struct cedar_evaluation e = { .request = &request, .entities = world->entities };

        return !uid || (policy->scopes[var].slot && policy->is_template) ||
                        cedar_scope_is_met(&e, policy, var);
}

bool rule_may_apply(struct rule_world *world, const struct cedar_policy *policy) {
        for (enum cedar_var var = CEDAR_PRINCIPAL; var <= CEDAR_RESOURCE; var++)
                if (!rule_scope_may_be_met(world, policy, var))
                        return false;
        for (size_t i = 0; i < policy->n_clauses; i++) {
                const struct cedar_clause *clause = &policy->clauses[i];
                struct rule_range range = rule_range_of(world, clause->node);

                if (!(clause->unless ? range.can_be_false : range.can_be_true))
                        return false;
        }
        return true;
}
