/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules.h"

#include "cedar-parser.h"
#include "context.h"
#include "explain.h"
#include "question.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

struct access_rules {
        struct cedar_policies *policies;
        struct cedar_entities *entities; /* NULL: none */
};

static int read_file(const char *path, size_t max, char **ret, size_t *ret_size, char **ret_error) {
        int r = text_read_file(path, max, ret, ret_size);

        if (r < 0)
                *ret_error = text_printf("%s: %s", path, strerror(-r));
        return r;
}

int access_rules_new(struct access_rules **ret, const char *file, const char *entities, char **ret_error) {
        _cleanup_(access_rules_freep) struct access_rules *rules = calloc(1, sizeof(*rules));
        _cleanup_(freep) char *text = NULL, *json = NULL;
        size_t size;
        int r;

        *ret_error = NULL;
        if (!rules)
                return -ENOMEM;
        r = read_file(file, CEDAR_TEXT_MAX, &text, &size, ret_error);
        if (r >= 0)
                r = cedar_policies_new(&rules->policies, file, text, size, ret_error);
        if (r >= 0 && entities) {
                r = read_file(entities, CEDAR_ENTITIES_BYTES_MAX, &json, &size, ret_error);
                if (r >= 0)
                        r = cedar_entities_new(&rules->entities, entities, json, size, ret_error);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(rules);
        return 0;
}

struct access_rules *access_rules_free(struct access_rules *rules) {
        if (!rules)
                return NULL;
        cedar_policies_free(rules->policies);
        cedar_entities_free(rules->entities);
        free(rules);
        return NULL;
}

size_t access_rules_count(const struct access_rules *rules) {
        return cedar_policies_count(rules->policies);
}

const struct cedar_policies *access_rules_policies(const struct access_rules *rules) {
        return rules->policies;
}

const struct cedar_entities *access_rules_entities(const struct access_rules *rules) {
        return rules->entities;
}

/* ---- words ---- */

static const char *_printf_(2, 3) say(struct arena *arena, const char *format, ...) {
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        return arena_strdup(arena, text);
}

static const char *name_rule(
                const struct access_rules *rules, const struct cedar_policy *policy, struct arena *arena) {
        const char *file = cedar_policies_name(rules->policies), *base = strrchr(file, '/');
        const char *id = access_quote(arena, policy->id, ACCESS_SHOWN_BYTES_MAX);
        const char *name = access_quote(arena, policy->name, ACCESS_SHOWN_BYTES_MAX);

        if (!id || !name)
                return NULL;
        base = base ? base + 1 : file;
        if (policy->line == 0)
                return say(arena, "%s%s%s%s in %s", id, *name ? " (" : "", name, *name ? ")" : "", base);
        return say(arena, "%s%s%s%s at %s:%u", id, *name ? " (" : "", name, *name ? ")" : "", base,
                        policy->line);
}

/* The condition by which the rule that is nearest to permit it does not. */
static const char *name_lack(
                const struct access_rules *rules, const struct cedar_request *request, struct arena *arena) {
        struct cedar_near near;
        const char *rule, *condition;

        if (cedar_nearest(rules->policies, rules->entities, request, true, arena, &near, 1) <= 0)
                return "no rule permits it";
        rule = name_rule(rules, near.policy, arena);
        condition = access_quote(arena, cedar_policies_text(rules->policies, near.explanation.span),
                        ACCESS_SHOWN_BYTES_MAX);
        if (!rule || !condition)
                return NULL;
        return say(arena, "no rule permits it; %s would, %s %s", rule,
                        near.explanation.unless ? "unless" : "when",
                        *condition ? condition : "another condition were met");
}

/* ---- judging ---- */

bool access_split_service(const char *name, struct cedar_text *ret_module, struct cedar_text *ret_service) {
        const char *dot = strchr(name, '.');

        if (!dot || dot == name || dot[1] == '\0')
                return false;
        *ret_module = (struct cedar_text){ name, (size_t) (dot - name) };
        *ret_service = cedar_text_of(dot + 1);
        return true;
}

/* "/admin.AdminService/StartVM": package, service and method. False: it is none of these. */
static bool split_path(const char *path, struct cedar_text *module, struct cedar_text *service,
                struct cedar_text *method) {
        const char *slash = path[0] == '/' ? strchr(path + 1, '/') : NULL;

        if (!slash || slash[1] == '\0' || !access_split_service(path + 1, module, service) ||
                        service->s >= slash)
                return false;
        service->n = (size_t) (slash - service->s);
        *method = cedar_text_of(slash + 1);
        return true;
}

int access_rules_judge(const struct access_rules *rules, const char *principal, const char *path,
                const ProtobufCMessage *request, struct arena *arena, struct access_verdict *ret) {
        struct cedar_text module, service, method;
        struct cedar_decision decision;
        struct cedar_request asked;
        int r;

        *ret = (struct access_verdict){};
        if (!split_path(path, &module, &service, &method))
                return -EINVAL;
        asked = (struct cedar_request){
                .principal = cedar_uid_new(arena, cedar_text_of(ACCESS_PRINCIPAL), cedar_text_of(principal)),
                .action = cedar_uid_new(arena, cedar_text_of(ACCESS_ACTION), method),
                .resource = cedar_uid_new(arena, cedar_text_of(ACCESS_RESOURCE), module),
        };
        ret->module = arena_memdup_text(arena, module.s, module.n);
        if (!asked.principal || !asked.action || !asked.resource || !ret->module)
                return -ENOMEM;
        r = access_context_new(arena, request, service, &asked.context);
        if (r == 0)
                r = cedar_authorize(rules->policies, rules->entities, &asked, arena, &decision);
        if (r < 0)
                return r;
        ret->n_failures = decision.n_failures;
        if (decision.n_reasons > 0) {
                ret->policy = decision.reasons[0];
                ret->rule = name_rule(rules, ret->policy, arena);
                if (!ret->rule)
                        return -ENOMEM;
        }
        if (!decision.allow) {
                ret->reason = ret->rule ? say(arena, "%s forbids it", ret->rule)
                                        : name_lack(rules, &asked, arena);
                if (!ret->reason)
                        return -ENOMEM;
        }
        ret->allow = decision.allow;
        return 0;
}
