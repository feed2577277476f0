/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include "contract.h"
#include "text.h"
#include "timespan.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

enum option_kind {
        OPTION_FLAG,   /* bool */
        OPTION_TEXT,   /* const char * */
        OPTION_TEXTS,  /* struct options_texts */
        OPTION_NUMBER, /* uint64_t, not 0 */
        OPTION_LINES,  /* const char *: a number, 0 too, or all */
        OPTION_SPAN,   /* uint64_t, microseconds, not 0 */
};

struct option {
        const char *name;
        char letter; /* 0: none */
        enum option_kind kind;
        size_t offset;        /* in struct options */
        unsigned verb_option; /* 0: for every verb */
};

#define TO(member) offsetof(struct options, member)

static const struct option table[] = {
        { "addr", 0, OPTION_TEXT, TO(addr), 0 },
        { "port", 0, OPTION_TEXT, TO(port), 0 },
        { "vsock", 0, OPTION_TEXT, TO(vsock), 0 },
        { "name", 0, OPTION_TEXT, TO(name), 0 },
        { "cacert", 0, OPTION_TEXT, TO(ca_cert), 0 },
        { "cert", 0, OPTION_TEXT, TO(cert), 0 },
        { "key", 0, OPTION_TEXT, TO(key), 0 },
        { "notls", 0, OPTION_FLAG, TO(no_tls), 0 },
        { "timeout", 0, OPTION_SPAN, TO(timeout_usec), 0 },
        { "json", 0, OPTION_FLAG, TO(json), 0 },
        { "as-json", 0, OPTION_FLAG, TO(json), 0 },
        { "help", 'h', OPTION_FLAG, TO(help), 0 },
        { "version", 'V', OPTION_FLAG, TO(version), 0 },
        { "vm", 0, OPTION_TEXT, TO(vm), VERB_OPTION_VM },
        { "by-type", 0, OPTION_TEXT, TO(by_type), VERB_OPTION_BY_TYPE },
        { "by-name", 0, OPTION_TEXTS, TO(by_name), VERB_OPTION_BY_NAME },
        { "state", 0, OPTION_TEXT, TO(state), VERB_OPTION_STATE },
        { "sort", 0, OPTION_TEXT, TO(sort), VERB_OPTION_SORT },
        { "initial", 0, OPTION_FLAG, TO(initial), VERB_OPTION_INITIAL },
        { "limit", 0, OPTION_NUMBER, TO(limit), VERB_OPTION_LIMIT },
        { "for", 0, OPTION_TEXT, TO(state), VERB_OPTION_FOR },
        { "no-block", 0, OPTION_FLAG, TO(no_block), VERB_OPTION_NO_BLOCK },
        { "signal", 's', OPTION_TEXT, TO(signal), VERB_OPTION_KILL },
        { "kill-whom", 0, OPTION_TEXT, TO(whom), VERB_OPTION_KILL },
        { "wait", 0, OPTION_FLAG, TO(wait), VERB_OPTION_ONLINE },
        { "monitor", 0, OPTION_FLAG, TO(monitor), VERB_OPTION_ONLINE },
        { "lines", 'n', OPTION_LINES, TO(lines), VERB_OPTION_LOGS },
        { "follow", 'f', OPTION_FLAG, TO(follow), VERB_OPTION_LOGS },
        { "unit", 'u', OPTION_TEXT, TO(unit), VERB_OPTION_LOGS },
        { "priority", 'p', OPTION_TEXT, TO(priority), VERB_OPTION_LOGS },
        { "since", 'S', OPTION_TEXT, TO(since), VERB_OPTION_LOGS },
        { "until", 'U', OPTION_TEXT, TO(until), VERB_OPTION_LOGS },
        { "after-cursor", 0, OPTION_TEXT, TO(after_cursor), VERB_OPTION_LOGS },
        { "title", 0, OPTION_TEXT, TO(title), VERB_OPTION_NOTIFY },
        { "event", 0, OPTION_TEXT, TO(event), VERB_OPTION_NOTIFY },
        { "urgency", 0, OPTION_TEXT, TO(urgency), VERB_OPTION_NOTIFY },
        { "icon", 0, OPTION_TEXT, TO(icon), VERB_OPTION_NOTIFY },
        { "message", 0, OPTION_TEXT, TO(message), VERB_OPTION_NOTIFY },
        { "cache", 0, OPTION_TEXT, TO(cache), VERB_OPTION_CACHIX },
        { "token", 0, OPTION_TEXT, TO(token), VERB_OPTION_CACHIX },
        { "cachix-host", 0, OPTION_TEXT, TO(cachix_host), VERB_OPTION_CACHIX },
        { "source", 0, OPTION_TEXT, TO(source), VERB_OPTION_OFFERS },
        { "pin-name", 0, OPTION_TEXT, TO(pin_name), VERB_OPTION_OFFERS },
        { "raw", 0, OPTION_FLAG, TO(raw), VERB_OPTION_OFFERS },
        { "current", 0, OPTION_FLAG, TO(current), VERB_OPTION_OFFERS },
        { "interval", 0, OPTION_TEXT, TO(interval), VERB_OPTION_INTERVAL },
        { "retry", 0, OPTION_NUMBER, TO(retry), VERB_OPTION_ENSURE },
        { "type", 0, OPTION_TEXT, TO(type), VERB_OPTION_ENSURE },
        { "password-file", 0, OPTION_TEXT, TO(password_file), VERB_OPTION_WIFI },
        { "settings", 0, OPTION_TEXT, TO(settings), VERB_OPTION_WIFI },
        { "rules", 0, OPTION_TEXT, TO(rules), VERB_OPTION_RULES },
        { "entities", 0, OPTION_TEXT, TO(entities), VERB_OPTION_RULES },
        { "requests", 0, OPTION_TEXT, TO(requests), VERB_OPTION_REQUESTS },
        { "context", 0, OPTION_TEXT, TO(context), VERB_OPTION_REQUESTS },
        { "permits", 0, OPTION_FLAG, TO(permits), VERB_OPTION_PERMITS },
};

static int error_invalid(char **ret_error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        *ret_error = text_vprintf(format, ap);
        va_end(ap);
        return *ret_error ? -EINVAL : -ENOMEM;
}

static const struct option *option_find(const char *name, size_t n) {
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0)
                        return &table[i];
        return NULL;
}

static const struct option *option_find_letter(char letter) {
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].letter && table[i].letter == letter)
                        return &table[i];
        return NULL;
}

static int set_span(uint64_t *ret, const char *name, const char *value, char **ret_error) {
        if (timespan_parse(value, ret) < 0 || *ret == 0)
                return error_invalid(ret_error,
                                "--%s: '%s' is no span of time; write seconds, 90s, 2min, 500ms or infinity",
                                name, value);
        return 0;
}

static int set_number(uint64_t *ret, const char *name, const char *value, char **ret_error) {
        if (text_to_uint(value, UINT32_MAX, ret) < 0 || *ret == 0)
                return error_invalid(ret_error, "--%s: '%s' is not a number from 1 to %u", name, value,
                                UINT32_MAX);
        return 0;
}

static int set_lines(const char **ret, const char *name, const char *value, char **ret_error) {
        uint64_t number;

        if (!streq(value, "all") && text_to_uint(value, UINT32_MAX, &number) < 0)
                return error_invalid(ret_error, "--%s: '%s' is neither a number from 0 to %u nor 'all'",
                                name, value, UINT32_MAX);
        *ret = value;
        return 0;
}

static int add_text(struct options_texts *texts, const char *name, const char *value, char **ret_error) {
        if (texts->n == OPTIONS_TEXTS_MAX)
                return error_invalid(ret_error, "--%s is given more than %u times", name, OPTIONS_TEXTS_MAX);
        texts->texts[texts->n++] = value;
        return 0;
}

static int option_set(
                struct options *options, const struct option *option, const char *value, char **ret_error) {
        void *member = (char *) options + option->offset;

        options->verb_options |= option->verb_option;
        switch (option->kind) {
        case OPTION_FLAG:
                *(bool *) member = true;
                return 0;
        case OPTION_TEXT:
                *(const char **) member = value;
                return 0;
        case OPTION_TEXTS:
                return add_text(member, option->name, value, ret_error);
        case OPTION_NUMBER:
                return set_number(member, option->name, value, ret_error);
        case OPTION_LINES:
                return set_lines(member, option->name, value, ret_error);
        case OPTION_SPAN:
                return set_span(member, option->name, value, ret_error);
        }
        return -EINVAL;
}

/* With its value, or else with that which is the next element of argv. Returns how many it took (1 or 2). */
static int set_with_value(struct options *options, const struct option *option, const char *value, int argc,
                char **argv, int i, char **ret_error) {
        int r, taken = 1;

        if (!value) {
                if (i + 1 >= argc)
                        return error_invalid(ret_error, "--%s wants a value", option->name);
                value = argv[i + 1];
                taken = 2;
        }
        r = option_set(options, option, value, ret_error);
        return r < 0 ? r : taken;
}

/* Letters may stand together, as in -fu UNIT and -fn20: what follows the first that takes a value is that.
 */
static int read_letters(struct options *options, int argc, char **argv, int i, char **ret_error) {
        for (const char *letter = argv[i] + 1; *letter; letter++) {
                const struct option *option = option_find_letter(*letter);
                int r;

                if (!option)
                        return error_invalid(ret_error,
                                        letter == argv[i] + 1 && !letter[1]
                                                        ? "unknown option '%s'"
                                                        : "unknown option '%s': there is no -%c",
                                        argv[i], *letter);
                if (option->kind != OPTION_FLAG)
                        return set_with_value(options, option, letter[1] ? letter + 1 : NULL, argc, argv, i,
                                        ret_error);
                r = option_set(options, option, NULL, ret_error);
                if (r < 0)
                        return r;
        }
        return 1;
}

/* argv[i] starts with '-'. Returns how many elements of argv it took (1 or 2). */
static int read_option(struct options *options, int argc, char **argv, int i, char **ret_error) {
        const char *name = startswith(argv[i], "--"), *value;
        const struct option *option;
        int r;

        if (!name)
                return read_letters(options, argc, argv, i, ret_error);
        value = strchr(name, '=');
        option = option_find(name, value ? (size_t) (value - name) : strlen(name));
        if (!option)
                return error_invalid(ret_error, "unknown option '%s'", argv[i]);
        if (option->kind != OPTION_FLAG)
                return set_with_value(options, option, value ? value + 1 : NULL, argc, argv, i, ret_error);
        if (value)
                return error_invalid(ret_error, "--%s takes no value", option->name);
        r = option_set(options, option, NULL, ret_error);
        return r < 0 ? r : 1;
}

static int read_arguments(struct options *options, int argc, char **argv, size_t *ret_n_words,
                size_t *ret_n_own, char **ret_error) {
        bool only_words = false;
        size_t n = 0;

        options->words = calloc((size_t) argc + 1, sizeof(*options->words));
        if (!options->words)
                return -ENOMEM;
        for (int i = 1; i < argc;) {
                int r;

                if (!only_words && streq(argv[i], "--")) {
                        only_words = true;
                        *ret_n_own = n;
                        i++;
                        continue;
                }
                if (only_words || argv[i][0] != '-' || argv[i][1] == '\0') {
                        options->words[n++] = argv[i++];
                        continue;
                }
                r = read_option(options, argc, argv, i, ret_error);
                if (r < 0)
                        return r;
                i += r;
        }
        *ret_n_words = n;
        if (!only_words)
                *ret_n_own = n;
        return 0;
}

/* "start": of units it is "start service". NULL: there is none such. */
static const struct verb *find_units_verb(const char *word) {
        const char *words[] = { word, "service" };
        size_t n;

        return verb_find(words, ELEMENTSOF(words), &n);
}

/* As with systemctl, where it is clear that a unit is meant, as in "start net-vm/demo", nobody has to say
 * so. */
static bool means_units(const struct options *options, size_t n_words) {
        return n_words > 1 && (options->vm || strchr(options->words[1], '/'));
}

/* The first word of a verb that was likely meant, or "". */
static struct cedar_text guess_word(const char *word) {
        struct contract_guess guess = { .wanted = { .s = word, .n = strlen(word) } };

        for (const struct verb *verb = verbs; verb->words; verb++)
                contract_guess_offer(&guess,
                                (struct cedar_text){ .s = verb->words, .n = strcspn(verb->words, " ") });
        return guess.nearest;
}

static int error_verb(const struct options *options, size_t n_words, char **ret_error) {
        const char *word = n_words > 0 ? options->words[0] : NULL;
        _cleanup_(freep) char *known = NULL;
        const char *short_form;
        struct cedar_text near;

        if (!word)
                return error_invalid(ret_error, "a verb is missing");
        known = verb_list(word);
        if (!known)
                return -ENOMEM;
        short_form = find_units_verb(word) ? "; of a unit also VM/UNIT" : "";
        if (*known && n_words == 1)
                return error_invalid(ret_error, "'%s' alone is too little: known are %s%s", word, known,
                                short_form);
        if (*known)
                return error_invalid(ret_error, "unknown verb '%s %s': known are %s%s", word,
                                options->words[1], known, short_form);
        near = guess_word(word);
        return error_invalid(ret_error, "unknown verb '%s'%s%.*s%s", word,
                        near.n > 0 ? "; did you mean '" : "", (int) near.n, near.n > 0 ? near.s : "",
                        near.n > 0 ? "'?" : "");
}

static int choose_verb(struct options *options, size_t n_words, size_t n_own, char **ret_error) {
        size_t n = 0;

        options->verb = verb_find(options->words, n_words, &n);
        if (!options->verb) {
                options->verb = means_units(options, n_words) ? find_units_verb(options->words[0]) : NULL;
                n = 1;
        }
        options->family = !options->verb && n_words > 0 ? options->words[0] : NULL;
        if (options->verb) {
                options->arguments = options->words + n;
                options->n_arguments = n_words - n;
                options->n_own = n_own > n ? n_own - n : 0;
                return 0;
        }
        if (options->help || options->version)
                return 0;
        return error_verb(options, n_words, ret_error);
}

static int check_verb(const struct options *options, char **ret_error) {
        const struct verb *verb = options->verb;
        unsigned wrong = options->verb_options & ~verb->options;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].verb_option & wrong)
                        return error_invalid(
                                        ret_error, "'%s' does not know --%s", verb->words, table[i].name);
        if (options->n_arguments < verb->min_arguments)
                return error_invalid(ret_error, "'%s' wants %s", verb->words, verb->arguments);
        if (options->n_arguments > verb->max_arguments)
                return error_invalid(ret_error, "'%s' does not want '%s'", verb->words,
                                options->arguments[verb->max_arguments]);
        return 0;
}

/* What the environment says where the command line has not; empty is not set. */
static void take_environment(const char **value, const char *variable) {
        const char *set = getenv(variable);

        if (!*value && !isempty(set))
                *value = set;
}

/* As the deployed command reads it: set, and not one of the words for no. */
static bool environment_is_true(const char *variable) {
        static const char *const no[] = { "0", "n", "no", "f", "false", "off" };
        const char *set = getenv(variable);

        if (isempty(set))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(no); i++)
                if (strcasecmp(set, no[i]) == 0)
                        return false;
        return true;
}

static void complete(struct options *options) {
        bool of_agent = options->verb && options->verb->of_agent;

        /* These say where the admin is: an agent is somewhere else. */
        if (!of_agent) {
                take_environment(&options->addr, "GIVC_ADDR");
                take_environment(&options->port, "GIVC_PORT");
                take_environment(&options->name, "GIVC_NAME");
                if (!options->name)
                        options->name = OPTIONS_ADMIN_NAME;
        }
        if (!options->port)
                options->port = of_agent ? OPTIONS_AGENT_PORT : OPTIONS_ADMIN_PORT;
        take_environment(&options->ca_cert, "GIVC_CA_CERT");
        take_environment(&options->cert, "GIVC_HOST_CERT");
        take_environment(&options->key, "GIVC_HOST_KEY");
        if (options->timeout_usec == 0)
                options->timeout_usec = options->verb->timeout_usec ?: OPTIONS_TIMEOUT_USEC;
        options->no_tls = options->no_tls || environment_is_true("GIVC_NO_TLS");
}

static int check_peer(const struct options *options, char **ret_error) {
        uint64_t port;

        if (!options->name)
                return error_invalid(ret_error, "'%s' wants --name, the VM whose agent is meant",
                                options->verb->words);
        if (!text_is_host_name(options->name))
                return error_invalid(ret_error, "--name: '%s' is no name of a VM", options->name);
        if (text_to_uint(options->port, UINT16_MAX, &port) < 0 || port == 0)
                return error_invalid(
                                ret_error, "--port: '%s' is not a number from 1 to 65535", options->port);
        return 0;
}

int options_parse(struct options *options, int argc, char **argv, char **ret_error) {
        const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
        size_t n_words, n_own;
        int r;

        *options = (struct options){
                .argv = argv,
                .compatible = argc > 0 && streq(slash ? slash + 1 : argv[0], "givc-cli"),
        };
        r = read_arguments(options, argc, argv, &n_words, &n_own, ret_error);
        if (r < 0)
                return r;
        r = choose_verb(options, n_words, n_own, ret_error);
        if (r < 0)
                return r;
        if (options->help || options->version)
                return 0;
        r = check_verb(options, ret_error);
        if (r < 0)
                return r;
        complete(options);
        return check_peer(options, ret_error);
}

void options_clear(struct options *options) {
        free(options->words);
        *options = OPTIONS_NULL;
}
