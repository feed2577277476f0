/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * givc-update-query: what givcctl becomes for `update query --source=URL`, with the same command line. It is
 * a program of its own since libcurl, and what that links, would make every start of givcctl slower.
 *
 * The server (ota-update's) is asked for SOURCE/update/PIN.
 */
#include "failure.h"
#include "http-get.h"
#include "options.h"
#include "output.h"
#include "text.h"
#include "update-offers.h"

#include <signal.h>
#include <stdio.h>

#define DEFAULT_PIN "ghaf-updates"
#define BYTES_MAX   (1024 * 1024)

/* ---- what there is ---- */

/* SOURCE/update/PIN, for curl_free(). */
static char *make_url(CURL *curl, const struct options *options) {
        char *pin = curl_easy_escape(curl, options->pin_name ?: DEFAULT_PIN, 0);
        size_t n = strlen(options->source);
        char *url;

        while (n > 0 && options->source[n - 1] == '/')
                n--;
        url = pin ? text_printf("%.*s/update/%s", (int) n, options->source, pin) : NULL;
        curl_free(pin);
        return url;
}

static int ask(CURL *curl, const struct options *options, struct http_get *get) {
        _cleanup_(freep) char *url = make_url(curl, options);
        uint64_t seconds = options->timeout_usec / USEC_PER_SEC;
        char error[CURL_ERROR_SIZE] = "";
        CURLcode code;
        long status = 0;

        if (!url ||
                        !http_get_set_up(curl, url, (long) MIN(MAX(seconds, UINT64_C(1)), UINT64_C(86400)),
                                        get, error))
                return fail_errno(-ENOMEM, "cannot ask for updates");
        code = curl_easy_perform(curl);
        if (code == CURLE_WRITE_ERROR) {
                complain("%s: the answer is larger than 1 MiB", url);
                return EXIT_FAILED;
        }
        if (code != CURLE_OK) {
                complain("cannot ask %s: %s", url, isempty(error) ? curl_easy_strerror(code) : error);
                return code == CURLE_OPERATION_TIMEDOUT ? EXIT_DEADLINE : EXIT_UNAVAILABLE;
        }
        (void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (status != 200) {
                complain("%s: the server answers %li", url, status);
                return status == 404 ? EXIT_NOT_FOUND : EXIT_FAILED;
        }
        return EXIT_DONE;
}

/* ---- showing it ---- */

static int print_raw(const struct update_offer *offers, size_t n) {
        for (size_t i = 0; i < n; i++) {
                output_text(stdout, offers[i].path);
                putchar('\n');
        }
        return 0;
}

static int print_json(const struct update_offer *offers, size_t n) {
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                if (json_array_append_new(list,
                                    json_pack("{s:o*,s:o*,s:b,s:o*}", "name",
                                                    output_text_json(offers[i].name), "storePath",
                                                    output_text_json(offers[i].path), "current",
                                                    offers[i].current, "pubKey",
                                                    output_text_json(offers[i].key))) < 0) {
                        json_decref(list);
                        return -ENOMEM;
                }
        return output_json(stdout, list);
}

static int print_table(const struct update_offer *offers, size_t n) {
        static const struct output_column heads[] = { { "NAME", .is_cut = true }, { "CURRENT" },
                { "STORE PATH" } };
        _cleanup_(freep) const char **cells = calloc(n * ELEMENTSOF(heads) + 1, sizeof(*cells));

        if (!cells)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const char **row = cells + i * ELEMENTSOF(heads);

                row[0] = offers[i].name;
                row[1] = offers[i].current ? "yes" : "";
                row[2] = offers[i].path;
        }
        return output_cells(stdout, heads, ELEMENTSOF(heads), cells, n);
}

static int show(const struct options *options, const struct buffer *body) {
        _cleanup_(update_offers_clear) struct update_offers offers = {};
        int r = update_offers_read(
                        &offers, (const char *) buffer_bytes(body), buffer_length(body), options->current);

        if (r >= 0 && options->raw)
                r = print_raw(offers.offers, offers.n);
        else if (r >= 0 && (options->json || options->compatible))
                r = print_json(offers.offers, offers.n);
        else if (r >= 0)
                r = print_table(offers.offers, offers.n);
        if (r == -EBADMSG) {
                complain("the server's answer is no list of updates");
                return EXIT_FAILED;
        }
        return r < 0 ? fail_errno(r, "cannot print") : EXIT_DONE;
}

/* ---- all of it ---- */

static int run(const struct options *options) {
        struct http_get get = { .max = BYTES_MAX };
        CURL *curl = curl_easy_init();
        int code = curl ? ask(curl, options, &get) : fail_errno(-ENOMEM, "cannot ask for updates");

        if (code == EXIT_DONE)
                code = show(options, &get.body);
        curl_easy_cleanup(curl);
        buffer_clear(&get.body);
        return code;
}

int main(int argc, char **argv) {
        _cleanup_(options_clear) struct options options = OPTIONS_NULL;
        _cleanup_(freep) char *error = NULL;

        signal(SIGPIPE, SIG_IGN);
        if (options_parse(&options, argc, argv, &error) < 0 || !options.source)
                return fail_usage("%s", error ?: "there is no --source");
        return exit_finish(run(&options), 0, options.compatible);
}
