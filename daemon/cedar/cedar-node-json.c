/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expressions out of JSON (https://docs.cedarpolicy.com/policies/json-format.html, "conditions"). */
#include "cedar-build.h"
#include "cedar-policy-json-internal.h"

int cedar_check_members(struct cedar_policy_reader *reader, const json_t *json, const char *what,
                const char *const *known) {
        size_t n = 0;

        for (size_t i = 0; known[i]; i++)
                n += json_object_get(json, known[i]) != NULL;
        return n == json_object_size(json)
                        ? 0
                        : cedar_json_fail(&reader->error, "%s has a member that Cedar does not know", what);
}

static int read_node(struct cedar_policy_reader *reader, const json_t *json, unsigned depth,
                const struct cedar_node **ret);

static int add_node(struct cedar_policy_reader *reader, const struct cedar_node *node,
                const struct cedar_node **ret) {
        *ret = cedar_node_new(reader->arena, node);
        if (!*ret)
                return -ENOMEM;
        if ((*ret)->depth > CEDAR_DEPTH_MAX)
                return cedar_json_fail(&reader->error, "an expression is more than %u levels deep",
                                CEDAR_DEPTH_MAX);
        return 0;
}

int cedar_read_expression(struct cedar_policy_reader *reader, const json_t *json, const char *key,
                unsigned depth, const struct cedar_node **ret) {
        const json_t *part = json_object_get(json, key);

        return part ? read_node(reader, part, depth, ret)
                    : cedar_json_fail(&reader->error, "an expression lacks its \"%s\"", key);
}

static int read_name(struct cedar_policy_reader *reader, const json_t *json, const char *key,
                struct cedar_text *ret) {
        const json_t *name = json_object_get(json, key);

        return json_is_string(name)
                        ? cedar_json_text(reader->arena, name, ret)
                        : cedar_json_fail(&reader->error, "an expression lacks its \"%s\", a text", key);
}

int cedar_read_type(struct cedar_policy_reader *reader, const json_t *json, struct cedar_text *ret) {
        int r = read_name(reader, json, "entity_type", ret);

        if (r == 0 && !cedar_is_type_name(*ret))
                return cedar_json_fail(&reader->error, "\"%s\" is no name of a type", ret->s);
        return r;
}

/* A value of an extension type, by its text: as that is a call, one that fails does so in the evaluation. */
static int read_extension_node(struct cedar_policy_reader *reader, enum cedar_function function,
                const json_t *argument, struct cedar_node *node) {
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

static int read_value_node(struct cedar_policy_reader *reader, const json_t *json, struct cedar_node *node) {
        const json_t *extension = json_object_size(json) == 1 ? json_object_get(json, "__extn") : NULL,
                     *name = json_object_get(extension, "fn"), *argument = json_object_get(extension, "arg");
        enum cedar_function function;

        if (json_is_string(argument) && json_is_string(name) &&
                        cedar_function_find(cedar_text_of(json_string_value(name)), &function) == 0)
                return read_extension_node(reader, function, argument, node);
        node->op = CEDAR_OP_LITERAL;
        return cedar_json_value(reader->arena, json, &node->literal, &reader->error);
}

static int read_var(struct cedar_policy_reader *reader, const json_t *json, struct cedar_node *node) {
        node->op = CEDAR_OP_VAR;
        for (enum cedar_var var = CEDAR_PRINCIPAL; json_is_string(json) && var <= CEDAR_CONTEXT; var++)
                if (streq(json_string_value(json), cedar_var_name(var))) {
                        node->var = var;
                        return 0;
                }
        return cedar_json_fail(&reader->error, "\"Var\" is none of principal, action, resource and context");
}

/* Cedar's own takes {"Wildcard": null}, too. */
static bool is_wildcard(const json_t *json) {
        return json_is_string(json)
                        ? streq(json_string_value(json), "Wildcard")
                        : json_object_size(json) == 1 && json_is_null(json_object_get(json, "Wildcard"));
}

/* ["Wildcard", {"Literal": "…"}, …] */
static int read_pattern(
                struct cedar_policy_reader *reader, const json_t *json, const struct cedar_pattern **ret) {
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

                if (json_is_string(member) && json_object_size(element) == 1) {
                        if (cedar_json_text(reader->arena, member, &literal) < 0)
                                return -ENOMEM;
                        memcpy(text + all.n, literal.s, literal.n);
                        all.n += literal.n;
                } else if (is_wildcard(element))
                        stars[all.n++] = 1;
                else
                        return cedar_json_fail(&reader->error,
                                        "a pattern has something that is neither Wildcard nor Literal");
        }
        *ret = cedar_pattern_new(reader->arena, all, stars);
        return *ret ? 0 : -ENOMEM;
}

static int read_like(struct cedar_policy_reader *reader, const json_t *json, unsigned depth,
                struct cedar_node *node) {
        const json_t *pattern = json_object_get(json, "pattern");
        int r;

        node->op = CEDAR_OP_LIKE;
        r = cedar_check_members(reader, json, "\"like\"", CEDAR_MEMBERS("left", "pattern"));
        if (r < 0)
                return r;
        if (!json_is_array(pattern))
                return cedar_json_fail(&reader->error, "\"like\" lacks its \"pattern\", an array");
        r = cedar_read_expression(reader, json, "left", depth, &node->left);
        return r < 0 ? r : read_pattern(reader, pattern, &node->pattern);
}

static int read_get(struct cedar_policy_reader *reader, const json_t *json, unsigned depth,
                struct cedar_node *node) {
        int r = cedar_check_members(reader, json, "\".\"", CEDAR_MEMBERS("left", "attr"));

        node->op = CEDAR_OP_GET;
        if (r == 0)
                r = cedar_read_expression(reader, json, "left", depth, &node->left);
        return r < 0 ? r : read_name(reader, json, "attr", &node->name);
}

/* One more name of a has b.c.d, which is (a has b) && (a.b has c) && (a.b.c has d): node is what the names
 * before it came to, and *object is what has it. */
static int add_has(struct cedar_policy_reader *reader, struct cedar_text name,
                const struct cedar_node **object, struct cedar_node *node) {
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
static int read_has(struct cedar_policy_reader *reader, const json_t *json, unsigned depth,
                struct cedar_node *node) {
        const json_t *names = json_object_get(json, "attr");
        const struct cedar_node *object;
        struct cedar_text name;
        int r = cedar_read_expression(reader, json, "left", depth, &object);

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

static int read_is(struct cedar_policy_reader *reader, const json_t *json, unsigned depth,
                struct cedar_node *node) {
        int r = cedar_check_members(reader, json, "\"is\"", CEDAR_MEMBERS("left", "entity_type", "in"));

        node->op = CEDAR_OP_IS;
        if (r == 0)
                r = cedar_read_expression(reader, json, "left", depth, &node->left);
        if (r == 0)
                r = cedar_read_type(reader, json, &node->name);
        if (r == 0 && json_object_get(json, "in") && !json_is_null(json_object_get(json, "in")))
                r = cedar_read_expression(reader, json, "in", depth, &node->right);
        return r;
}

static int read_if(struct cedar_policy_reader *reader, const json_t *json, unsigned depth,
                struct cedar_node *node) {
        int r = cedar_check_members(reader, json, "\"if-then-else\"", CEDAR_MEMBERS("if", "then", "else"));

        node->op = CEDAR_OP_IF;
        if (r == 0)
                r = cedar_read_expression(reader, json, "if", depth, &node->left);
        if (r == 0)
                r = cedar_read_expression(reader, json, "then", depth, &node->right);
        return r < 0 ? r : cedar_read_expression(reader, json, "else", depth, &node->third);
}

static int read_set(struct cedar_policy_reader *reader, const json_t *json, unsigned depth,
                struct cedar_node *node) {
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

static int read_record(struct cedar_policy_reader *reader, const json_t *json, unsigned depth,
                struct cedar_node *node) {
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
static int read_operator(struct cedar_policy_reader *reader, const char *key, const json_t *json,
                unsigned depth, struct cedar_node *node) {
        int r;

        if (streq(key, "!") || streq(key, "neg")) {
                node->op = *key == '!' ? CEDAR_OP_NOT : CEDAR_OP_NEG;
                r = cedar_check_members(reader, json, key, CEDAR_MEMBERS("arg"));
                if (r == 0)
                        r = cedar_read_expression(reader, json, "arg", depth, &node->left);
                return r < 0 ? r : 1;
        }
        for (enum cedar_op op = CEDAR_OP_AND; op <= CEDAR_OP_MUL; op++)
                if (streq(key, cedar_op_symbol(op))) {
                        node->op = op;
                        r = cedar_check_members(reader, json, key, CEDAR_MEMBERS("left", "right"));
                        if (r == 0)
                                r = cedar_read_expression(reader, json, "left", depth, &node->left);
                        if (r == 0)
                                r = cedar_read_expression(reader, json, "right", depth, &node->right);
                        return r < 0 ? r : 1;
                }
        return 0;
}

/* A function or method of an extension type that has not as many arguments as it wants: Cedar's own leaves
 * it to the evaluation to see that. */
static int read_wrong(struct cedar_policy_reader *reader, const char *key, const json_t *json, size_t wanted,
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
static int read_call(struct cedar_policy_reader *reader, const char *key, const json_t *json, unsigned depth,
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
                r = cedar_check_members(reader, json, key,
                                wanted == 1 ? CEDAR_MEMBERS("arg") : CEDAR_MEMBERS("left", "right"));
                if (r == 0)
                        r = cedar_read_expression(
                                        reader, json, wanted == 1 ? "arg" : "left", depth, &arguments[0]);
                if (r == 0 && wanted == 2)
                        r = cedar_read_expression(reader, json, "right", depth, &arguments[1]);
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

static int read_keyed(struct cedar_policy_reader *reader, const char *key, const json_t *json,
                unsigned depth, struct cedar_node *node) {
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

static int read_node(struct cedar_policy_reader *reader, const json_t *json, unsigned depth,
                const struct cedar_node **ret) {
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
