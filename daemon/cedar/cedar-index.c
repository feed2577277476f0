/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-index.h"

#include "cedar-build.h"

/* Of one policy: places in the index. One that asks for more is found by less. */
#define KEYS_MAX 64

/* What a policy asks of one variable: to be one of these; none: anything. */
struct wanted {
        const struct cedar_uid *uids[KEYS_MAX];
        size_t n;
        bool any;
};

/* The policies that ask for exactly this; NULL: they ask for nothing there. */
struct bucket {
        const struct cedar_uid *uids[3];
        uint64_t hash;
        size_t *policies;
        size_t n;
};

struct cedar_index {
        struct bucket *buckets; /* a table with a power of two of places, half of them empty at least */
        size_t n_slots;
};

static uint64_t hash_uids(const struct cedar_uid *const uids[3]) {
        uint64_t hash = 0;

        for (size_t i = 0; i < 3; i++)
                hash = (hash ^ (uids[i] ? uids[i]->hash : i + 1)) * UINT64_C(0x9E3779B97F4A7C15);
        return hash ^ hash >> 32;
}

static bool same_uid(const struct cedar_uid *a, const struct cedar_uid *b) {
        return a && b ? cedar_uid_equal(a, b) : a == b;
}

static struct bucket *find_bucket(
                const struct cedar_index *index, const struct cedar_uid *const uids[3], uint64_t hash) {
        size_t i = hash & (index->n_slots - 1);

        for (;; i = (i + 1) & (index->n_slots - 1)) {
                struct bucket *bucket = &index->buckets[i];

                if (bucket->n == 0 ||
                                (bucket->hash == hash && same_uid(bucket->uids[0], uids[0]) &&
                                                same_uid(bucket->uids[1], uids[1]) &&
                                                same_uid(bucket->uids[2], uids[2])))
                        return bucket;
        }
}

/* ---- what a policy asks for ---- */

/* Keeps of what is wanted what is also asked for now. An empty rest means that it never applies: left as it
 * was. */
static void narrow(struct wanted *wanted, const struct cedar_uid *const *uids, size_t n) {
        struct wanted both = { .any = false };

        if (n > KEYS_MAX)
                return;
        if (wanted->any) {
                wanted->any = false;
                wanted->n = n;
                memcpy(wanted->uids, uids, n * sizeof(*uids));
                return;
        }
        for (size_t i = 0; i < wanted->n; i++)
                for (size_t j = 0; j < n; j++)
                        if (cedar_uid_equal(wanted->uids[i], uids[j])) {
                                both.uids[both.n++] = wanted->uids[i];
                                break;
                        }
        if (both.n > 0)
                *wanted = both;
}

/* variable == Type::"id", either way round. */
static bool read_equality(
                const struct cedar_node *node, enum cedar_var *ret_var, const struct cedar_uid **ret) {
        const struct cedar_node *var = node->left, *literal = node->right;

        if (node->op != CEDAR_OP_EQ)
                return false;
        if (var->op != CEDAR_OP_VAR) {
                var = node->right;
                literal = node->left;
        }
        if (var->op != CEDAR_OP_VAR || var->var == CEDAR_CONTEXT || literal->op != CEDAR_OP_LITERAL ||
                        literal->literal.kind != CEDAR_ENTITY)
                return false;
        *ret_var = var->var;
        *ret = literal->literal.uid;
        return true;
}

/* The same, or several of the same variable with || between them. */
static bool read_alternatives(const struct cedar_node *node, enum cedar_var *var,
                const struct cedar_uid **uids, size_t *n) {
        enum cedar_var found;

        if (node->op == CEDAR_OP_OR)
                return read_alternatives(node->left, var, uids, n) &&
                                read_alternatives(node->right, var, uids, n);
        if (*n == KEYS_MAX || !read_equality(node, &found, &uids[*n]) || (*n > 0 && found != *var))
                return false;
        *var = found;
        (*n)++;
        return true;
}

/*
 * What && joins, from the left, as far as each is a comparison that cannot fail: where such a one is false,
 * the policy does not apply, and nothing behind it is evaluated, so that it cannot fail either. False:
 * something else has come.
 */
static bool narrow_by_node(struct wanted wanted[3], const struct cedar_node *node) {
        const struct cedar_uid *uids[KEYS_MAX];
        enum cedar_var var = CEDAR_PRINCIPAL;
        size_t n = 0;

        if (node->op == CEDAR_OP_AND)
                return narrow_by_node(wanted, node->left) && narrow_by_node(wanted, node->right);
        if (node->op == CEDAR_OP_LITERAL && node->literal.kind == CEDAR_BOOL && node->literal.boolean)
                return true;
        if (!read_alternatives(node, &var, uids, &n))
                return false;
        narrow(&wanted[var], uids, n);
        return true;
}

static void narrow_by_scope(struct wanted *wanted, const struct cedar_policy *policy, enum cedar_var var) {
        const struct cedar_scope *scope = &policy->scopes[var];
        const struct cedar_uid *slot = policy->slots[var == CEDAR_RESOURCE];

        if (scope->op == CEDAR_SCOPE_EQ && (!scope->slot || slot))
                narrow(wanted, scope->slot ? &slot : (const struct cedar_uid *const *) scope->uids, 1);
}

static void read_policy(const struct cedar_policy *policy, struct wanted wanted[3]) {
        for (enum cedar_var var = CEDAR_PRINCIPAL; var <= CEDAR_RESOURCE; var++) {
                wanted[var] = (struct wanted){ .any = true };
                narrow_by_scope(&wanted[var], policy, var);
        }
        for (size_t i = 0; i < policy->n_clauses; i++)
                if (policy->clauses[i].unless || !narrow_by_node(wanted, policy->clauses[i].node))
                        break;
        /* The most of them go first: principal and resource tell more rules apart than a long list of
         * actions does. */
        while ((wanted[0].any ? 1 : wanted[0].n) * (wanted[1].any ? 1 : wanted[1].n) *
                                        (wanted[2].any ? 1 : wanted[2].n) >
                        KEYS_MAX) {
                size_t most = wanted[0].n > wanted[1].n ? 0 : 1;

                most = wanted[2].n > wanted[most].n ? 2 : most;
                wanted[most] = (struct wanted){ .any = true };
        }
}

/* ---- making it ---- */

static int add_to_bucket(struct cedar_index *index, struct arena *arena,
                const struct cedar_uid *const uids[3], size_t policy) {
        uint64_t hash = hash_uids(uids);
        struct bucket *bucket = find_bucket(index, uids, hash);

        /* Named twice by one policy. */
        if (bucket->n > 0 && bucket->policies[bucket->n - 1] == policy)
                return 0;
        bucket->policies = cedar_grow(arena, bucket->policies, bucket->n, sizeof(*bucket->policies));
        if (!bucket->policies)
                return -ENOMEM;
        memcpy(bucket->uids, uids, sizeof(bucket->uids));
        bucket->hash = hash;
        bucket->policies[bucket->n++] = policy;
        return 0;
}

static int add_policy(struct cedar_index *index, struct arena *arena, const struct wanted wanted[3],
                size_t policy) {
        const struct cedar_uid *uids[3];

        for (size_t i = 0; i < (wanted[0].any ? 1 : wanted[0].n); i++)
                for (size_t j = 0; j < (wanted[1].any ? 1 : wanted[1].n); j++)
                        for (size_t k = 0; k < (wanted[2].any ? 1 : wanted[2].n); k++) {
                                uids[0] = wanted[0].any ? NULL : wanted[0].uids[i];
                                uids[1] = wanted[1].any ? NULL : wanted[1].uids[j];
                                uids[2] = wanted[2].any ? NULL : wanted[2].uids[k];
                                if (add_to_bucket(index, arena, uids, policy) < 0)
                                        return -ENOMEM;
                        }
        return 0;
}

static size_t count_keys(const struct wanted wanted[3]) {
        return (wanted[0].any ? 1 : wanted[0].n) * (wanted[1].any ? 1 : wanted[1].n) *
                        (wanted[2].any ? 1 : wanted[2].n);
}

struct cedar_index *cedar_index_new(struct arena *arena, const struct cedar_policy *policies, size_t n) {
        struct cedar_index *index = arena_alloc0(arena, sizeof(*index));
        struct wanted wanted[3];
        size_t keys = 0;

        if (!index)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                read_policy(&policies[i], wanted);
                keys += count_keys(wanted);
        }
        index->n_slots = 4;
        while (index->n_slots < keys * 2)
                index->n_slots *= 2;
        index->buckets = arena_alloc0(arena, index->n_slots * sizeof(*index->buckets));
        if (!index->buckets)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                if (policies[i].is_template)
                        continue;
                read_policy(&policies[i], wanted);
                if (add_policy(index, arena, wanted, i) < 0)
                        return NULL;
        }
        return index;
}

/* ---- using it ---- */

void cedar_index_find(const struct cedar_index *index, const struct cedar_request *request,
                struct cedar_index_cursor *ret) {
        const struct cedar_uid *const asked[3] = { request->principal, request->action, request->resource };

        for (size_t mask = 0; mask < 8; mask++) {
                const struct cedar_uid *uids[3];
                const struct bucket *bucket;

                for (size_t i = 0; i < 3; i++)
                        uids[i] = mask & 1U << i ? asked[i] : NULL;
                bucket = find_bucket(index, uids, hash_uids(uids));
                ret->at[mask] = bucket->policies;
                ret->end[mask] = bucket->policies ? bucket->policies + bucket->n : NULL;
        }
}

bool cedar_index_next(struct cedar_index_cursor *cursor, size_t *ret) {
        size_t best = 8;

        for (size_t i = 0; i < 8; i++)
                if (cursor->at[i] < cursor->end[i] && (best == 8 || *cursor->at[i] < *cursor->at[best]))
                        best = i;
        if (best == 8)
                return false;
        *ret = *cursor->at[best]++;
        return true;
}
