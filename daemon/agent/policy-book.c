/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy-book.h"

#include <jansson.h>

static bool is_sha(const char *s) {
        return s && strlen(s) == POLICY_SHA_SIZE - 1 && strspn(s, "0123456789abcdef") == POLICY_SHA_SIZE - 1;
}

/* What is known of a policy: of another destination, nothing. */
static const char *old_sha(const json_t *book, const struct config_policy *policy) {
        const json_t *entry = json_object_get(book, policy->name);
        const char *sha = json_string_value(json_object_get(entry, "Sha"));
        const char *destination = json_string_value(json_object_get(entry, "Destination"));

        return is_sha(sha) && destination && streq(destination, policy->destination) ? sha : "";
}

char *policy_book_update(const char *old, size_t n, const struct config *config,
                const struct config_policy *policy, const char *sha) {
        _cleanup_(json_decrefp) json_t *book = json_loadb(old, n, JSON_REJECT_DUPLICATES, NULL);
        _cleanup_(json_decrefp) json_t *new = json_object();

        for (size_t i = 0; i < config->policy.n_policies; i++) {
                const struct config_policy *each = &config->policy.policies[i];
                json_t *entry = json_pack("{s:s, s:s}", "Destination", each->destination, "Sha",
                                each == policy ? sha : old_sha(book, each));

                if (json_object_set_new(new, each->name, entry) < 0)
                        return NULL;
        }
        return json_dumps(new, JSON_INDENT(2));
}
