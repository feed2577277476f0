/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the auth verbs share: rules and entities out of files, requests, and words for what was decided. */

#include "cedar-json.h"
#include "cedar.h"

/* The types that a plain name stands for: those of givc's own rules. */
#define AUTH_PRINCIPAL "Source"
#define AUTH_ACTION    "Command"
#define AUTH_RESOURCE  "Module"

struct auth_files {
        struct cedar_policies *policies;
        struct cedar_entities *entities; /* NULL: none were named */
};

/* What one decision, and its explanation, may take. */
#define AUTH_DECISION_BYTES ((size_t) 256 * 1024 * 1024)

/* As text_read_file(). Returns an enum exit_code; what is wrong has been said. */
int auth_read_file(const char *path, size_t max, char **ret, size_t *ret_size);
/* entities may be NULL. Returns an enum exit_code; what is wrong has been said. */
int auth_files_load(struct auth_files *files, const char *rules, const char *entities);
void auth_files_clear(struct auth_files *files);

/* Type::"id", or a plain name of that type. 0, -EINVAL with *ret_error (the caller's), or -ENOMEM. */
int auth_read_uid(struct arena *arena, const char *what, const char *type, struct cedar_text text,
                const struct cedar_uid **ret, char **ret_error);
/* {"principal": …, "action": …, "resource": …, "context": {…}}. As cedar_json_value(). */
int auth_read_request(struct arena *arena, const json_t *json, struct cedar_request *ret,
                struct cedar_json_error *error);

/* All to standard output. As it stands in the file, but in one line. */
void auth_print_text(struct cedar_text text);
/* "policy3 (clock-only) at rules.cedar:12" */
void auth_print_policy(const struct auth_files *files, const struct cedar_policy *policy);
/* "policy3 at rules.cedar:12 meets 2 of its 4 conditions, not …" */
void auth_print_near(const struct auth_files *files, const struct cedar_near *near);
/* {"decision": "allow", "reason": [ids], "errors": [ids]}; NULL: ENOMEM. */
json_t *auth_decision_json(const struct cedar_decision *decision);
