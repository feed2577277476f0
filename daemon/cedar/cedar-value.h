/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Cedar's values (https://docs.cedarpolicy.com, "Data types"). All memory is an arena's, and never changes
 * once it is built: values are copied by assignment. Texts may hold NUL, so they have a length; they are
 * UTF-8.
 */

#include "arena.h"

struct cedar_text {
        const char *s;
        size_t n;
};

/* An entity's name: Type::"id". */
struct cedar_uid {
        struct cedar_text type, id;
        uint64_t hash;
};

/* An address or a range of addresses; IPv4 is in the first four bytes. */
struct cedar_ip {
        uint8_t bytes[16];
        uint8_t prefix; /* in bits */
        bool is_v6;
};

enum cedar_kind {
        CEDAR_BOOL,
        CEDAR_LONG,
        CEDAR_STRING,
        CEDAR_ENTITY,
        CEDAR_SET,
        CEDAR_RECORD,
        CEDAR_DECIMAL,  /* number is in ten-thousandths */
        CEDAR_DATETIME, /* milliseconds since 1970-01-01T00:00:00Z */
        CEDAR_DURATION, /* milliseconds */
        CEDAR_IP,
};

struct cedar_value {
        enum cedar_kind kind;
        union {
                bool boolean;
                int64_t number;
                struct cedar_text text;
                const struct cedar_uid *uid;
                const struct cedar_set *set;
                const struct cedar_record *record;
                const struct cedar_ip *ip;
        };
};

/* In order, each once. */
struct cedar_set {
        size_t n;
        struct cedar_value items[];
};

struct cedar_field {
        struct cedar_text key;
        struct cedar_value value;
};

/* In order of the keys, each once. */
struct cedar_record {
        size_t n;
        struct cedar_field fields[];
};

#define CEDAR_TEXT(literal) ((struct cedar_text){ .s = (literal), .n = sizeof(literal) - 1 })

static inline struct cedar_text cedar_text_of(const char *s) {
        return (struct cedar_text){ .s = s, .n = strlen(s) };
}

static inline bool cedar_text_equal(struct cedar_text a, struct cedar_text b) {
        return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

/* A copy; its s is NULL where memory is short. */
struct cedar_text cedar_text_copy(struct arena *arena, struct cedar_text text);

/* The texts are taken as they are, not copied. NULL: ENOMEM. */
const struct cedar_uid *cedar_uid_new(struct arena *arena, struct cedar_text type, struct cedar_text id);
bool cedar_uid_equal(const struct cedar_uid *a, const struct cedar_uid *b);
int cedar_uid_compare(const struct cedar_uid *a, const struct cedar_uid *b);

static inline struct cedar_value cedar_bool(bool boolean) {
        return (struct cedar_value){ .kind = CEDAR_BOOL, .boolean = boolean };
}

static inline struct cedar_value cedar_long(int64_t number) {
        return (struct cedar_value){ .kind = CEDAR_LONG, .number = number };
}

static inline struct cedar_value cedar_string(struct cedar_text text) {
        return (struct cedar_value){ .kind = CEDAR_STRING, .text = text };
}

static inline struct cedar_value cedar_entity(const struct cedar_uid *uid) {
        return (struct cedar_value){ .kind = CEDAR_ENTITY, .uid = uid };
}

/* Of n items, which are put in order where they stand. 0 or -ENOMEM. */
int cedar_set_new(struct arena *arena, struct cedar_value *items, size_t n, struct cedar_value *ret);
/* The same; -EEXIST: a key stands there twice. */
int cedar_record_new(struct arena *arena, struct cedar_field *fields, size_t n, struct cedar_value *ret);

/* A total order, of which only equality (0) means anything to people. */
int cedar_value_compare(const struct cedar_value *a, const struct cedar_value *b);
bool cedar_set_contains(const struct cedar_set *set, const struct cedar_value *value);
/* NULL: it has no such field. */
const struct cedar_value *cedar_record_get(const struct cedar_record *record, struct cedar_text key);

/*
 * Sorts in place, without recursion and without allocating (as qsort() does), in n log n steps whatever the
 * order was: heapsort. compare gets pointers to the items.
 */
void cedar_sort(void *items, size_t n, size_t item_bytes, int (*compare)(const void *, const void *));

/* "a set", "a string": for messages. */
const char *cedar_kind_name(enum cedar_kind kind);
