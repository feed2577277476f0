/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cedar-value.h"

struct cedar_text cedar_text_copy(struct arena *arena, struct cedar_text text) {
        return (struct cedar_text){ .s = arena_memdup_text(arena, text.s, text.n), .n = text.n };
}

static int compare_texts(struct cedar_text a, struct cedar_text b) {
        int r = MIN(a.n, b.n) > 0 ? memcmp(a.s, b.s, MIN(a.n, b.n)) : 0;

        return r ?: (a.n > b.n) - (a.n < b.n);
}

/* ---- entities' names ---- */

/* FNV-1a. A peer who finds collisions makes its own lookups compare a few names more. */
static uint64_t hash_text(uint64_t hash, struct cedar_text text) {
        for (size_t i = 0; i < text.n; i++)
                hash = (hash ^ (uint8_t) text.s[i]) * UINT64_C(1099511628211);
        return hash;
}

const struct cedar_uid *cedar_uid_new(struct arena *arena, struct cedar_text type, struct cedar_text id) {
        struct cedar_uid *uid = arena_alloc(arena, sizeof(*uid));

        if (!uid)
                return NULL;
        *uid = (struct cedar_uid){
                .type = type,
                .id = id,
                .hash = hash_text(hash_text(UINT64_C(14695981039346656037), type) ^ 0xFF, id),
        };
        return uid;
}

bool cedar_uid_equal(const struct cedar_uid *a, const struct cedar_uid *b) {
        return a == b ||
                        (a->hash == b->hash && cedar_text_equal(a->id, b->id) &&
                                        cedar_text_equal(a->type, b->type));
}

int cedar_uid_compare(const struct cedar_uid *a, const struct cedar_uid *b) {
        if (a == b)
                return 0;
        if (a->hash != b->hash)
                return a->hash < b->hash ? -1 : 1;
        return compare_texts(a->type, b->type) ?: compare_texts(a->id, b->id);
}

/* ---- order ---- */

static int compare_sets(const struct cedar_set *a, const struct cedar_set *b) {
        int r;

        if (a->n != b->n)
                return a->n < b->n ? -1 : 1;
        for (size_t i = 0; i < a->n; i++) {
                r = cedar_value_compare(&a->items[i], &b->items[i]);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int compare_records(const struct cedar_record *a, const struct cedar_record *b) {
        int r;

        if (a->n != b->n)
                return a->n < b->n ? -1 : 1;
        for (size_t i = 0; i < a->n; i++) {
                r = compare_texts(a->fields[i].key, b->fields[i].key)
                                ?: cedar_value_compare(&a->fields[i].value, &b->fields[i].value);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int compare_ips(const struct cedar_ip *a, const struct cedar_ip *b) {
        if (a->is_v6 != b->is_v6)
                return a->is_v6 ? 1 : -1;
        return (a->prefix > b->prefix) - (a->prefix < b->prefix)
                        ?: memcmp(a->bytes, b->bytes, a->is_v6 ? 16 : 4);
}

int cedar_value_compare(const struct cedar_value *a, const struct cedar_value *b) {
        if (a->kind != b->kind)
                return a->kind < b->kind ? -1 : 1;
        switch (a->kind) {
        case CEDAR_BOOL:
                return a->boolean - b->boolean;
        case CEDAR_STRING:
                return compare_texts(a->text, b->text);
        case CEDAR_ENTITY:
                return cedar_uid_compare(a->uid, b->uid);
        case CEDAR_SET:
                return compare_sets(a->set, b->set);
        case CEDAR_RECORD:
                return compare_records(a->record, b->record);
        case CEDAR_IP:
                return compare_ips(a->ip, b->ip);
        default:
                return (a->number > b->number) - (a->number < b->number);
        }
}

/* ---- sets and records ---- */

static void swap_items(char *a, char *b, size_t size) {
        for (size_t i = 0; i < size; i++) {
                char c = a[i];

                a[i] = b[i];
                b[i] = c;
        }
}

static void sift_down(char *items, size_t size, size_t root, size_t n,
                int (*compare)(const void *, const void *)) {
        for (size_t child; (child = 2 * root + 1) < n; root = child) {
                if (child + 1 < n && compare(items + child * size, items + (child + 1) * size) < 0)
                        child++;
                if (compare(items + root * size, items + child * size) >= 0)
                        return;
                swap_items(items + root * size, items + child * size, size);
        }
}

void cedar_sort(void *p, size_t n, size_t size, int (*compare)(const void *, const void *)) {
        char *items = p;

        for (size_t i = n / 2; i > 0; i--)
                sift_down(items, size, i - 1, n, compare);
        for (size_t end = n; end > 1; end--) {
                swap_items(items, items + (end - 1) * size, size);
                sift_down(items, size, 0, end - 1, compare);
        }
}

static int compare_items(const void *a, const void *b) {
        return cedar_value_compare(a, b);
}

static int compare_fields(const void *a, const void *b) {
        return compare_texts(((const struct cedar_field *) a)->key, ((const struct cedar_field *) b)->key);
}

int cedar_set_new(struct arena *arena, struct cedar_value *items, size_t n, struct cedar_value *ret) {
        struct cedar_set *set = arena_alloc(arena, sizeof(*set) + n * sizeof(*items));

        if (!set)
                return -ENOMEM;
        cedar_sort(items, n, sizeof(*items), compare_items);
        set->n = 0;
        for (size_t i = 0; i < n; i++)
                if (set->n == 0 || cedar_value_compare(&set->items[set->n - 1], &items[i]) != 0)
                        set->items[set->n++] = items[i];
        *ret = (struct cedar_value){ .kind = CEDAR_SET, .set = set };
        return 0;
}

int cedar_record_new(struct arena *arena, struct cedar_field *fields, size_t n, struct cedar_value *ret) {
        struct cedar_record *record = arena_alloc(arena, sizeof(*record) + n * sizeof(*fields));

        if (!record)
                return -ENOMEM;
        cedar_sort(fields, n, sizeof(*fields), compare_fields);
        record->n = n;
        for (size_t i = 0; i < n; i++) {
                if (i > 0 && cedar_text_equal(fields[i - 1].key, fields[i].key))
                        return -EEXIST;
                record->fields[i] = fields[i];
        }
        *ret = (struct cedar_value){ .kind = CEDAR_RECORD, .record = record };
        return 0;
}

bool cedar_set_contains(const struct cedar_set *set, const struct cedar_value *value) {
        size_t low = 0, high = set->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int r = cedar_value_compare(&set->items[middle], value);

                if (r == 0)
                        return true;
                if (r < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return false;
}

const struct cedar_value *cedar_record_get(const struct cedar_record *record, struct cedar_text key) {
        size_t low = 0, high = record->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int r = compare_texts(record->fields[middle].key, key);

                if (r == 0)
                        return &record->fields[middle].value;
                if (r < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

const char *cedar_kind_name(enum cedar_kind kind) {
        static const char *const names[] = {
                [CEDAR_BOOL] = "a bool",
                [CEDAR_LONG] = "a long",
                [CEDAR_STRING] = "a string",
                [CEDAR_ENTITY] = "an entity",
                [CEDAR_SET] = "a set",
                [CEDAR_RECORD] = "a record",
                [CEDAR_DECIMAL] = "a decimal",
                [CEDAR_DATETIME] = "a datetime",
                [CEDAR_DURATION] = "a duration",
                [CEDAR_IP] = "an ipaddr",
        };

        return names[kind];
}
