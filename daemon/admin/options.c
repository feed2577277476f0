/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include "credential.h"
#include "settings.h"
#include "text.h"

#include <getopt.h>
#include <stdio.h>
#include <strings.h>

enum {
        OPTION_LISTEN = 'l',
        OPTION_DEBUG = 'd',
        OPTION_HELP = 'h',
        OPTION_VERSION = 'V',
        OPTION_USE_TLS = 256,
        OPTION_CA_CERT,
        OPTION_HOST_CERT,
        OPTION_HOST_KEY,
        OPTION_HOST_IDENTITY,
        OPTION_STATE_DIRECTORY,
        OPTION_MONITORING,
        OPTION_POLICY_ADMIN,
        OPTION_POLICY_CONFIG,
        OPTION_POLICY_STORE,
        OPTION_ACCESS_CONTROL,
        OPTION_CEDAR_FILE,
        OPTION_CEDAR_ENTITIES,
        OPTION_AUDIT_PERMITS,
        OPTION_SERVICES,
};

static const struct option long_options[] = {
        { "listen", required_argument, NULL, OPTION_LISTEN },
        { "use-tls", optional_argument, NULL, OPTION_USE_TLS },
        { "ca-cert", required_argument, NULL, OPTION_CA_CERT },
        { "host-cert", required_argument, NULL, OPTION_HOST_CERT },
        { "host-key", required_argument, NULL, OPTION_HOST_KEY },
        { "host-identity", required_argument, NULL, OPTION_HOST_IDENTITY },
        { "state-directory", required_argument, NULL, OPTION_STATE_DIRECTORY },
        { "monitoring", optional_argument, NULL, OPTION_MONITORING },
        { "policy-admin", optional_argument, NULL, OPTION_POLICY_ADMIN },
        { "policy-config", required_argument, NULL, OPTION_POLICY_CONFIG },
        { "policy-store", required_argument, NULL, OPTION_POLICY_STORE },
        { "access-control", optional_argument, NULL, OPTION_ACCESS_CONTROL },
        { "cedar-file", required_argument, NULL, OPTION_CEDAR_FILE },
        { "cedar-entities", required_argument, NULL, OPTION_CEDAR_ENTITIES },
        { "audit-permits", optional_argument, NULL, OPTION_AUDIT_PERMITS },
        { "services", required_argument, NULL, OPTION_SERVICES },
        { "debug", no_argument, NULL, OPTION_DEBUG },
        { "help", no_argument, NULL, OPTION_HELP },
        { "version", no_argument, NULL, OPTION_VERSION },
        {},
};

static void print_help(void) {
        puts("givc-admin [OPTION...]\n"
             "\n"
             "Keeps the registry of everything that runs in the fleet, and passes calls on.\n"
             "\n"
             "  -l --listen=ADDRESS       IP:PORT, [IP6]:PORT, /path, @abstract or\n"
             "                            vsock:CID:PORT; repeatable, and beside the sockets\n"
             "                            that systemd hands over\n"
             "     --use-tls[=BOOL]       Mutual TLS (TLS; default: true)\n"
             "     --ca-cert=FILE, --host-cert=FILE, --host-key=FILE\n"
             "                            The fleet's CA, our certificate and its key\n"
             "                            (CA_CERT, HOST_CERT, HOST_KEY; default: ca-cert.pem,\n"
             "                            cert.pem and key.pem in $CREDENTIALS_DIRECTORY)\n"
             "     --host-identity=NAME   The one identity that may register as the host\n"
             "                            (HOST_IDENTITY; default: the first that does)\n"
             "     --state-directory=DIR  Where locale and time zone of the fleet are kept\n"
             "                            (STATE_DIRECTORY; default: /etc)\n"
             "     --access-control[=BOOL], --cedar-file=FILE, --cedar-entities=FILE\n"
             "                            Cedar's rules for who may call what, and the\n"
             "                            entities that they speak of (ACCESS_CONTROL,\n"
             "                            CEDAR_FILE, CEDAR_ENTITIES)\n"
             "     --audit-permits[=BOOL] Log what the rules permit, too (AUDIT_PERMITS)\n"
             "     --policy-admin[=BOOL], --policy-config=JSON, --policy-store=DIRECTORY\n"
             "                            Send the policies below DIRECTORY (default:\n"
             "                            /etc/policies) to the VMs that JSON names\n"
             "                            (POLICY_ADMIN, POLICY_CONFIG, POLICY_STORE)\n"
             "     --monitoring[=BOOL]    Start VMs again that have crashed (GIVC_MONITORING;\n"
             "                            default: true)\n"
             "     --services=LIST        Accepted (SERVICES): units are always followed\n"
             "  -d --debug                Log more\n"
             "  -h --help                 Show this\n"
             "     --version              Show the version");
}

static int parse_bool(const char *text, bool *ret) {
        static const char *const yes[] = { "true", "1", "yes", "on" },
                                 *const no[] = { "false", "0", "no", "off" };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                if (strcasecmp(text, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
                if (strcasecmp(text, no[i]) == 0) {
                        *ret = false;
                        return 0;
                }
        }
        return -EINVAL;
}

/* "--flag", "--flag=BOOL", and as deployed scripts write it, "--flag BOOL". */
static int take_bool(const char *name, int argc, char **argv, bool *ret) {
        if (!optarg) {
                *ret = true;
                if (optind < argc && parse_bool(argv[optind], ret) >= 0)
                        optind++;
                return 0;
        }
        if (parse_bool(optarg, ret) >= 0)
                return 0;
        fprintf(stderr, "givc-admin: --%s=%s: true or false expected\n", name, optarg);
        return -EINVAL;
}

static int bool_from_environment(const char *name, bool *ret) {
        const char *value = getenv(name);

        if (isempty(value) || parse_bool(value, ret) >= 0)
                return 0;
        fprintf(stderr, "givc-admin: environment variable %s=%s: true or false expected\n", name, value);
        return -EINVAL;
}

static void text_from_environment(const char *name, const char **ret) {
        const char *value = getenv(name);

        if (!isempty(value))
                *ret = value;
}

/* Paths as given, which options_clear() does not own: copied at the end. */
struct paths {
        const char *ca_cert, *host_cert, *host_key;
};

static int read_environment(struct options *options, struct paths *paths) {
        int r;

        text_from_environment("CA_CERT", &paths->ca_cert);
        text_from_environment("HOST_CERT", &paths->host_cert);
        text_from_environment("HOST_KEY", &paths->host_key);
        text_from_environment("STATE_DIRECTORY", &options->state_directory);
        text_from_environment("HOST_IDENTITY", &options->host_identity);
        text_from_environment("POLICY_CONFIG", &options->policy_config);
        text_from_environment("POLICY_STORE", &options->policy_store);
        text_from_environment("CEDAR_FILE", &options->cedar_file);
        text_from_environment("CEDAR_ENTITIES", &options->cedar_entities);
        text_from_environment("SERVICES", &options->services);

        r = bool_from_environment("TLS", &options->use_tls);
        if (r >= 0)
                r = bool_from_environment("GIVC_MONITORING", &options->monitoring);
        if (r >= 0)
                r = bool_from_environment("POLICY_ADMIN", &options->policy_admin);
        if (r >= 0)
                r = bool_from_environment("ACCESS_CONTROL", &options->access_control);
        if (r >= 0)
                r = bool_from_environment("AUDIT_PERMITS", &options->audit_permits);
        return r;
}

static int add_listen(struct options *options, const char *address) {
        if (options->n_listen == OPTIONS_LISTEN_MAX) {
                fprintf(stderr, "givc-admin: at most %d times --listen\n", OPTIONS_LISTEN_MAX);
                return -EINVAL;
        }
        options->listen[options->n_listen++] = address;
        return 0;
}

/* 1: go on with the next one. */
static int take_option(struct options *options, struct paths *paths, int option, int argc, char **argv) {
        switch (option) {
        case OPTION_LISTEN:
                return add_listen(options, optarg) < 0 ? -EINVAL : 1;
        case OPTION_USE_TLS:
                return take_bool("use-tls", argc, argv, &options->use_tls) < 0 ? -EINVAL : 1;
        case OPTION_CA_CERT:
                paths->ca_cert = optarg;
                return 1;
        case OPTION_HOST_CERT:
                paths->host_cert = optarg;
                return 1;
        case OPTION_HOST_KEY:
                paths->host_key = optarg;
                return 1;
        case OPTION_HOST_IDENTITY:
                options->host_identity = optarg;
                return 1;
        case OPTION_STATE_DIRECTORY:
                options->state_directory = optarg;
                return 1;
        case OPTION_MONITORING:
                return take_bool("monitoring", argc, argv, &options->monitoring) < 0 ? -EINVAL : 1;
        case OPTION_POLICY_ADMIN:
                return take_bool("policy-admin", argc, argv, &options->policy_admin) < 0 ? -EINVAL : 1;
        case OPTION_POLICY_CONFIG:
                options->policy_config = optarg;
                return 1;
        case OPTION_POLICY_STORE:
                options->policy_store = optarg;
                return 1;
        case OPTION_ACCESS_CONTROL:
                return take_bool("access-control", argc, argv, &options->access_control) < 0 ? -EINVAL : 1;
        case OPTION_CEDAR_FILE:
                options->cedar_file = optarg;
                return 1;
        case OPTION_CEDAR_ENTITIES:
                options->cedar_entities = optarg;
                return 1;
        case OPTION_AUDIT_PERMITS:
                return take_bool("audit-permits", argc, argv, &options->audit_permits) < 0 ? -EINVAL : 1;
        case OPTION_SERVICES:
                options->services = optarg;
                return 1;
        case OPTION_DEBUG:
                options->debug = true;
                return 1;
        case OPTION_HELP:
                print_help();
                return 0;
        case OPTION_VERSION:
                puts("givc-admin " GIVC_VERSION);
                return 0;
        default:
                fputs("Try givc-admin --help.\n", stderr);
                return -EINVAL;
        }
}

/* The path that was given, else that of the credential. */
static int choose_path(char **ret, const char *given, const char *credential, const char *option,
                const char *variable) {
        int r;

        if (given) {
                *ret = strdup(given);
                return *ret ? 0 : -ENOMEM;
        }
        r = credential_find(credential, NULL, ret);
        if (r == -ENOENT)
                fprintf(stderr, "givc-admin: TLS needs --%s or %s, or a credential %s\n", option, variable,
                                credential);
        return r;
}

static int choose_paths(struct options *options, const struct paths *paths) {
        int r;

        if (!options->use_tls)
                return 0;
        r = choose_path(&options->ca_cert, paths->ca_cert, "ca-cert.pem", "ca-cert", "CA_CERT");
        if (r >= 0)
                r = choose_path(&options->host_cert, paths->host_cert, "cert.pem", "host-cert", "HOST_CERT");
        if (r >= 0)
                r = choose_path(&options->host_key, paths->host_key, "key.pem", "host-key", "HOST_KEY");
        return r;
}

static int check(const struct options *options, int argc, char **argv) {
        if (optind < argc) {
                fprintf(stderr, "givc-admin: unexpected argument \"%s\"\n", argv[optind]);
                return -EINVAL;
        }
        if (options->host_identity && !text_is_host_name(options->host_identity)) {
                fprintf(stderr, "givc-admin: host identity \"%s\" is not a name\n", options->host_identity);
                return -EINVAL;
        }
        if (options->access_control && !options->cedar_file) {
                fputs("givc-admin: access control needs its rules: --cedar-file or CEDAR_FILE\n", stderr);
                return -EINVAL;
        }
        if (options->policy_admin && !options->policy_config) {
                fputs("givc-admin: policies need to know for whom: --policy-config or POLICY_CONFIG\n",
                                stderr);
                return -EINVAL;
        }
        if (options->access_control && !options->use_tls) {
                fputs("givc-admin: access control needs TLS: without, nobody knows who calls\n", stderr);
                return -EINVAL;
        }
        return 0;
}

int options_parse(struct options *options, int argc, char **argv) {
        struct paths paths = {};
        int option, r;

        *options = (struct options){
                .use_tls = true, .monitoring = true, .state_directory = SETTINGS_DEPLOYED
        };
        r = read_environment(options, &paths);
        if (r < 0)
                return r;

        while ((option = getopt_long(argc, argv, "l:dh", long_options, NULL)) >= 0) {
                r = take_option(options, &paths, option, argc, argv);
                if (r <= 0)
                        return r;
        }
        r = check(options, argc, argv);
        if (r >= 0)
                r = choose_paths(options, &paths);
        return r < 0 ? r : 1;
}

void options_clear(struct options *options) {
        free(options->ca_cert);
        free(options->host_cert);
        free(options->host_key);
        *options = (struct options){};
}
