/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What an expression of a rule may come to when only some of what is asked is known: which kinds of values,
 * and for a condition, whether it may be true and whether it may be false. What it may come to is never less
 * than what it does, so that what is found impossible is so.
 */

#include "cedar.h"
#include "contract.h"

/* Conditions of one rule that pin down something. */
#define RULE_BOUNDS_MAX 16

struct rule_bound {
        const struct cedar_node *subject; /* principal, context.VmName, … */
        struct cedar_value value;
};

struct rule_world {
        const struct cedar_entities *entities; /* NULL: there are none */
        struct arena *arena;
        const struct contract_method *method; /* the call; NULL: any, whose fields may be anything */
        struct rule_bound bounds[RULE_BOUNDS_MAX];
        size_t n_bounds;
        /* Told of each innermost part that can only fail; NULL: nobody is. */
        void (*failed)(const struct cedar_node *node, const char *message, void *userdata);
        void *userdata;
        bool starved;    /* for want of memory: then nothing that was found counts */
        uint64_t *steps; /* parts that may yet be looked at; where there are more, they may come to anything
                          */
};

#define RULE_KIND(kind) (1U << (kind))
#define RULE_ANY_KIND   (RULE_KIND(CEDAR_IP + 1) - 1)

struct rule_range {
        unsigned kinds; /* 0: it fails whenever it is evaluated */
        bool can_be_true, can_be_false;
        bool is_known; /* unless it fails, it is this */
        struct cedar_value value;
};

struct rule_range rule_range_of(struct rule_world *world, const struct cedar_node *node);
/* Whether the scope's part may be met. A template's slot may be anything. */
bool rule_scope_may_be_met(
                const struct rule_world *world, const struct cedar_policy *policy, enum cedar_var var);
/* Whether the whole rule may apply. */
bool rule_may_apply(struct rule_world *world, const struct cedar_policy *policy);

/* Of a principal, action, resource or context, or an attribute below it. */
bool rule_is_subject(const struct cedar_node *node);
bool rule_subject_equal(const struct cedar_node *a, const struct cedar_node *b);
/* principal, action, resource and context, as nodes. */
const struct cedar_node *rule_var_node(enum cedar_var var);
/* What is known of it; NULL: nothing. */
const struct cedar_value *rule_bound_find(const struct rule_world *world, const struct cedar_node *subject);
/* False: there is no room for it. */
bool rule_bind(struct rule_world *world, const struct cedar_node *subject, struct cedar_value value);

/*
 * What a subject below context is in the message: 0 with its field; -ENOENT, with the name that no message
 * has in *ret_name and the message in *ret_message; -EINVAL: it is no such subject, or context.service, or
 * below what is no message.
 */
int rule_find_field(const struct cedar_node *subject, const ProtobufCMessageDescriptor *input,
                const ProtobufCFieldDescriptor **ret, struct cedar_text *ret_name,
                const ProtobufCMessageDescriptor **ret_message);
