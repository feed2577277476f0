/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the auth verbs share: rules and entities out of files, and requests. */

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

/* entities may be NULL. Returns an enum exit_code; what is wrong has been said. */
int auth_files_load(struct auth_files *files, const char *rules, const char *entities);
void auth_files_clear(struct auth_files *files);

/* Type::"id", or a plain name of that type. 0, -EINVAL with *ret_error (the caller's), or -ENOMEM. */
int auth_read_uid(struct arena *arena, const char *what, const char *type, struct cedar_text text,
                const struct cedar_uid **ret, char **ret_error);
/* {"principal": …, "action": …, "resource": …, "context": {…}}. As cedar_json_value(). */
int auth_read_request(struct arena *arena, const json_t *json, struct cedar_request *ret,
                struct cedar_json_error *error);
