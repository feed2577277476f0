/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-policy.h"

#include "text.h"

#include <limits.h>

#define ALLOWED_STORE       "the absolute path of a directory, such as \"/etc/policies\""
#define ALLOWED_POLICIES    "an object of names and destinations, { \"NAME\": \"/PATH\" }, or null"
#define ALLOWED_NAME        "letters, digits, \".\", \"_\" and \"-\", beginning with a letter or digit"
#define ALLOWED_DESTINATION "the absolute path of a file, without \"..\", or \"\" for the store alone"

/* One that every component of is meant as it stands there. */
static bool is_plain_path(const char *s) {
        size_t n = strlen(s);

        return s[0] == '/' && n < PATH_MAX && !strstr(s, "/../") && !endswith(s, "/..");
}

static bool is_destination(const char *s) {
        return isempty(s) || (is_plain_path(s) && !endswith(s, "/") && !endswith(s, "/."));
}

/* A policy has a directory of its name in the store, beside the bookkeeping. */
static bool is_policy_name(const char *s) {
        return text_is_host_name(s) && !streq(s, POLICY_BOOK_FILE);
}

static bool is_taken(const struct config *config, const char *destination) {
        for (size_t i = 0; i < config->policy.n_policies; i++)
                if (!isempty(destination) && streq(config->policy.policies[i].destination, destination))
                        return true;
        return false;
}

static int add_policy(struct config_reader *reader, const struct config_section *section, const char *name,
                const json_t *destination, struct config *config) {
        struct config_policy *policy = &config->policy.policies[config->policy.n_policies];
        _cleanup_(freep) char *shown = text_escape(name, strlen(name), 64);
        const char *path = json_string_value(destination);

        if (!shown)
                return -ENOMEM;
        if (!is_policy_name(name))
                return config_reader_fail(
                                reader, section, "policies", "has \"%s\", must be " ALLOWED_NAME, shown);
        if (!path || !is_destination(path))
                return config_reader_fail(reader, section, "policies",
                                "has for \"%s\" what is none, must be " ALLOWED_DESTINATION, shown);
        if (is_taken(config, path))
                return config_reader_fail(reader, section, "policies",
                                "has for \"%s\" the destination of another policy", shown);
        policy->name = strdup(name);
        policy->destination = strdup(path);
        config->policy.n_policies++;
        return policy->name && policy->destination ? 0 : -ENOMEM;
}

static int read_policies(
                struct config_reader *reader, const struct config_section *section, struct config *config) {
        json_t *policies = json_get_nocase(section->object, "policies"), *destination;
        const char *name;
        int r;

        if (!policies || json_is_null(policies))
                return 0;
        if (!json_is_object(policies))
                return config_reader_fail(
                                reader, section, "policies", "is no object, must be " ALLOWED_POLICIES);
        if (json_object_size(policies) > CONFIG_POLICIES_MAX)
                return config_reader_fail(reader, section, "policies",
                                "lists %zu policies, must list at most %u", json_object_size(policies),
                                CONFIG_POLICIES_MAX);
        config->policy.policies = calloc(json_object_size(policies) + 1, sizeof(*config->policy.policies));
        if (!config->policy.policies)
                return -ENOMEM;
        json_object_foreach(policies, name, destination) {
                r = add_policy(reader, section, name, destination, config);
                if (r < 0)
                        return r;
        }
        return 0;
}

int config_read_policy(struct config_reader *reader, const struct config_section *capabilities,
                struct config *config) {
        static const char *const known[] = { "enable", "storePath", "policies", NULL };
        struct config_section section;
        int r;

        r = config_read_section(reader, capabilities, "policy", known, &section);
        if (r < 0)
                return r;
        r = config_read_bool(reader, &section, "enable", &config->policy.enable);
        if (r < 0 || !config->policy.enable)
                return r < 0 ? r : 0;
        r = config_read_string(reader, &section, "storePath", ALLOWED_STORE, &config->policy.store);
        if (r < 0)
                return r;
        if (r == 0 || !is_plain_path(config->policy.store))
                return config_reader_fail(reader, &section, "storePath", "%s, must be " ALLOWED_STORE,
                                r == 0 ? "is missing" : "is none");
        return read_policies(reader, &section, config);
}

void config_policy_clear(struct config *config) {
        for (size_t i = 0; i < config->policy.n_policies; i++) {
                free(config->policy.policies[i].name);
                free(config->policy.policies[i].destination);
        }
        free(config->policy.policies);
        free(config->policy.store);
}
