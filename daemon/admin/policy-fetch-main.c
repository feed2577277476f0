/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * givc-policy-fetch URL DIRECTORY: brings a policy into DIRECTORY/policy.bin, if it is another than what it
 * has brought there before, which the server knows by its ETag. For the admin: policy-helper.h.
 */
#include "file.h"
#include "http-get.h"
#include "policies.h"
#include "policy-helper.h"
#include "text.h"

#include <fcntl.h>
#include <stdio.h>

/* Together less than the admin waits. */
#define FETCH_SECONDS 110L
/* An ETag, and a URL with it. */
#define ETAG_MAX  256
#define STATE_MAX (POLICY_URL_MAX + ETAG_MAX + 16)

/* ---- what was fetched the last time ---- */

/* Printable, as RFC 9110 8.8.3 has it, and short enough. */
static bool is_etag(const char *s) {
        size_t n = strlen(s);

        for (size_t i = 0; i < n; i++)
                if (s[i] < ' ' || s[i] > '~')
                        return false;
        return n > 0 && n <= ETAG_MAX;
}

/* The ETag of what is there, on the heap, or NULL: there is nothing, or nothing of this URL. */
static char *read_etag(const char *path, const char *policy, const char *url) {
        _cleanup_(freep) char *text = NULL;
        char *etag;

        if (access(policy, F_OK) < 0 || text_read_file(path, STATE_MAX, &text, NULL) < 0)
                return NULL;
        etag = strchr(text, '\n');
        if (!etag)
                return NULL;
        *etag++ = '\0';
        return streq(text, url) && is_etag(etag) ? strdup(etag) : NULL;
}

static bool is_same(const char *path, const void *data, size_t size) {
        _cleanup_(freep) char *text = NULL;
        size_t n = 0;

        return text_read_file(path, size, &text, &n) >= 0 && n == size &&
                        (n == 0 || memcmp(text, data, n) == 0);
}

static int write_etag(const char *path, const char *url, const char *etag) {
        _cleanup_(freep) char *text = text_printf("%s\n%s", url, etag && is_etag(etag) ? etag : "");

        if (!text)
                return -ENOMEM;
        /* The disk is spared where a server has none. */
        if (is_same(path, text, strlen(text)))
                return 0;
        return file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600);
}

/* ---- fetching ---- */

static int install(CURL *curl, const char *url, const char *policy, const char *state,
                const struct buffer *body) {
        /* Of a server without ETags, say, or with another one for what it has had before. */
        bool same = is_same(policy, buffer_bytes(body), buffer_length(body));
        struct curl_header *etag = NULL;
        int r;

        (void) curl_easy_header(curl, "ETag", 0, CURLH_HEADER, -1, &etag);
        if (!same) {
                r = file_write_atomic(AT_FDCWD, policy, buffer_bytes(body), buffer_length(body), 0600);
                if (r < 0)
                        return policy_helper_fail(policy, strerror(-r));
        }
        r = write_etag(state, url, etag ? etag->value : NULL);
        if (r < 0)
                return policy_helper_fail(state, strerror(-r));
        return same ? POLICY_FETCH_SAME : POLICY_FETCH_CHANGED;
}

static bool set_up(
                CURL *curl, const char *url, struct curl_slist *headers, struct http_get *get, char *error) {
        return http_get_set_up(curl, url, FETCH_SECONDS, get, error) &&
                        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
}

static int fetch(CURL *curl, const char *url, const char *shown, const char *policy, const char *state,
                struct http_get *get) {
        _cleanup_(freep) char *etag = read_etag(state, policy, url), *header = NULL;
        struct curl_slist *headers = NULL;
        char error[CURL_ERROR_SIZE] = "";
        CURLcode code;
        long status = 0;

        header = etag ? text_printf("If-None-Match: %s", etag) : NULL;
        headers = header ? curl_slist_append(NULL, header) : NULL;
        code = set_up(curl, url, headers, get, error) ? curl_easy_perform(curl) : CURLE_FAILED_INIT;
        curl_slist_free_all(headers);
        if (code == CURLE_WRITE_ERROR)
                return policy_helper_fail(shown, "it is larger than 16 MiB");
        if (code != CURLE_OK)
                return policy_helper_fail(shown, isempty(error) ? curl_easy_strerror(code) : error);
        (void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (status == 304 && etag)
                return POLICY_FETCH_SAME;
        if (status != 200) {
                fprintf(stderr, "%s: the server answers %li\n", shown, status);
                return EXIT_FAILURE;
        }
        return install(curl, url, policy, state, &get->body);
}

int main(int argc, char **argv) {
        _cleanup_(freep) char *policy = NULL, *state = NULL, *shown = NULL;
        const char *url = getenv(POLICY_FETCH_URL);
        struct http_get get = { .max = POLICY_BYTES_MAX };
        CURL *curl;
        int r;

        if (argc != 2 || !url)
                return policy_helper_fail("givc-policy-fetch", "a URL and a directory expected");
        r = policy_helper_confine(argv[1]);
        if (r < 0)
                return policy_helper_fail("Cannot let go of rights", strerror(-r));
        policy = text_printf("%s/policy.bin", argv[1]);
        state = text_printf("%s/.etag", argv[1]);
        shown = policy_helper_show_url(url);
        curl = curl_easy_init();
        r = policy && state && shown && curl ? fetch(curl, url, shown, policy, state, &get)
                                             : policy_helper_fail(argv[1], "out of memory");
        curl_easy_cleanup(curl);
        buffer_clear(&get.body);
        return r;
}
