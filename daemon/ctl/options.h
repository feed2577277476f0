/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The command line and the environment, read and checked, with nothing opened or looked up yet. */

#include "verb.h"

/* Of an option that may be given several times. */
#define OPTIONS_TEXTS_MAX 16
struct options_texts {
        const char *texts[OPTIONS_TEXTS_MAX];
        size_t n;
};

struct options {
        bool compatible; /* called as givc-cli: what deployed scripts expect */

        /* Whom to speak to, and as whom. NULL: not given. */
        const char *addr; /* IP, host name, Unix path, @abstract */
        const char *port;
        const char *vsock; /* CID:PORT; before addr and port */
        const char *name;  /* of the server, in its certificate */
        const char *ca_cert, *cert, *key;
        bool no_tls;

        uint64_t timeout_usec; /* for the whole call; USEC_INFINITY: none */
        bool json;
        bool help, version;

        /* Of some verbs alone; NULL, false or 0: not given. */
        const char *vm;
        const char *by_type;
        struct options_texts by_name;
        const char *state; /* of what is listed, or waited for */
        const char *sort;
        bool initial, no_block, wait, monitor, follow, permits;
        uint64_t limit, retry;
        const char *interval, *type;
        const char *signal, *whom;
        const char *unit, *lines, *priority, *since, *until, *after_cursor;
        const char *title, *event, *urgency, *icon, *message;
        const char *cache, *token, *cachix_host;
        const char *source, *pin_name;
        bool raw, current;
        const char *password_file, *settings;
        const char *rules, *entities, *requests, *context;

        const struct verb *verb;      /* NULL only with help or version */
        const char *family;           /* where there is no such verb: the first word, or NULL */
        const char *const *arguments; /* of the verb; inside words */
        size_t n_arguments;
        size_t n_own; /* those before "--": what follows may be meant for somebody else */

        char **argv;           /* as given */
        const char **words;    /* all that is no option; the array alone is ours */
        unsigned verb_options; /* enum verb_option: those given */
};

#define OPTIONS_NULL ((struct options){})

#define OPTIONS_TIMEOUT_USEC (60 * USEC_PER_SEC)
#define OPTIONS_ADMIN_NAME   "admin-vm"
#define OPTIONS_ADMIN_PORT   "9001"
#define OPTIONS_AGENT_PORT   "9000"

/*
 * Reads argv, of which the texts must outlast options, and what it leaves open from the environment. 0;
 * -ENOMEM; or -EINVAL, with *ret_error (the caller's) saying what is wrong. In either case options_clear()
 * is due.
 */
int options_parse(struct options *options, int argc, char **argv, char **ret_error);
void options_clear(struct options *options);
