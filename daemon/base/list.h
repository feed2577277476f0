/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Intrusive, circular, doubly linked list. The head is a struct list of its own; an element embeds one. A
 * struct list that is in no list points to itself, so removing twice is harmless.
 */

#include "util.h"

struct list {
        struct list *next, *previous;
};

static inline void list_init(struct list *l) {
        l->next = l->previous = l;
}

static inline bool list_is_empty(const struct list *head) {
        return head->next == head;
}

static inline void list_append(struct list *head, struct list *element) {
        element->previous = head->previous;
        element->next = head;
        head->previous->next = element;
        head->previous = element;
}

static inline void list_remove(struct list *element) {
        element->previous->next = element->next;
        element->next->previous = element->previous;
        list_init(element);
}

/* The first element as TYPE, or NULL. */
#define LIST_FIRST(head, type, member)                                                                      \
        (list_is_empty(head) ? NULL : container_of((head)->next, type, member))

#define LIST_FOREACH(i, head, member)                                                                       \
        for (i = container_of((head)->next, __typeof__(*i), member); &i->member != (head);                  \
                        i = container_of(i->member.next, __typeof__(*i), member))

/* The body may remove and free i, but no other element. */
#define LIST_FOREACH_SAFE(i, n, head, member)                                                               \
        for (i = container_of((head)->next, __typeof__(*i), member),                                        \
            n = container_of(i->member.next, __typeof__(*i), member);                                       \
                        &i->member != (head);                                                               \
                        i = n, n = container_of(n->member.next, __typeof__(*i), member))
