/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The rules in force, out of files, and what they say of a call. */

#include "call.h"
#include "cedar.h"

struct access_rules;

/*
 * Reads Cedar policies and, unless entities is NULL, entities. On failure a negative errno, and *ret_error
 * (the caller's; NULL: out of memory) names the file, the place, what was found and what was expected.
 */
int access_rules_new(struct access_rules **ret, const char *file, const char *entities, char **ret_error);
struct access_rules *access_rules_free(struct access_rules *rules);
DEFINE_CLEANUP(struct access_rules, access_rules_free)

/* How many rules there are. */
size_t access_rules_count(const struct access_rules *rules);
const struct cedar_policies *access_rules_policies(const struct access_rules *rules);
/* NULL: there are none. */
const struct cedar_entities *access_rules_entities(const struct access_rules *rules);

/* "admin.AdminService", or what begins with it: the module that rules name, and the rest. False: it is no
 * service of a package. */
bool access_split_service(const char *name, struct cedar_text *ret_module, struct cedar_text *ret_service);

struct access_verdict {
        bool allow;
        const struct cedar_policy *policy; /* the first that decided, of these rules; NULL: none did */
        const char *module;                /* in the arena, as rules name it; NULL: the path names none */
        const char *rule;   /* in the arena: "policy3 (its @id) at FILE:12"; NULL: none decided */
        const char *reason; /* in the arena: why not, for the caller; no value of the request stands in it */
        size_t n_failures;  /* rules that could not be evaluated */
};

/*
 * May principal, an identity, make the call? request is NULL where it is a stream. In the call's arena. 0;
 * -E2BIG: the request has more fields than are judged; -ENOMEM. With an error nothing is allowed.
 */
int access_rules_judge(const struct access_rules *rules, const char *principal, const char *path,
                const ProtobufCMessage *request, struct arena *arena, struct access_verdict *ret);
