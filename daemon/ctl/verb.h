/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What givcctl can do: one entry a verb, one file a family of them. */

#include "util.h"

struct options;
struct session;

/* Options that belong to some verbs alone. */
enum verb_option {
        VERB_OPTION_VM = 1 << 0,
        VERB_OPTION_BY_TYPE = 1 << 1,
        VERB_OPTION_BY_NAME = 1 << 2,
        VERB_OPTION_INITIAL = 1 << 3,
        VERB_OPTION_LIMIT = 1 << 4,
        VERB_OPTION_STATE = 1 << 5,
        VERB_OPTION_SORT = 1 << 6,
        VERB_OPTION_FOR = 1 << 7,
        VERB_OPTION_NO_BLOCK = 1 << 8,
        VERB_OPTION_KILL = 1 << 9, /* --signal, --kill-whom */
        VERB_OPTION_NOTIFY = 1 << 10,
        VERB_OPTION_CACHIX = 1 << 11,
        VERB_OPTION_ONLINE = 1 << 12, /* --wait, --monitor */
        VERB_OPTION_LOGS = 1 << 13,
        VERB_OPTION_RULES = 1 << 14,    /* --rules, --entities */
        VERB_OPTION_REQUESTS = 1 << 15, /* --requests, --context */
        VERB_OPTION_WIFI = 1 << 16,     /* --password-file, --settings */
        VERB_OPTION_INTERVAL = 1 << 17,
        VERB_OPTION_ENSURE = 1 << 18, /* --retry, --type */
        VERB_OPTION_PERMITS = 1 << 19,
        VERB_OPTION_OFFERS = 1 << 20, /* --source, --pin-name, --raw, --current */
};

struct verb {
        const char *words;     /* one or two, separated by a space: "start service" */
        const char *arguments; /* as the help names them */
        unsigned min_arguments, max_arguments;
        unsigned options;    /* enum verb_option */
        bool of_agent;       /* speaks to an agent, not to the admin */
        const char *summary; /* one sentence for the verb's help */
        const char *details; /* whole lines below it, or NULL */
        int (*run)(struct session *session, const struct options *options); /* returns an enum exit_code */
        uint64_t timeout_usec; /* of each call, where --timeout says nothing; 0: as usual */
};

/* No bound on arguments but the kernel's. */
#define VERB_ANY_NUMBER UINT32_MAX

extern const struct verb verbs[]; /* the last has words NULL */

/* The verb that the first words name, or NULL; *ret_n is how many of them it took. */
const struct verb *verb_find(const char *const *words, size_t n_words, size_t *ret_n);

/* Whether word is the first of the verb's two: that of a family of verbs. */
bool verb_is_of(const struct verb *verb, const char *word);

/* The verbs of a family, or all where there is no such, separated by commas, for an error message; on the
 * heap, or NULL (ENOMEM). */
char *verb_list(const char *family);

int verb_query(struct session *session, const struct options *options);
int verb_get_status(struct session *session, const struct options *options);
int verb_start_vm(struct session *session, const struct options *options);
int verb_start_service(struct session *session, const struct options *options);
int verb_stop_service(struct session *session, const struct options *options);
int verb_watch(struct session *session, const struct options *options);
int verb_app(struct session *session, const struct options *options);
int verb_manage(struct session *session, const struct options *options);
int verb_stop_vm(struct session *session, const struct options *options);
int verb_pause_vm(struct session *session, const struct options *options);
int verb_resume_vm(struct session *session, const struct options *options);
int verb_list_units(struct session *session, const struct options *options);
int verb_wait(struct session *session, const struct options *options);
int verb_set_locale(struct session *session, const struct options *options);
int verb_set_timezone(struct session *session, const struct options *options);
int verb_notify_user(struct session *session, const struct options *options);
int verb_update_query(struct session *session, const struct options *options);
int verb_update_list(struct session *session, const struct options *options);
int verb_update_cachix(struct session *session, const struct options *options);
int verb_is_online(struct session *session, const struct options *options);
int verb_get_stats(struct session *session, const struct options *options);
int verb_logs(struct session *session, const struct options *options);
int verb_auth_log(struct session *session, const struct options *options);
int verb_auth_lint(struct session *session, const struct options *options);
int verb_auth_test(struct session *session, const struct options *options);
int verb_auth_why(struct session *session, const struct options *options);
int verb_ctap(struct session *session, const struct options *options);
int verb_sysinfo(struct session *session, const struct options *options);
int verb_host(struct session *session, const struct options *options);
int verb_wifi(struct session *session, const struct options *options);
int verb_wifi_list(struct session *session, const struct options *options);
int verb_wifi_connect(struct session *session, const struct options *options);
int verb_status(struct session *session, const struct options *options);
int verb_top(struct session *session, const struct options *options);
int verb_test_ensure(struct session *session, const struct options *options);
int verb_dump(struct session *session, const struct options *options);
int verb_unit(struct session *session, const struct options *options);
int verb_unit_monitor(struct session *session, const struct options *options);
