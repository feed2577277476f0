/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The admin's configuration of policies: not hostile, but written by people. */
#include "fuzz.h"

#include "policies.h"
#include "policy-helper.h"

/* Who is told of a URL is not told who we are there. */
static void check_shown(const char *url) {
        _cleanup_(freep) char *shown = policy_helper_show_url(url);
        const char *host;

        must(shown && strlen(shown) <= strlen(url), "there is memory");
        host = strstr(shown, "://");
        host = host ? host + 3 : shown;
        must(!memchr(host, '@', strcspn(host, "/?#")), "a URL is shown without user and password");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = malloc(size + 1), *error = NULL;
        struct policies *policies = NULL;
        int r;

        must(text != NULL, "there is memory");
        memcpy(text, data, size);
        text[size] = '\0';
        r = policies_new(&policies, text, NULL, "/state", &error);
        must((r < 0) == (error != NULL) && (r < 0) == (policies == NULL),
                        "an error has a text, and nothing else");
        must(!policies || (policies->source == POLICIES_GIT) == (policies->git_url && policies->git_ref),
                        "a repository has a URL and a ref");
        must(!policies || !policies->git_url || (*policies->git_url != '-' && *policies->git_ref != '-'),
                        "neither is an option");
        if (policies && policies->git_url)
                check_shown(policies->git_url);
        for (size_t i = 0; policies && i < policies->n_policies; i++) {
                if (policies->policies[i].url)
                        check_shown(policies->policies[i].url);
                must(!strchr(policies->policies[i].name, '/'), "a name is one of a directory");
                must(!policy_is_for(&policies->policies[i], ""), "nobody has no name");
        }
        policies_free(policies);
        return 0;
}
