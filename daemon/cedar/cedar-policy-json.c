/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-policy-json.h"

#include "cedar-build.h"
#include "cedar-parser.h"
#include "cedar-policy-json-internal.h"

/* ---- the scope ---- */

static int read_scope_uid(struct cedar_policy_reader *reader, const json_t *json, enum cedar_var var,
                struct cedar_policy *policy, struct cedar_scope *scope) {
        const json_t *entity = json_object_get(json, "entity"), *slot = json_object_get(json, "slot");

        scope->uids = arena_alloc0(reader->arena, sizeof(*scope->uids));
        if (!scope->uids)
                return -ENOMEM;
        /* Where both stand, Cedar's own takes the entity. */
        if (entity || !slot) {
                scope->n_uids = 1;
                return cedar_json_uid(reader->arena, entity, "\"entity\" of a scope", &scope->uids[0],
                                &reader->error);
        }
        if (var == CEDAR_ACTION || !json_is_string(slot) || json_string_value(slot)[0] != '?' ||
                        !streq(json_string_value(slot) + 1, cedar_var_name(var)))
                return cedar_json_fail(&reader->error,
                                "\"slot\" of a scope is neither ?principal nor ?resource in its place");
        scope->slot = policy->has_slots = true;
        return 0;
}

static int read_scope_list(
                struct cedar_policy_reader *reader, const json_t *json, struct cedar_scope *scope) {
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

static int read_scope(struct cedar_policy_reader *reader, const json_t *policy_json, enum cedar_var var,
                struct cedar_policy *policy) {
        const json_t *json = json_object_get(policy_json, cedar_var_name(var)),
                     *in = json_object_get(json, "in");
        const char *op = strempty(json_string_value(json_object_get(json, "op")));
        struct cedar_scope *scope = &policy->scopes[var];
        int r;

        r = cedar_check_members(reader, json, cedar_var_name(var),
                        streq(op, "==") ? CEDAR_MEMBERS("op", "entity", "slot")
                                        : streq(op, "in") && var == CEDAR_ACTION
                                        ? CEDAR_MEMBERS("op", "entity", "entities")
                                        : streq(op, "in") ? CEDAR_MEMBERS("op", "entity", "slot")
                                        : streq(op, "is") ? CEDAR_MEMBERS("op", "entity_type", "in")
                                                          : CEDAR_MEMBERS("op"));
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
                if (var == CEDAR_ACTION && !json_object_get(json, "entity") &&
                                json_is_array(json_object_get(json, "entities")))
                        return read_scope_list(reader, json_object_get(json, "entities"), scope);
                return read_scope_uid(reader, json, var, policy, scope);
        }
        if (streq(op, "is") && var != CEDAR_ACTION) {
                in = json_is_null(in) ? NULL : in;
                scope->op = in ? CEDAR_SCOPE_IS_IN : CEDAR_SCOPE_IS;
                r = cedar_read_type(reader, json, &scope->type);
                return r < 0 || !in ? r : read_scope_uid(reader, in, var, policy, scope);
        }
        return cedar_json_fail(&reader->error, "\"%s\" of a policy has no \"op\" that is %s",
                        cedar_var_name(var), var == CEDAR_ACTION ? "All, == or in" : "All, ==, in or is");
}

/* ---- policies ---- */

static int read_clause(struct cedar_policy_reader *reader, const json_t *json, struct cedar_clause *clause) {
        const char *kind = strempty(json_string_value(json_object_get(json, "kind")));

        if (cedar_check_members(reader, json, "a condition", CEDAR_MEMBERS("kind", "body")) < 0)
                return -EINVAL;
        clause->unless = streq(kind, "unless");
        if (!clause->unless && !streq(kind, "when"))
                return cedar_json_fail(&reader->error, "a condition's \"kind\" is neither when nor unless");
        return cedar_read_expression(reader, json, "body", 0, &clause->node);
}

static int read_clauses(
                struct cedar_policy_reader *reader, const json_t *json, struct cedar_policy *policy) {
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

static int read_annotations(
                struct cedar_policy_reader *reader, const json_t *json, struct cedar_policy *policy) {
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

static int add_policy(struct cedar_policy_reader *reader, const char *id, struct cedar_policy **ret) {
        struct cedar_policy *policy;

        if (reader->n == CEDAR_POLICIES_MAX)
                return cedar_json_fail(
                                &reader->error, "there are more than %u policies", CEDAR_POLICIES_MAX);
        reader->policies = cedar_grow(reader->arena, reader->policies, reader->n, sizeof(*reader->policies));
        if (!reader->policies)
                return -ENOMEM;
        if (json_object_set_new(reader->places, id, json_integer((json_int_t) reader->n)) < 0)
                return -ENOMEM;
        policy = &reader->policies[reader->n++];
        *policy = (struct cedar_policy){ .id = cedar_text_copy(reader->arena, cedar_text_of(id)) };
        *ret = policy;
        return policy->id.s ? 0 : -ENOMEM;
}

static int read_policy(
                struct cedar_policy_reader *reader, const char *id, const json_t *json, bool template) {
        const char *effect = strempty(json_string_value(json_object_get(json, "effect")));
        struct cedar_policy *policy;
        int r = add_policy(reader, id, &policy);

        reader->error.where = id;
        if (r == 0)
                r = cedar_check_members(reader, json, "a policy",
                                CEDAR_MEMBERS("effect", "principal", "action", "resource", "conditions",
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

static struct cedar_policy *find_policy(const struct cedar_policy_reader *reader, const char *id) {
        const json_t *place = json_object_get(reader->places, id);

        return place ? &reader->policies[json_integer_value(place)] : NULL;
}

static int read_all(struct cedar_policy_reader *reader, const json_t *json, bool template) {
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
static int read_link(struct cedar_policy_reader *reader, const json_t *json) {
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
        r = cedar_check_members(reader, json, id, CEDAR_MEMBERS("templateId", "newId", "values"));
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

static int read_policy_set(struct cedar_policy_reader *reader, const json_t *json) {
        const json_t *links = json_object_get(json, "templateLinks");
        int r;

        r = cedar_check_members(reader, json, "a policy set",
                        CEDAR_MEMBERS("staticPolicies", "templates", "templateLinks"));
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
        struct cedar_policy_reader reader = { .arena = arena, .error.name = name, .places = json_object() };
        json_t *document = NULL;
        int r = -ENOMEM;

        if (reader.places)
                r = cedar_json_load(&document, text, size, CEDAR_TEXT_MAX, &reader.error);
        if (r == 0 && json_object_get(document, "effect"))
                r = read_policy(&reader, "policy0", document, false);
        else if (r == 0)
                r = read_policy_set(&reader, document);
        json_decref(document);
        json_decref(reader.places);
        *ret = reader.policies;
        *ret_n = reader.n;
        *ret_error = reader.error.message;
        return r;
}
