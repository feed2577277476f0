/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The admin's configuration of policies, and their files. */
#include "policies.h"
#include "text.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static struct policies *read_good(const char *config) {
        _cleanup_(freep) char *error = NULL;
        struct policies *policies;

        cr_assert_eq(policies_new(&policies, config, "/store", "/state:/other", &error), 0, "%s: %s", config,
                        error);
        cr_assert_null(error);
        return policies;
}

Test(policies, the_deployed_form_is_read) {
        _cleanup_(policies_freep) struct policies *policies = read_good(
                        "{ \"source\": { \"type\": \"none\" }, \"policies\": { \"proxy-config\": { \"vms\": "
                        "[\"app-vm\", \"net-vm\"], \"perPolicyUpdater\": { \"url\": \"\", "
                        "\"poll_interval_secs\": 30 } }, \"other\": { \"vms\": [] } } }");

        cr_assert_eq(policies->n_policies, 2);
        cr_assert_str_eq(policies->directory, "/store/data/vm-policies");
        cr_assert_str_eq(policies->policies[0].name, "proxy-config");
        cr_assert(policy_is_for(&policies->policies[0], "app-vm"));
        cr_assert(policy_is_for(&policies->policies[0], "net-vm"));
        cr_assert_not(policy_is_for(&policies->policies[0], "app"));
        cr_assert_not(policy_is_for(&policies->policies[1], "app-vm"));
        cr_assert_eq(policies->source, POLICIES_LOCAL);
        cr_assert_str_eq(policies->fetched_directory, "/state/policies");
}

Test(policies, a_source_is_known_as_one) {
        _cleanup_(policies_freep) struct policies *none = read_good("{}");
        _cleanup_(policies_freep) struct policies *git = read_good(
                        "{ \"source\": { \"type\": \"git-url\", \"url\": \"https://x/y\", \"ref\": "
                        "\"main\" }, \"policies\": {} }");

        cr_assert(none->n_policies == 0 && none->source == POLICIES_LOCAL);
        cr_assert(git->n_policies == 0 && git->source == POLICIES_GIT);
        cr_assert_str_eq(git->fetched_directory, "/state/policies-git");
}

#define BY_URL(updater)                                                                                     \
        "{ \"source\": { \"type\": \"per-policy\" }, \"policies\": { \"x\": { \"vms\": [], "                \
        "\"perPolicyUpdater\": "                                                                            \
        "{ " updater " } } } }"

#define OF_GIT(source) "{ \"source\": { \"type\": \"git-url\", " source " }, \"policies\": {} }"

Test(policies, a_repository_has_a_url_a_ref_and_an_interval) {
        _cleanup_(policies_freep) struct policies *git = read_good(OF_GIT(
                        "\"url\": \"https://x/y.git\", \"ref\": \"site/1.0\", \"poll_interval_secs\": 30"));
        _cleanup_(policies_freep) struct policies *usual =
                        read_good(OF_GIT("\"url\": \"http://x\", \"ref\": null"));
        _cleanup_(policies_freep) struct policies *once = read_good(
                        OF_GIT("\"url\": \"http://x\", \"branch\": \"main\", \"poll_interval_secs\": 0"));
        _cleanup_(policies_freep) struct policies *none = read_good(BY_URL("\"url\": \"https://x\""));

        cr_assert_str_eq(git->git_url, "https://x/y.git");
        cr_assert_str_eq(git->git_ref, "site/1.0");
        cr_assert_eq(git->git_poll_usec, 30 * USEC_PER_SEC);
        cr_assert_str_eq(usual->git_ref, "master");
        cr_assert_eq(usual->git_poll_usec, 300 * USEC_PER_SEC);
        cr_assert_str_eq(once->git_ref, "main");
        cr_assert_eq(once->git_poll_usec, 0);
        cr_assert_null(none->git_url);
}

Test(policies, one_may_have_a_url) {
        _cleanup_(policies_freep) struct policies *policies =
                        read_good(BY_URL("\"url\": \"https://x/y?z\", \"poll_interval_secs\": 30"));
        _cleanup_(policies_freep) struct policies *usual = read_good(BY_URL("\"url\": \"http://x\""));
        _cleanup_(policies_freep) struct policies *none = read_good(BY_URL("\"url\": \"\""));

        cr_assert_str_eq(policies->policies[0].url, "https://x/y?z");
        cr_assert_eq(policies->policies[0].poll_usec, 30 * USEC_PER_SEC);
        cr_assert_eq(usual->policies[0].poll_usec, 60 * USEC_PER_SEC);
        cr_assert_null(none->policies[0].url);
}

Test(policies, nonsense_is_refused) {
        static const char *const wrong[] = {
                "",
                "[]",
                "{",
                "{} {}",
                "{ \"policies\": [] }",
                "{ \"policies\": { \"../x\": { \"vms\": [] } } }",
                "{ \"policies\": { \".x\": { \"vms\": [] } } }",
                "{ \"policies\": { \"\": { \"vms\": [] } } }",
                "{ \"policies\": { \"x\": {} } }",
                "{ \"policies\": { \"x\": [] } }",
                "{ \"policies\": { \"x\": { \"vms\": \"app-vm\" } } }",
                "{ \"policies\": { \"x\": { \"vms\": [\"app vm\"] } } }",
                "{ \"policies\": { \"x\": { \"vms\": [1] } } }",
                "{ \"policies\": { \"x\": { \"vms\": [] }, \"x\": { \"vms\": [] } } }",
                "{ \"source\": [] }",
                BY_URL("\"url\": \"file:///etc/shadow\""),
                BY_URL("\"url\": \"https://\""),
                BY_URL("\"url\": \"https:///x\""),
                BY_URL("\"url\": \"https://x/ y\""),
                BY_URL("\"url\": \"-o\""),
                BY_URL("\"url\": \"https://x\", \"poll_interval_secs\": 4"),
                BY_URL("\"url\": \"https://x\", \"poll_interval_secs\": -1"),
                BY_URL("\"url\": \"https://x\", \"poll_interval_secs\": \"30\""),
                OF_GIT("\"ref\": \"main\""),
                OF_GIT("\"url\": \"\""),
                OF_GIT("\"url\": 1"),
                OF_GIT("\"url\": \"file:///var/lib/x\""),
                OF_GIT("\"url\": \"git@x:y.git\""),
                OF_GIT("\"url\": \"--upload-pack=x\""),
                OF_GIT("\"url\": \"https://x\", \"ref\": \"\""),
                OF_GIT("\"url\": \"https://x\", \"ref\": 1"),
                OF_GIT("\"url\": \"https://x\", \"ref\": \"-x\""),
                OF_GIT("\"url\": \"https://x\", \"ref\": \"+x:y\""),
                OF_GIT("\"url\": \"https://x\", \"ref\": \"a b\""),
                OF_GIT("\"url\": \"https://x\", \"ref\": \"a..b\""),
                OF_GIT("\"url\": \"https://x\", \"ref\": \"*\""),
                OF_GIT("\"url\": \"https://x\", \"poll_interval_secs\": 1"),
                OF_GIT("\"url\": \"https://x\", \"poll_interval_secs\": 604801"),
                OF_GIT("\"url\": \"https://x\", \"poll_interval_secs\": 9223372036854775807"),
                OF_GIT("\"url\": \"https://x\", \"poll_interval_secs\": \"30\""),
                "{ \"source\": { \"type\": \"ftp\" } }",
                "{ \"source\": { \"type\": 1 } }",
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                _cleanup_(policies_freep) struct policies *policies = NULL;
                _cleanup_(freep) char *error = NULL;

                cr_expect_eq(policies_new(&policies, wrong[i], NULL, "/state", &error), -EINVAL,
                                "%s was taken", wrong[i]);
                cr_expect_not_null(error);
        }
}

Test(policies, no_more_than_there_is_room_for) {
        _cleanup_(policies_freep) struct policies *policies = NULL;
        _cleanup_(freep) char *error = NULL;
        char text[8192];
        size_t n;

        n = (size_t) snprintf(text, sizeof(text), "{ \"policies\": { \"x\": { \"vms\": [] }");
        for (unsigned i = 0; i < POLICIES_MAX; i++)
                n += (size_t) snprintf(text + n, sizeof(text) - n, ", \"x%u\": { \"vms\": [] }", i);
        (void) snprintf(text + n, sizeof(text) - n, "} }");
        cr_assert_eq(policies_new(&policies, text, NULL, "/state", &error), -EINVAL);
        cr_assert_not_null(strstr(error, "64"));
}

/* ---- files ---- */

static char store[] = "/tmp/test-policies-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static void make_store(void) {
        char path[64];

        cr_assert_not_null(mkdtemp(store));
        snprintf(path, sizeof(path), "%s/data", store);
        cr_assert_eq(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/data/vm-policies", store);
        cr_assert_eq(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/data/vm-policies/x", store);
        cr_assert_eq(mkdir(path, 0755), 0);
}

static void remove_store(void) {
        cr_assert_eq(nftw(store, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static const char *in_store(const char *name) {
        static char path[128];

        snprintf(path, sizeof(path), "%s/data/vm-policies/x/%s", store, name);
        return path;
}

static void write_file(const char *name) {
        _cleanup_(closep) int fd = open(in_store(name), O_CREAT | O_WRONLY, 0644);

        cr_assert_eq(write(fd, name, strlen(name)), (ssize_t) strlen(name));
}

Test(policies, the_file_is_the_first_that_is_one, .init = make_store, .fini = remove_store) {
        _cleanup_(policies_freep) struct policies *policies = NULL;
        _cleanup_(freep) char *error = NULL;
        _cleanup_(closep) int fd = -1;
        char found[16] = "";

        cr_assert_eq(policies_new(&policies, "{ \"policies\": { \"x\": { \"vms\": [] } } }", store, "/state",
                                     &error),
                        0);
        cr_assert_eq(policies_open(policies, policies->policies), -ENOENT);
        write_file(".hidden");
        cr_assert_eq(mkdir(in_store("a"), 0755), 0);
        cr_assert_eq(mkfifo(in_store("aa"), 0644), 0);
        cr_assert_eq(policies_open(policies, policies->policies), -ENOENT);
        write_file("c.json");
        write_file("b.json");
        fd = policies_open(policies, policies->policies);
        cr_assert_geq(fd, 0);
        cr_assert_eq(read(fd, found, sizeof(found) - 1), 6);
        cr_assert_str_eq(found, "b.json");
}

/* What fetches may make them, and may not read what it wants; in the store they are the system's own. */
Test(policies, a_link_is_not_followed_to_what_was_fetched, .init = make_store, .fini = remove_store) {
        static const char config[] = "{ \"source\": { \"type\": \"per-policy\" }, \"policies\": { \"x\": { "
                                     "\"vms\": [], \"perPolicyUpdater\": { \"url\": \"http://h/x\" } } } }";
        _cleanup_(policies_freep) struct policies *policies = NULL;
        _cleanup_(freep) char *error = NULL, *fetched = text_printf("%s/policies", store),
                              *link = text_printf("%s/policies/x", store);
        int fd;

        write_file("key.pem");
        cr_assert_eq(mkdir(fetched, 0755), 0);
        cr_assert_eq(symlink("../data/vm-policies/x", link), 0);
        cr_assert_eq(policies_new(&policies, config, "/nowhere", store, &error), 0, "%s", error);
        fd = policies_open(policies, policies->policies);
        cr_assert(fd == -ENOTDIR || fd == -ELOOP, "%d", fd);
}

Test(policies, a_change_of_a_file_is_seen_once, .init = make_store, .fini = remove_store) {
        _cleanup_(policies_freep) struct policies *policies = NULL;
        _cleanup_(freep) char *error = NULL, *other = NULL;
        struct policy *policy;

        write_file("a.json");
        cr_assert_eq(policies_new(&policies, "{ \"policies\": { \"x\": { \"vms\": [] } } }", store, "/state",
                                     &error),
                        0);
        policy = policies->policies;
        cr_assert_not(policies_look(policies, policy), "it was there at the start");
        other = strdup(in_store("b.json"));
        write_file("b.json");
        cr_assert_not(policies_look(policies, policy), "another is the first");
        cr_assert_eq(rename(other, in_store("a.json")), 0);
        cr_assert(policies_look(policies, policy), "it was replaced");
        cr_assert_not(policies_look(policies, policy));
        cr_assert_eq(unlink(in_store("a.json")), 0);
        cr_assert(policies_look(policies, policy), "it is gone");
        cr_assert_not(policies_look(policies, policy));
        write_file("c.json");
        cr_assert(policies_look(policies, policy), "there is one");
}
