/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-policy-json.h"

#include "cedar-build.h"
#include "cedar-json.h"
#include "cedar-parser.h"

struct reader {
        struct arena *arena;
        struct cedar_json_error error;
        struct cedar_policy *policies;
        size_t n;
};

/* ---- expressions ---- */

static int read_node(
                struct reader *reader, const json_t *json, unsigned depth, const struct cedar_node **ret);

static int add_node(struct reader *reader, const struct cedar_node *node, const struct cedar_node **ret) {
        *ret = cedar_node_new(reader->arena, node);
        return *ret ? 0 : -ENOMEM;
}

/* A member of a name that is not known here may be a known one that is misspelt: NULL-terminated names, of
 * which each may be absent. */
static int check_members(
                struct reader *reader, const json_t *json, const char *what, const char *const *known) {
        size_t n = 0;

        for (size_t i = 0; known[i]; i++)
                n += json_object_get(json, known[i]) != NULL;
        return n == json_object_size(json)
                        ? 0
                        : cedar_json_fail(&reader->error, "%s has a member that Cedar does not know", what);
}

#define MEMBERS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A member that is an expression. */
static int read_part(struct reader *reader, const json_t *json, const char *key, unsigned depth,
                const struct cedar_node **ret) {
        const json_t *part = json_object_get(json, key);

        return part ? read_node(reader, part, depth, ret)
                    : cedar_json_fail(&reader->error, "an expression lacks its \"%s\"", key);
}

static int read_name(struct reader *reader, const json_t *json, const char *key, struct cedar_text *ret) {
        const json_t *name = json_object_get(json, key);

        return json_is_string(name)
                        ? cedar_json_text(reader->arena, name, ret)
                        : cedar_json_fail(&reader->error, "an expression lacks its \"%s\", a text", key);
}

static int read_type(struct reader *reader, const json_t *json, struct cedar_text *ret) {
        int r = read_name(reader, json, "entity_type", ret);

        if (r == 0 && !cedar_is_type_name(*ret))
                return cedar_json_fail(&reader->error, "\"%s\" is no name of a type", ret->s);
        return r;
}

/* A value of an extension type, by its text: as that is a call, one that fails does so in the evaluation. */
static int read_extension_node(struct reader *reader, enum cedar_function function, const json_t *argument,
                struct cedar_node *node) {
        struct cedar_node *literal, *call;
        struct cedar_text text;

        if (cedar_json_text(reader->arena, argument, &text) < 0)
                return -ENOMEM;
        literal = cedar_node_new(reader->arena,
                        &(struct cedar_node){ .op = CEDAR_OP_LITERAL, .literal = cedar_string(text) });
        call = literal ? cedar_call_new(reader->arena, function, literal, node->span) : NULL;
        if (!call)
                return -ENOMEM;
        *node = *call;
        return 0;
}

static int read_value_node(struct reader *reader, const json_t *json, struct cedar_node *node) {
        const json_t *extension = json_object_size(json) == 1 ? json_object_get(json, "__extn") : NULL,
                     *name = json_object_get(extension, "fn"), *argument = json_object_get(extension, "arg");
        enum cedar_function function;

        if (json_is_string(argument) && json_is_string(name) &&
                        cedar_function_find(cedar_text_of(json_string_value(name)), &function) == 0)
                return read_extension_node(reader, function, argument, node);
        node->op = CEDAR_OP_LITERAL;
        return cedar_json_value(reader->arena, json, &node->literal, &reader->error);
}

static int read_var(struct reader *reader, const json_t *json, struct cedar_node *node) {
        node->op = CEDAR_OP_VAR;
        for (enum cedar_var var = CEDAR_PRINCIPAL; json_is_string(json) && var <= CEDAR_CONTEXT; var++)
                if (streq(json_string_value(json), cedar_var_name(var))) {
                        node->var = var;
                        return 0;
                }
        return cedar_json_fail(&reader->error, "\"Var\" is none of principal, action, resource and context");
}

/* ["Wildcard", {"Literal": "…"}, …] */
static int read_pattern(struct reader *reader, const json_t *json, const struct cedar_pattern **ret) {
        struct cedar_text all = {}, literal;
        size_t size = 1, n = json_array_size(json);
        uint8_t *stars;
        char *text;

        for (size_t i = 0; i < n; i++)
                size += 1 + json_string_length(json_object_get(json_array_get(json, i), "Literal"));
        text = arena_alloc(reader->arena, size);
        stars = arena_alloc0(reader->arena, size);
        if (!text || !stars)
                return -ENOMEM;
        all.s = text;
        for (size_t i = 0; i < n; i++) {
                const json_t *element = json_array_get(json, i),
                             *member = json_object_get(element, "Literal");

                if (json_is_string(member)) {
                        if (cedar_json_text(reader->arena, member, &literal) < 0)
                                return -ENOMEM;
                        memcpy(text + all.n, literal.s, literal.n);
                        all.n += literal.n;
                } else if (json_is_string(element) && streq(json_string_value(element), "Wildcard"))
                        stars[all.n++] = 1;
                else
                        return cedar_json_fail(&reader->error,
                                        "a pattern has something that is neither Wildcard nor Literal");
        }
        *ret = cedar_pattern_new(reader->arena, all, stars);
        return *ret ? 0 : -ENOMEM;
}

static int read_like(struct reader *reader, const json_t *json, unsigned depth, struct cedar_node *node) {
        const json_t *pattern = json_object_get(json, "pattern");
        int r;

        node->op = CEDAR_OP_LIKE;
        r = check_members(reader, json, "\"like\"", MEMBERS("left", "pattern"));
        if (r < 0)
                return r;
        if (!json_is_array(pattern))
                return cedar_json_fail(&reader->error, "\"like\" lacks its \"pattern\", an array");
        r = read_part(reader, json, "left", depth, &node->left);
        return r < 0 ? r : read_pattern(reader, pattern, &node->pattern);
}

static int read_get(struct reader *reader, const json_t *json, unsigned depth, struct cedar_node *node) {
        int r = check_members(reader, json, "\".\"", MEMBERS("left", "attr"));

        node->op = CEDAR_OP_GET;
        if (r == 0)
                r = read_part(reader, json, "left", depth, &node->left);
        return r < 0 ? r : read_name(reader, json, "attr", &node->name);
}

/* One more name of a has b.c.d, which is (a has b) && (a.b has c) && (a.b.c has d): node is what the names
 * before it came to, and *object is what has it. */
static int add_has(struct reader *reader, struct cedar_text name, const struct cedar_node **object,
                struct cedar_node *node) {
        struct cedar_node has = { .op = CEDAR_OP_HAS, .left = *object, .name = name };
        const struct cedar_node *left, *right;
        int r = 0;

        if (!node->left)
                *node = has;
        else {
                r = add_node(reader, node, &left);
                if (r == 0)
                        r = add_node(reader, &has, &right);
                if (r == 0)
                        *node = (struct cedar_node){ .op = CEDAR_OP_AND, .left = left, .right = right };
        }
        has.op = CEDAR_OP_GET;
        return r < 0 ? r : add_node(reader, &has, object);
}

/* "attr" is a name, or an array of them. */
static int read_has(struct reader *reader, const json_t *json, unsigned depth, struct cedar_node *node) {
        const json_t *names = json_object_get(json, "attr");
        const struct cedar_node *object;
        struct cedar_text name;
        int r = read_part(reader, json, "left", depth, &object);

        if (r < 0)
                return r;
        if (json_array_size(names) == 0) {
                *node = (struct cedar_node){ .op = CEDAR_OP_HAS, .left = object };
                return read_name(reader, json, "attr", &node->name);
        }
        if (json_array_size(names) > CEDAR_JSON_DEPTH_MAX)
                return cedar_json_fail(
                                &reader->error, "\"has\" goes more than %d deep", CEDAR_JSON_DEPTH_MAX);
        for (size_t i = 0; r == 0 && i < json_array_size(names); i++) {
                if (!json_is_string(json_array_get(names, i)))
                        return cedar_json_fail(&reader->error, "\"attr\" of has holds what is no text");
                r = cedar_json_text(reader->arena, json_array_get(names, i), &name);
                if (r == 0)
                        r = add_has(reader, name, &object, node);
        }
        return r;
}

static int read_is(struct reader *reader, const json_t *json, unsigned depth, struct cedar_node *node) {
        int r = check_members(reader, json, "\"is\"", MEMBERS("left", "entity_type", "in"));

        node->op = CEDAR_OP_IS;
        if (r == 0)
                r = read_part(reader, json, "left", depth, &node->left);
        if (r == 0)
                r = read_type(reader, json, &node->name);
        if (r == 0 && json_object_get(json, "in"))
                r = read_part(reader, json, "in", depth, &node->right);
        return r;
}

static int read_if(struct reader *reader, const json_t *json, unsigned depth, struct cedar_node *node) {
        int r = check_members(reader, json, "\"if-then-else\"", MEMBERS("if", "then", "else"));

        node->op = CEDAR_OP_IF;
        if (r == 0)
                r = read_part(reader, json, "if", depth, &node->left);
        if (r == 0)
                r = read_part(reader, json, "then", depth, &node->right);
        return r < 0 ? r : read_part(reader, json, "else", depth, &node->third);
}

static int read_set(struct reader *reader, const json_t *json, unsigned depth, struct cedar_node *node) {
        int r = 0;

        node->op = CEDAR_OP_SET;
        if (!json_is_array(json))
                return cedar_json_fail(&reader->error, "\"Set\" is no array");
        node->set.n = json_array_size(json);
        node->set.items = arena_alloc(reader->arena, node->set.n * sizeof(*node->set.items));
        if (!node->set.items)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < node->set.n; i++)
                r = read_node(reader, json_array_get(json, i), depth, &node->set.items[i]);
        return r;
}

static int read_record(struct reader *reader, const json_t *json, unsigned depth, struct cedar_node *node) {
        const char *key;
        json_t *value;
        int r = 0;

        node->op = CEDAR_OP_RECORD;
        if (!json_is_object(json))
                return cedar_json_fail(&reader->error, "\"Record\" is no object");
        node->record.members =
                        arena_alloc(reader->arena, json_object_size(json) * sizeof(*node->record.members));
        if (!node->record.members)
                return -ENOMEM;
        json_object_foreach((json_t *) json, key, value) {
                struct cedar_member *member = &node->record.members[node->record.n];

                r = cedar_json_key(reader->arena, key, &member->key);
                if (r == 0)
                        r = read_node(reader, value, depth, &member->node);
                if (r < 0)
                        return r;
                node->record.n++;
        }
        return 0;
}

/* Those that stand between two, and ! and neg. 0: it is none of these. */
static int read_operator(struct reader *reader, const char *key, const json_t *json, unsigned depth,
                struct cedar_node *node) {
        int r;

        if (streq(key, "!") || streq(key, "neg")) {
                node->op = *key == '!' ? CEDAR_OP_NOT : CEDAR_OP_NEG;
                r = check_members(reader, json, key, MEMBERS("arg"));
                if (r == 0)
                        r = read_part(reader, json, "arg", depth, &node->left);
                return r < 0 ? r : 1;
        }
        for (enum cedar_op op = CEDAR_OP_AND; op <= CEDAR_OP_MUL; op++)
                if (streq(key, cedar_op_symbol(op))) {
                        node->op = op;
                        r = check_members(reader, json, key, MEMBERS("left", "right"));
                        if (r == 0)
                                r = read_part(reader, json, "left", depth, &node->left);
                        if (r == 0)
                                r = read_part(reader, json, "right", depth, &node->right);
                        return r < 0 ? r : 1;
                }
        return 0;
}

/* A function or method of an extension type that has not as many arguments as it wants: Cedar's own leaves
 * it to the evaluation to see that. */
static int read_wrong(struct reader *reader, const char *key, const json_t *json, size_t wanted,
                unsigned depth, struct cedar_node *node) {
        enum cedar_function function;
        const struct cedar_node *argument;
        int r;

        for (size_t i = 0; i < json_array_size(json); i++) {
                r = read_node(reader, json_array_get(json, i), depth, &argument);
                if (r < 0)
                        return r;
        }
        *node = (struct cedar_node){ .op = CEDAR_OP_WRONG };
        if (cedar_function_find(cedar_text_of(key), &function) == 0)
                node->wrong.name = cedar_function_name(function);
        else {
                enum cedar_method method = CEDAR_METHODS;

                (void) cedar_method_find(cedar_text_of(key), &method);
                node->wrong.name = cedar_method_name(method);
                wanted--;
        }
        node->wrong.wanted = (unsigned) wanted;
        return 0;
}

/* {"ip": ["10.0.0.1"]}, {"isInRange": [a, b]}, and the methods of sets and tags: {"contains": {"left",
 * "right"}}. */
static int read_call(struct reader *reader, const char *key, const json_t *json, unsigned depth,
                struct cedar_node *node) {
        const struct cedar_node *arguments[2] = {};
        size_t n = json_array_size(json), wanted = 1;
        enum cedar_function function = CEDAR_FUNCTIONS;
        const struct cedar_node *call;
        int r = 0;

        if (cedar_function_find(cedar_text_of(key), &function) < 0) {
                if (cedar_method_find(cedar_text_of(key), &node->method) < 0)
                        return cedar_json_fail(&reader->error, "there is no expression \"%s\"", key);
                node->op = CEDAR_OP_METHOD;
                wanted = 1 + cedar_method_arguments(node->method);
        }
        if (json_is_object(json) && function == CEDAR_FUNCTIONS && node->method <= CEDAR_METHOD_HAS_TAG) {
                r = check_members(
                                reader, json, key, wanted == 1 ? MEMBERS("arg") : MEMBERS("left", "right"));
                if (r == 0)
                        r = read_part(reader, json, wanted == 1 ? "arg" : "left", depth, &arguments[0]);
                if (r == 0 && wanted == 2)
                        r = read_part(reader, json, "right", depth, &arguments[1]);
        } else if (!json_is_array(json) ||
                        (function == CEDAR_FUNCTIONS && !cedar_method_is_extension(node->method)))
                return cedar_json_fail(&reader->error, "\"%s\" has not the members that it takes", key);
        else if (n != wanted)
                return read_wrong(reader, key, json, wanted, depth, node);
        else
                for (size_t i = 0; r == 0 && i < n; i++)
                        r = read_node(reader, json_array_get(json, i), depth, &arguments[i]);
        if (r < 0)
                return r;
        node->left = arguments[0];
        node->right = arguments[1];
        if (function == CEDAR_FUNCTIONS)
                return 0;
        call = cedar_call_new(reader->arena, function, arguments[0], node->span);
        if (!call)
                return -ENOMEM;
        *node = *call;
        return 0;
}

static int read_keyed(struct reader *reader, const char *key, const json_t *json, unsigned depth,
                struct cedar_node *node) {
        int r = read_operator(reader, key, json, depth, node);

        if (r != 0)
                return r < 0 ? r : 0;
        if (streq(key, "Value"))
                return read_value_node(reader, json, node);
        if (streq(key, "Var"))
                return read_var(reader, json, node);
        if (streq(key, "Slot"))
                return cedar_json_fail(
                                &reader->error, "a slot has its place in the scope, not in a condition");
        if (streq(key, "."))
                return read_get(reader, json, depth, node);
        if (streq(key, "has"))
                return read_has(reader, json, depth, node);
        if (streq(key, "like"))
                return read_like(reader, json, depth, node);
        if (streq(key, "is"))
                return read_is(reader, json, depth, node);
        if (streq(key, "if-then-else"))
                return read_if(reader, json, depth, node);
        if (streq(key, "Set"))
                return read_set(reader, json, depth, node);
        if (streq(key, "Record"))
                return read_record(reader, json, depth, node);
        return read_call(reader, key, json, depth, node);
}

static int read_node(
                struct reader *reader, const json_t *json, unsigned depth, const struct cedar_node **ret) {
        void *member = json_object_iter((json_t *) json);
        struct cedar_node node = {};
        int r;

        if (json_object_size(json) != 1)
                return cedar_json_fail(&reader->error, "an expression is an object of one member");
        if (depth == CEDAR_JSON_DEPTH_MAX)
                return cedar_json_fail(&reader->error,
                                "expressions are inside of each other more than %d deep",
                                CEDAR_JSON_DEPTH_MAX);
        r = read_keyed(reader, json_object_iter_key(member), json_object_iter_value(member), depth + 1,
                        &node);
        return r < 0 ? r : add_node(reader, &node, ret);
}

/* ---- the scope ---- */

static int read_scope_uid(struct reader *reader, const json_t *json, enum cedar_var var,
                struct cedar_policy *policy, struct cedar_scope *scope) {
        const json_t *slot = json_object_get(json, "slot");

        scope->uids = arena_alloc0(reader->arena, sizeof(*scope->uids));
        if (!scope->uids)
                return -ENOMEM;
        if (!slot) {
                scope->n_uids = 1;
                return cedar_json_uid(reader->arena, json_object_get(json, "entity"),
                                "\"entity\" of a scope", &scope->uids[0], &reader->error);
        }
        if (var == CEDAR_ACTION || !json_is_string(slot) || json_string_value(slot)[0] != '?' ||
                        !streq(json_string_value(slot) + 1, cedar_var_name(var)))
                return cedar_json_fail(&reader->error,
                                "\"slot\" of a scope is neither ?principal nor ?resource in its place");
        scope->slot = policy->has_slots = true;
        return 0;
}

static int read_scope_list(struct reader *reader, const json_t *json, struct cedar_scope *scope) {
        int r = 0;

        scope->op = CEDAR_SCOPE_IN_LIST;
        scope->uids = arena_alloc(reader->arena, json_array_size(json) * sizeof(*scope->uids));
        if (!scope->uids)
                return -ENOMEM;
        for (; r == 0 && scope->n_uids < json_array_size(json); scope->n_uids++)
                r = cedar_json_uid(reader->arena, json_array_get(json, scope->n_uids), "one of \"entities\"",
                                &scope->uids[scope->n_uids], &reader->error);
        return r;
}

static int read_scope(struct reader *reader, const json_t *policy_json, enum cedar_var var,
                struct cedar_policy *policy) {
        const json_t *json = json_object_get(policy_json, cedar_var_name(var)),
                     *in = json_object_get(json, "in");
        const char *op = strempty(json_string_value(json_object_get(json, "op")));
        struct cedar_scope *scope = &policy->scopes[var];
        int r;

        r = check_members(reader, json, cedar_var_name(var),
                        streq(op, "==") ? MEMBERS("op", "entity", "slot")
                                        : streq(op, "in") && var == CEDAR_ACTION
                                        ? MEMBERS("op", "entity", "entities")
                                        : streq(op, "in") ? MEMBERS("op", "entity", "slot")
                                        : streq(op, "is") ? MEMBERS("op", "entity_type", "in")
                                                          : MEMBERS("op"));
        if (r < 0)
                return r;
        if (streq(op, "All") || streq(op, "all"))
                return 0;
        if (streq(op, "==")) {
                scope->op = CEDAR_SCOPE_EQ;
                return read_scope_uid(reader, json, var, policy, scope);
        }
        if (streq(op, "in")) {
                scope->op = CEDAR_SCOPE_IN;
                if (var == CEDAR_ACTION && json_is_array(json_object_get(json, "entities")))
                        return read_scope_list(reader, json_object_get(json, "entities"), scope);
                return read_scope_uid(reader, json, var, policy, scope);
        }
        if (streq(op, "is") && var != CEDAR_ACTION) {
                scope->op = in ? CEDAR_SCOPE_IS_IN : CEDAR_SCOPE_IS;
                r = read_type(reader, json, &scope->type);
                return r < 0 || !in ? r : read_scope_uid(reader, in, var, policy, scope);
        }
        return cedar_json_fail(&reader->error, "\"%s\" of a policy has no \"op\" that is %s",
                        cedar_var_name(var), var == CEDAR_ACTION ? "All, == or in" : "All, ==, in or is");
}

/* ---- policies ---- */

static int read_clause(struct reader *reader, const json_t *json, struct cedar_clause *clause) {
        const char *kind = strempty(json_string_value(json_object_get(json, "kind")));

        if (check_members(reader, json, "a condition", MEMBERS("kind", "body")) < 0)
                return -EINVAL;
        clause->unless = streq(kind, "unless");
        if (!clause->unless && !streq(kind, "when"))
                return cedar_json_fail(&reader->error, "a condition's \"kind\" is neither when nor unless");
        return read_part(reader, json, "body", 0, &clause->node);
}

static int read_clauses(struct reader *reader, const json_t *json, struct cedar_policy *policy) {
        int r = 0;

        if (!json_is_array(json))
                return cedar_json_fail(&reader->error, "a policy has no \"conditions\", an array");
        policy->clauses = arena_alloc(reader->arena, json_array_size(json) * sizeof(*policy->clauses));
        if (!policy->clauses)
                return -ENOMEM;
        for (; r == 0 && policy->n_clauses < json_array_size(json); policy->n_clauses++)
                r = read_clause(reader, json_array_get(json, policy->n_clauses),
                                &policy->clauses[policy->n_clauses]);
        return r;
}

static int read_annotations(struct reader *reader, const json_t *json, struct cedar_policy *policy) {
        const char *key;
        json_t *value;

        if (!json_is_object(json))
                return json ? cedar_json_fail(&reader->error, "\"annotations\" of a policy is no object")
                            : 0;
        policy->annotations =
                        arena_alloc(reader->arena, json_object_size(json) * sizeof(*policy->annotations));
        if (!policy->annotations)
                return -ENOMEM;
        json_object_foreach((json_t *) json, key, value) {
                struct cedar_annotation *annotation = &policy->annotations[policy->n_annotations++];

                *annotation = (struct cedar_annotation){
                        .key = cedar_text_copy(reader->arena, cedar_text_of(key)), .value = CEDAR_TEXT("")
                };
                if (!annotation->key.s ||
                                (json_is_string(value) &&
                                                cedar_json_text(reader->arena, value, &annotation->value) <
                                                                0))
                        return -ENOMEM;
                if (!cedar_is_word(annotation->key))
                        return cedar_json_fail(&reader->error, "\"%s\" is no name of an annotation", key);
                if (!json_is_string(value) && !json_is_null(value))
                        return cedar_json_fail(&reader->error, "the annotation \"%s\" is no text", key);
                if (streq(key, "id"))
                        policy->name = annotation->value;
        }
        return 0;
}

static int add_policy(struct reader *reader, const char *id, struct cedar_policy **ret) {
        struct cedar_policy *policy;

        if (reader->n == CEDAR_POLICIES_MAX)
                return cedar_json_fail(
                                &reader->error, "there are more than %u policies", CEDAR_POLICIES_MAX);
        reader->policies = cedar_grow(reader->arena, reader->policies, reader->n, sizeof(*reader->policies));
        if (!reader->policies)
                return -ENOMEM;
        policy = &reader->policies[reader->n++];
        *policy = (struct cedar_policy){ .id = cedar_text_copy(reader->arena, cedar_text_of(id)) };
        *ret = policy;
        return policy->id.s ? 0 : -ENOMEM;
}

static int read_policy(struct reader *reader, const char *id, const json_t *json, bool template) {
        const char *effect = strempty(json_string_value(json_object_get(json, "effect")));
        struct cedar_policy *policy;
        int r = add_policy(reader, id, &policy);

        reader->error.where = id;
        if (r == 0)
                r = check_members(reader, json, "a policy",
                                MEMBERS("effect", "principal", "action", "resource", "conditions",
                                                "annotations"));
        if (r < 0)
                return r;
        policy->forbid = streq(effect, "forbid");
        if (!policy->forbid && !streq(effect, "permit"))
                return cedar_json_fail(&reader->error, "\"effect\" is neither permit nor forbid");
        for (enum cedar_var var = CEDAR_PRINCIPAL; r == 0 && var <= CEDAR_RESOURCE; var++)
                r = read_scope(reader, json, var, policy);
        if (r == 0)
                r = read_clauses(reader, json_object_get(json, "conditions"), policy);
        if (r == 0)
                r = read_annotations(reader, json_object_get(json, "annotations"), policy);
        if (r == 0 && policy->has_slots && !template)
                return cedar_json_fail(
                                &reader->error, "there is a slot, but this stands not among templates");
        policy->is_template = template;
        reader->error.where = NULL;
        return r;
}

static struct cedar_policy *find_policy(const struct reader *reader, const char *id) {
        for (size_t i = 0; i < reader->n; i++)
                if (cedar_text_equal(reader->policies[i].id, cedar_text_of(id)))
                        return &reader->policies[i];
        return NULL;
}

static int read_all(struct reader *reader, const json_t *json, bool template) {
        const char *id;
        json_t *policy;
        int r;

        if (json && !json_is_object(json))
                return cedar_json_fail(&reader->error, "a policy set's policies are no object");
        json_object_foreach((json_t *) json, id, policy) {
                if (template && find_policy(reader, id))
                        return cedar_json_fail(&reader->error, "there are two policies %s", id);
                r = read_policy(reader, id, policy, template);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* {"templateId", "newId", "values": {"?principal": …, "?resource": …}} */
static int read_link(struct reader *reader, const json_t *json) {
        static const char *const slots[] = { "?principal", "?resource" };
        const char *template_id = strempty(json_string_value(json_object_get(json, "templateId"))),
                   *id = json_string_value(json_object_get(json, "newId"));
        const json_t *values = json_object_get(json, "values");
        const struct cedar_policy *template = find_policy(reader, template_id);
        struct cedar_policy linked;
        struct cedar_policy *policy;
        size_t n = 0;
        int r;

        if (!template || !template->is_template)
                return cedar_json_fail(&reader->error, "a link is to \"%s\", which is no template here",
                                template_id);
        if (!id || find_policy(reader, id))
                return cedar_json_fail(
                                &reader->error, "a link has no \"newId\", or one that another policy has");
        r = check_members(reader, json, id, MEMBERS("templateId", "newId", "values"));
        if (r < 0)
                return r;
        linked = *template;
        linked.is_template = false;
        for (size_t i = 0; i < 2; i++) {
                const json_t *value = json_object_get(values, slots[i]);
                bool wanted = linked.scopes[i == 0 ? CEDAR_PRINCIPAL : CEDAR_RESOURCE].slot;

                if (wanted != !!value)
                        return cedar_json_fail(&reader->error, "link %s %s %s", id,
                                        wanted ? "lacks" : "has no use for", slots[i]);
                r = value ? cedar_json_uid(reader->arena, value, slots[i], &linked.slots[i], &reader->error)
                          : 0;
                if (r < 0)
                        return r;
                n += wanted;
        }
        if (n != json_object_size(values))
                return cedar_json_fail(&reader->error, "link %s has values that are of no slot", id);
        r = add_policy(reader, id, &policy);
        if (r < 0)
                return r;
        linked.id = policy->id;
        *policy = linked;
        return 0;
}

static int read_policy_set(struct reader *reader, const json_t *json) {
        const json_t *links = json_object_get(json, "templateLinks");
        int r;

        r = check_members(reader, json, "a policy set",
                        MEMBERS("staticPolicies", "templates", "templateLinks"));
        if (r == 0)
                r = read_all(reader, json_object_get(json, "staticPolicies"), false);
        if (r == 0)
                r = read_all(reader, json_object_get(json, "templates"), true);
        if (r == 0 && links && !json_is_array(links))
                return cedar_json_fail(&reader->error, "\"templateLinks\" is no array");
        for (size_t i = 0; r == 0 && i < json_array_size(links); i++)
                r = read_link(reader, json_array_get(links, i));
        return r;
}

int cedar_parse_policy_json(struct arena *arena, const char *name, const char *text, size_t size,
                struct cedar_policy **ret, size_t *ret_n, char **ret_error) {
        struct reader reader = { .arena = arena, .error.name = name };
        json_t *document = NULL;
        int r;

        r = cedar_json_load(&document, text, size, CEDAR_TEXT_MAX, &reader.error);
        if (r == 0 && json_object_get(document, "effect"))
                r = read_policy(&reader, "policy0", document, false);
        else if (r == 0)
                r = read_policy_set(&reader, document);
        json_decref(document);
        *ret = reader.policies;
        *ret_n = reader.n;
        *ret_error = reader.error.message;
        return r;
}
