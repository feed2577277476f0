/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the auth verbs share: rules and entities out of files, requests, and words for what was decided. */

#include "cedar-json.h"
#include "cedar.h"
#include "explain.h"
#include "question.h"

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

/* {"principal": …, "action": …, "resource": …, "context": {…}}. As cedar_json_value(). */
int auth_read_request(struct arena *arena, const json_t *json, struct cedar_request *ret,
                struct cedar_json_error *error);

/* access_explain(), of files. */
int auth_explain(const struct auth_files *files, const struct cedar_request *request, enum access_near near,
                struct arena *arena, Access__DecideResponse **ret);

/* All to standard output. As it stands in the file, but in one line. */
void auth_print_text(struct cedar_text text);
/* "policy3 (clock-only) at rules.cedar:12" */
void auth_print_policy(const Access__Policy *policy);
/* "policy3 at rules.cedar:12 meets 2 of its 4 conditions, not …" */
void auth_print_near(const Access__NearPolicy *near);
/* {"decision": "allow", "reason": [ids], "errors": [ids]}; NULL: ENOMEM. */
json_t *auth_decision_json(const Access__DecideResponse *decision);
