/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policies.h"

#include "text.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

/* Seconds from one look to the next: usually, as deployed, and what neither side suffers from. */
#define POLL_SECONDS     60
#define GIT_POLL_SECONDS 300
#define POLL_SECONDS_MIN 5
#define POLL_SECONDS_MAX 604800

#define INTERVAL_ALLOWED "\"poll_interval_secs\" must be 0, or from 5 to 604800"

/* ---- the configuration ---- */

static int fail(char **ret_error, const char *what, const char *name, const char *allowed) {
        _cleanup_(freep) char *shown = text_escape(name, strlen(name), 64);

        *ret_error = text_printf("%s \"%s\": %s", what, strempty(shown), allowed);
        return -EINVAL;
}

static int read_vms(struct policy *policy, const json_t *vms, char **ret_error) {
        size_t n = json_array_size(vms);

        if (!json_is_array(vms) || n > POLICY_VMS_MAX)
                return fail(ret_error, "policy", policy->name, "must have \"vms\", a list of at most 256");
        policy->vms = calloc(n + 1, sizeof(char *));
        if (!policy->vms)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const char *vm = json_string_value(json_array_get(vms, i));

                if (!vm || !text_is_host_name(vm))
                        return fail(ret_error, "policy", policy->name, "\"vms\" must be names of machines");
                policy->vms[i] = strdup(vm);
                if (!policy->vms[i])
                        return -ENOMEM;
        }
        return 0;
}

/* Whole and plain, with a host; what is at its other end is givc-policy-fetch's concern. */
static bool is_url(const char *s) {
        const char *rest = startswith(s, "https://") ?: startswith(s, "http://");

        for (const char *c = s; *c; c++)
                if (*c <= ' ' || *c > '~')
                        return false;
        return rest && *rest && *rest != '/' && strlen(s) <= POLICY_URL_MAX;
}

/* 0, as deployed: once. */
static bool read_interval(uint64_t *ret_usec, const json_t *object, json_int_t usual) {
        const json_t *interval = json_object_get(object, "poll_interval_secs");
        json_int_t seconds = interval ? json_integer_value(interval) : usual;

        *ret_usec = (uint64_t) seconds * USEC_PER_SEC;
        return (!interval || json_is_integer(interval)) &&
                        (seconds == 0 || (seconds >= POLL_SECONDS_MIN && seconds <= POLL_SECONDS_MAX));
}

static int read_updater(struct policy *policy, const json_t *updater, char **ret_error) {
        const char *url = json_string_value(json_object_get(updater, "url"));

        if (isempty(url))
                return 0;
        if (!is_url(url))
                return fail(ret_error, "policy", policy->name, "its URL must be of https or http");
        if (!read_interval(&policy->poll_usec, updater, POLL_SECONDS))
                return fail(ret_error, "policy", policy->name, INTERVAL_ALLOWED);
        policy->url = strdup(url);
        return policy->url ? 0 : -ENOMEM;
}

/* Nothing that git-check-ref-format(1) forbids and that would be a pattern or an option somewhere. */
static bool is_ref(const char *s) {
        for (const char *c = s; *c; c++)
                if (*c <= ' ' || *c > '~' || strchr("~^:?*[\\", *c))
                        return false;
        return *s && *s != '-' && *s != '+' && *s != '/' && !strstr(s, "..") && strlen(s) <= POLICY_REF_MAX;
}

/* "ref" is what deployed configurations have, and "branch" what the deployed admin reads. */
static int read_repository(struct policies *policies, const json_t *source, char **ret_error) {
        const json_t *ref = json_object_get(source, "ref") ?: json_object_get(source, "branch");
        const char *url = json_string_value(json_object_get(source, "url"));
        const char *name = ref && !json_is_null(ref) ? json_string_value(ref) : "master";

        if (!is_url(strempty(url)))
                return fail(ret_error, "repository", strempty(url), "its \"url\" must be of https or http");
        if (!name || !is_ref(name))
                return fail(ret_error, "ref", strempty(name), "must be a branch, a tag or a commit");
        if (!read_interval(&policies->git_poll_usec, source, GIT_POLL_SECONDS))
                return fail(ret_error, "repository", url, INTERVAL_ALLOWED);
        policies->git_url = strdup(url);
        policies->git_ref = strdup(name);
        return policies->git_url && policies->git_ref ? 0 : -ENOMEM;
}

static int read_policies(struct policies *policies, json_t *object, char **ret_error) {
        const char *name;
        json_t *value;
        int r;

        if (!object)
                return 0;
        if (!json_is_object(object) || json_object_size(object) > POLICIES_MAX)
                return fail(ret_error, "key", "policies", "must be an object of at most 64 policies");
        policies->policies = calloc(json_object_size(object) + 1, sizeof(*policies->policies));
        if (!policies->policies)
                return -ENOMEM;
        json_object_foreach(object, name, value) {
                struct policy *policy = &policies->policies[policies->n_policies];

                /* It is the name of its directory, too. */
                if (!text_is_host_name(name))
                        return fail(ret_error, "policy", name,
                                        "its name must be letters, digits, \".\", \"_\" and \"-\", "
                                        "beginning with a letter or digit");
                policy->name = strdup(name);
                if (!policy->name)
                        return -ENOMEM;
                policies->n_policies++;
                r = read_vms(policy, json_object_get(value, "vms"), ret_error);
                if (r >= 0 && policies->source == POLICIES_BY_URL)
                        r = read_updater(policy, json_object_get(value, "perPolicyUpdater"), ret_error);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_source(struct policies *policies, const json_t *source, char **ret_error) {
        static const char *const kinds[] = { "none", "git-url", "per-policy" };
        const json_t *type = json_object_get(source, "type");
        const char *kind = type ? json_string_value(type) : "none";

        if (source && !json_is_object(source))
                return fail(ret_error, "key", "source", "must be an object");
        for (int i = POLICIES_LOCAL; kind && i <= POLICIES_BY_URL; i++)
                if (streq(kind, kinds[i])) {
                        policies->source = i;
                        return i == POLICIES_GIT ? read_repository(policies, source, ret_error) : 0;
                }
        return fail(ret_error, "type of source", strempty(kind),
                        "must be \"none\", \"git-url\" or \"per-policy\"");
}

static int read_config(struct policies *policies, const char *config, char **ret_error) {
        json_auto_t *root = NULL;
        json_error_t error;
        int r;

        root = json_loads(config, JSON_REJECT_DUPLICATES, &error);
        if (!json_is_object(root)) {
                *ret_error = text_printf("%d:%d: %s", error.line, error.column,
                                root ? "must be an object, { … }" : error.text);
                return -EINVAL;
        }
        r = read_source(policies, json_object_get(root, "source"), ret_error);
        return r < 0 ? r : read_policies(policies, json_object_get(root, "policies"), ret_error);
}

int policies_new(struct policies **ret, const char *config, const char *store, const char *state,
                char **ret_error) {
        _cleanup_(policies_freep) struct policies *policies = NULL;
        int r;

        *ret_error = NULL;
        policies = calloc(1, sizeof(*policies));
        if (!policies)
                return -ENOMEM;
        r = read_config(policies, config, ret_error);
        if (r < 0)
                return r;
        policies->directory = text_printf("%s/data/vm-policies", store ?: POLICIES_DEPLOYED);
        /* Apart, as each keeps a book of what it has fetched. */
        policies->fetched_directory = text_printf("%.*s/policies%s", (int) strcspn(state, ":"), state,
                        policies->source == POLICIES_GIT ? "-git" : "");
        if (!policies->directory || !policies->fetched_directory)
                return -ENOMEM;
        for (size_t i = 0; i < policies->n_policies; i++)
                (void) policies_look(policies, &policies->policies[i]);
        *ret = TAKE_PTR(policies);
        return 0;
}

static void policy_clear(struct policy *policy) {
        for (char **vm = policy->vms; vm && *vm; vm++)
                free(*vm);
        free(policy->vms);
        free(policy->url);
        free(policy->name);
}

struct policies *policies_free(struct policies *policies) {
        if (!policies)
                return NULL;
        for (size_t i = 0; i < policies->n_policies; i++)
                policy_clear(&policies->policies[i]);
        free(policies->policies);
        free(policies->git_url);
        free(policies->git_ref);
        free(policies->directory);
        free(policies->fetched_directory);
        free(policies);
        return NULL;
}

bool policy_is_for(const struct policy *policy, const char *vm) {
        for (char **each = policy->vms; *each; each++)
                if (streq(*each, vm))
                        return true;
        return false;
}

/* ---- the files ---- */

static int is_shown(const struct dirent *entry) {
        return entry->d_name[0] != '.';
}

/* Not what a link points to, and nothing that could be waited for. */
static int open_regular(int directory, const char *name) {
        struct stat st;
        int fd;

        fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                close(fd);
                return -EINVAL;
        }
        return fd;
}

static int open_below(const char *parent, const struct policy *policy, int flags) {
        _cleanup_(freep) char *path = text_printf("%s/%s", parent, policy->name);
        _cleanup_(closep) int directory = -1;
        struct dirent **entries;
        int n, fd = -ENOENT;

        if (!path)
                return -ENOMEM;
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
        if (directory < 0)
                return -errno;
        n = scandirat(directory, ".", &entries, is_shown, alphasort);
        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++) {
                /* A directory among them is none of ours. */
                if (fd == -ENOENT || fd == -EINVAL)
                        fd = open_regular(directory, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return fd == -EINVAL ? -ENOENT : fd;
}

/* What fetches may make links in its directory, and is not to lead us to what it may not read itself. */
int policies_open(const struct policies *policies, const struct policy *policy) {
        bool fetched = policy->url || policies->git_url;
        int fd = fetched ? open_below(policies->fetched_directory, policy, O_NOFOLLOW) : -ENOENT;

        return fd == -ENOENT ? open_below(policies->directory, policy, 0) : fd;
}

bool policies_look(const struct policies *policies, struct policy *policy) {
        _cleanup_(closep) int fd = policies_open(policies, policy);
        struct stat st;
        bool changed;

        if (fd < 0 || fstat(fd, &st) < 0)
                st = (struct stat){};
        changed = policy->seen.device != st.st_dev || policy->seen.inode != st.st_ino ||
                        policy->seen.changed.tv_sec != st.st_ctim.tv_sec ||
                        policy->seen.changed.tv_nsec != st.st_ctim.tv_nsec;
        policy->seen.device = st.st_dev;
        policy->seen.inode = st.st_ino;
        policy->seen.changed = st.st_ctim;
        return changed;
}
