/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules in givc's terms: methods, modules, services and fields that no call has. */
#include "rule-lint-internal.h"

/* Parts of a rule that fail in one of the calls that it is about. */
#define FAILURES_MAX 64

static const struct cedar_node context_service = {
        .op = CEDAR_OP_GET,
        .left = &(const struct cedar_node){ .op = CEDAR_OP_VAR, .var = CEDAR_CONTEXT },
        .name = { "service", sizeof("service") - 1 },
};

/* ---- which names a rule has ---- */

struct walk {
        struct lint *lint;
        struct lint_rule *rule;
        void (*visit)(struct walk *walk, const struct cedar_node *node);
        /* One in the scope, or in the node. */
        void (*visit_uid)(struct walk *walk, const struct cedar_uid *uid, const struct cedar_scope *scope,
                        const struct cedar_node *node);
        const struct contract_method **about; /* the calls that the rule is about */
        size_t n_about, n_unknown;
        bool is_of_givc, has_command, has_unknown;
};

static void walk_node(struct walk *walk, const struct cedar_node *node) {
        const struct cedar_node *child;

        if (!lint_spend(walk->lint, 1 + walk->n_about))
                return;
        if (walk->visit)
                walk->visit(walk, node);
        if (walk->visit_uid && node->op == CEDAR_OP_LITERAL && node->literal.kind == CEDAR_ENTITY)
                walk->visit_uid(walk, node->literal.uid, NULL, node);
        for (size_t i = 0; (child = cedar_node_child(node, i)); i++)
                walk_node(walk, child);
}

/* Where an entity of a list stands. */
static struct cedar_span find_in_scope(
                const struct lint *lint, const struct cedar_scope *scope, const struct cedar_uid *uid) {
        struct cedar_text text = cedar_policies_text(lint->files->policies, scope->span);
        const char *end = text.s + text.n, *at = text.s;

        while (text.n > 0 && (at = memmem(at, (size_t) (end - at), uid->type.s, uid->type.n))) {
                const char *id = at + uid->type.n;

                if ((size_t) (end - id) >= uid->id.n + 4 && memcmp(id, "::\"", 3) == 0 &&
                                memcmp(id + 3, uid->id.s, uid->id.n) == 0 && id[3 + uid->id.n] == '"')
                        return (struct cedar_span){
                                .offset = scope->span.offset + (uint32_t) (at - text.s),
                                .length = (uint32_t) (uid->type.n + uid->id.n + 4),
                        };
                at++;
        }
        return scope->span;
}

static void walk_rule(struct walk *walk) {
        const struct cedar_policy *policy = walk->rule->policy;

        for (enum cedar_var var = CEDAR_PRINCIPAL; var <= CEDAR_RESOURCE; var++)
                for (size_t i = 0; walk->visit_uid && i < policy->scopes[var].n_uids; i++)
                        walk->visit_uid(walk, policy->scopes[var].uids[i], &policy->scopes[var], NULL);
        for (size_t i = 0; i < policy->n_clauses; i++)
                walk_node(walk, policy->clauses[i].node);
}

static bool is_type(const struct cedar_uid *uid, const char *type) {
        return cedar_text_equal(uid->type, cedar_text_of(type));
}

static void note_type(struct walk *walk, const struct cedar_uid *uid,
                const struct cedar_scope *scope _unused_, const struct cedar_node *node _unused_) {
        walk->is_of_givc = walk->is_of_givc || is_type(uid, ACCESS_PRINCIPAL) ||
                        is_type(uid, ACCESS_ACTION) || is_type(uid, ACCESS_RESOURCE);
}

int lint_contract_begin(struct lint *lint) {
        struct walk walk = { .lint = lint, .visit_uid = note_type };
        int r;

        for (size_t i = 0; i < lint->n_rules && !walk.is_of_givc; i++) {
                walk.rule = &lint->rules[i];
                walk_rule(&walk);
        }
        lint->is_of_givc = walk.is_of_givc;
        r = contract_load(lint->arena, &lint->methods, &lint->n_methods);
        if (r < 0)
                return r;
        lint->actions = arena_alloc(lint->arena, lint->n_methods * sizeof(*lint->actions));
        lint->modules = arena_alloc(lint->arena, lint->n_methods * sizeof(*lint->modules));
        if (!lint->actions || !lint->modules)
                return -ENOMEM;
        for (size_t i = 0; i < lint->n_methods; i++) {
                lint->actions[i] = cedar_uid_new(
                                lint->arena, cedar_text_of(ACCESS_ACTION), lint->methods[i].name);
                lint->modules[i] = cedar_uid_new(
                                lint->arena, cedar_text_of(ACCESS_RESOURCE), lint->methods[i].module);
                if (!lint->actions[i] || !lint->modules[i])
                        return -ENOMEM;
        }
        return 0;
}

/* ---- methods and modules ---- */

/* One of the names, a group of them, or something that the entities tell of. */
static bool is_known_uid(
                const struct lint *lint, const struct cedar_uid *uid, const struct cedar_uid *const *known) {
        if (cedar_entities_find(lint->files->entities, uid))
                return true;
        for (size_t i = 0; i < lint->n_methods; i++)
                if (cedar_entities_is_in(lint->files->entities, known[i], uid))
                        return true;
        return false;
}

static void check_uid(struct walk *walk, const struct cedar_uid *uid, const struct cedar_scope *scope,
                const struct cedar_node *node) {
        struct contract_guess guess = { .wanted = uid->id };
        struct lint *lint = walk->lint;
        bool is_action = is_type(uid, ACCESS_ACTION);

        if (!is_action && !is_type(uid, ACCESS_RESOURCE))
                return;
        walk->has_command = true;
        if (!lint_spend(lint, lint->n_methods) ||
                        is_known_uid(lint, uid, is_action ? lint->actions : lint->modules))
                return;
        walk->has_unknown = true;
        if (walk->n_unknown++ >= LINT_FINDINGS_MAX)
                return;
        for (size_t i = 0; i < lint->n_methods; i++)
                contract_guess_offer(&guess, is_action ? lint->methods[i].name : lint->methods[i].module);
        lint_say(lint, walk->rule, node ? node->span : find_in_scope(lint, scope, uid),
                        "there is no %s %.*s%s%.*s", is_action ? "method" : "module", LINT_TEXT(uid->id),
                        guess.nearest.n > 0 ? "; there is " : "", LINT_TEXT(guess.nearest));
}

/* The calls that the rule may be about; by their module and their service only where these say so. */
static void find_about(struct walk *walk, bool by_module, bool by_service) {
        struct lint *lint = walk->lint;

        walk->n_about = 0;
        for (size_t i = 0; i < lint->n_methods; i++) {
                struct rule_world world = lint_world(lint);

                (void) rule_bind(&world, rule_var_node(CEDAR_ACTION), cedar_entity(lint->actions[i]));
                if (by_module)
                        (void) rule_bind(&world, rule_var_node(CEDAR_RESOURCE),
                                        cedar_entity(lint->modules[i]));
                if (by_service)
                        (void) rule_bind(&world, &context_service, cedar_string(lint->methods[i].service));
                if (rule_may_apply(&world, walk->rule->policy))
                        walk->about[walk->n_about++] = &lint->methods[i];
                lint->starved = lint->starved || world.starved;
        }
}

static void say_no_call(struct walk *walk) {
        struct cedar_span span = walk->rule->policy->span;

        find_about(walk, false, false);
        if (walk->n_about > 0)
                lint_say(walk->lint, walk->rule, span, "the rule never applies: %.*s is a method of %.*s",
                                LINT_TEXT(walk->about[0]->name), LINT_TEXT(walk->about[0]->module));
        else
                lint_say(walk->lint, walk->rule, span,
                                "the rule never applies: no call is what it is about");
        walk->rule->is_dead = true;
}

/* ---- what values are compared with ---- */

/* subject == "text", "text" != subject: the text; false: it is something else. */
static bool is_comparison(const struct cedar_node *node, const struct cedar_node **ret_subject,
                const struct cedar_node **ret_literal) {
        bool swapped;

        if (node->op != CEDAR_OP_EQ && node->op != CEDAR_OP_NE)
                return false;
        swapped = node->left->op == CEDAR_OP_LITERAL;
        *ret_subject = swapped ? node->right : node->left;
        *ret_literal = swapped ? node->left : node->right;
        return rule_is_subject(*ret_subject) && (*ret_literal)->op == CEDAR_OP_LITERAL &&
                        (*ret_literal)->literal.kind == CEDAR_STRING;
}

static void check_service(struct walk *walk, const struct cedar_node *node) {
        const struct cedar_node *subject, *literal;
        struct contract_guess guess;

        if (!is_comparison(node, &subject, &literal) || !rule_subject_equal(subject, &context_service))
                return;
        guess = (struct contract_guess){ .wanted = literal->literal.text };
        for (size_t i = 0; i < walk->n_about; i++) {
                if (cedar_text_equal(walk->about[i]->service, literal->literal.text))
                        return;
                contract_guess_offer(&guess, walk->about[i]->service);
        }
        walk->has_unknown = true;
        lint_say(walk->lint, walk->rule, literal->span,
                        "no call that the rule is about is of a service %.*s%s%.*s",
                        LINT_TEXT(literal->literal.text), guess.nearest.n > 0 ? "; there is " : "",
                        LINT_TEXT(guess.nearest));
}

static bool enum_has(const ProtobufCEnumDescriptor *descriptor, struct cedar_text name,
                struct contract_guess *guess) {
        for (unsigned i = 0; i < descriptor->n_values; i++) {
                if (cedar_text_equal(cedar_text_of(descriptor->values[i].name), name))
                        return true;
                contract_guess_offer(guess, cedar_text_of(descriptor->values[i].name));
        }
        return false;
}

static void check_enum(struct walk *walk, const struct cedar_node *node) {
        const struct cedar_node *subject, *literal;
        const ProtobufCMessageDescriptor *message;
        const ProtobufCFieldDescriptor *field;
        struct contract_guess guess;
        struct cedar_text name;
        bool is_enum = false;

        if (!is_comparison(node, &subject, &literal))
                return;
        guess = (struct contract_guess){ .wanted = literal->literal.text };
        for (size_t i = 0; i < walk->n_about; i++) {
                if (rule_find_field(subject, walk->about[i]->input, &field, &name, &message) < 0)
                        continue;
                if (field->type != PROTOBUF_C_TYPE_ENUM || field->label == PROTOBUF_C_LABEL_REPEATED ||
                                enum_has(field->descriptor, literal->literal.text, &guess))
                        return;
                is_enum = true;
        }
        if (is_enum)
                lint_say(walk->lint, walk->rule, literal->span, "%s is never \"%.*s\"%s%.*s",
                                lint_quote(walk->lint, walk->rule, subject, 0),
                                LINT_TEXT(literal->literal.text), guess.nearest.n > 0 ? "; it may be " : "",
                                LINT_TEXT(guess.nearest));
}

/* ---- fields ---- */

static void say_no_field(struct walk *walk, const struct cedar_node *node, struct contract_guess *guess,
                const struct contract_method *of) {
        const struct contract_method *first = walk->about[0];
        bool all_streams = true;

        for (size_t i = 0; i < walk->n_about; i++)
                all_streams = all_streams && !walk->about[i]->input;
        if (all_streams)
                lint_say(walk->lint, walk->rule, node->span,
                                "context has no %.*s: the requests of %.*s are a stream, of which it has "
                                "service "
                                "alone",
                                LINT_TEXT(node->name), LINT_TEXT(first->name));
        else if (of)
                lint_say(walk->lint, walk->rule, node->span, "context has no %.*s: %.*s has %.*s",
                                LINT_TEXT(node->name), LINT_TEXT(of->name), LINT_TEXT(guess->nearest));
        else if (walk->n_about == 1)
                lint_say(walk->lint, walk->rule, node->span, "context has no %.*s: it is no field of %.*s",
                                LINT_TEXT(node->name), LINT_TEXT(first->name));
        else
                lint_say(walk->lint, walk->rule, node->span,
                                "context has no %.*s: it is no field of any call that the rule is about",
                                LINT_TEXT(node->name));
}

static void offer_fields(struct contract_guess *guess, const ProtobufCMessageDescriptor *message) {
        for (unsigned i = 0; message && i < message->n_fields; i++)
                contract_guess_offer(guess, cedar_text_of(message->fields[i].name));
}

/* One that some call has is known: which one, the rule asks in its own way. */
static void check_field(struct walk *walk, const struct cedar_node *node) {
        const struct cedar_node subject = { .op = CEDAR_OP_GET, .left = node->left, .name = node->name };
        struct contract_guess guess = { .wanted = node->name };
        const struct contract_method *of = NULL;

        if ((node->op != CEDAR_OP_GET && node->op != CEDAR_OP_HAS) || !rule_is_subject(&subject))
                return;
        for (size_t i = 0; i < walk->n_about; i++) {
                const ProtobufCMessageDescriptor *message = NULL;
                const char *nearest = guess.nearest.s;
                const ProtobufCFieldDescriptor *field;
                struct cedar_text name;

                /* Of a part before this one, it is said there. */
                if (rule_find_field(&subject, walk->about[i]->input, &field, &name, &message) != -ENOENT ||
                                name.s != node->name.s)
                        return;
                offer_fields(&guess, message);
                if (guess.nearest.s != nearest)
                        of = walk->about[i];
        }
        say_no_field(walk, node, &guess, of);
}

static void check_values(struct walk *walk, const struct cedar_node *node) {
        check_enum(walk, node);
        check_field(walk, node);
}

/* ---- kinds of fields ---- */

/* What fails in each of the calls that the rule is about. */
struct failures {
        struct lint *lint;
        const struct contract_method *method; /* which is looked at */
        struct {
                const struct cedar_node *node;
                const char *message;
                const struct contract_method *last;
                size_t n_methods;
        } items[FAILURES_MAX];
        size_t n;
};

static void count_failure(const struct cedar_node *node, const char *message, void *userdata) {
        struct failures *failures = userdata;
        size_t i;

        for (i = 0; i < failures->n && failures->items[i].node != node; i++)
                ;
        if (i == FAILURES_MAX)
                return;
        if (i == failures->n) {
                failures->items[i].node = node;
                failures->items[i].message = arena_strdup(failures->lint->arena, message);
                if (!failures->items[i].message) {
                        failures->lint->starved = true;
                        return;
                }
                failures->n++;
        }
        failures->items[i].n_methods += failures->items[i].last != failures->method;
        failures->items[i].last = failures->method;
}

static void check_kinds(struct walk *walk) {
        struct failures failures = { .lint = walk->lint };

        for (size_t i = 0; i < walk->n_about; i++) {
                struct rule_world world = lint_world(walk->lint);

                failures.method = world.method = walk->about[i];
                world.failed = count_failure;
                world.userdata = &failures;
                for (size_t j = 0; j < walk->rule->policy->n_clauses; j++)
                        (void) rule_range_of(&world, walk->rule->policy->clauses[j].node);
                walk->lint->starved = walk->lint->starved || world.starved;
        }
        for (size_t i = 0; i < failures.n; i++)
                if (failures.items[i].n_methods == walk->n_about)
                        lint_say(walk->lint, walk->rule, failures.items[i].node->span, "%s always fails: %s",
                                        lint_quote(walk->lint, walk->rule, failures.items[i].node, 0),
                                        failures.items[i].message);
}

/* ---- a rule ---- */

void lint_contract(struct lint *lint, struct lint_rule *rule) {
        struct walk walk = { .lint = lint, .rule = rule };

        if (!lint->is_of_givc)
                return;
        walk.about = arena_alloc(&lint->scratch, lint->n_methods * sizeof(*walk.about));
        if (!walk.about) {
                lint->starved = true;
                return;
        }
        walk.visit_uid = check_uid;
        walk_rule(&walk);
        walk.visit_uid = NULL;
        find_about(&walk, true, false);
        if (walk.n_about == 0) {
                /* Without a name of ours, it is about something else. */
                if (walk.has_command && !walk.has_unknown)
                        say_no_call(&walk);
                return;
        }
        walk.visit = check_service;
        walk_rule(&walk);
        if (!walk.has_unknown)
                find_about(&walk, true, true);
        if (walk.n_about == 0) {
                say_no_call(&walk);
                return;
        }
        walk.visit = check_values;
        walk_rule(&walk);
        check_kinds(&walk);
}
