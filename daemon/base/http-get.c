/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "http-get.h"

#include "text.h"

#define CONNECT_SECONDS 20L
#define REDIRECTS_MAX   5L

static size_t take(char *data, size_t size, size_t n, void *userdata) {
        struct http_get *get = userdata;

        if (n > get->max - buffer_length(&get->body) || buffer_append(&get->body, data, n) < 0)
                return CURL_WRITEFUNC_ERROR;
        return n;
}

bool http_get_set_up(CURL *curl, const char *url, long seconds, struct http_get *get, char *error) {
        return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                                        startswith(url, "https:") ? "https" : "http,https") == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX) == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_TIMEOUT, seconds) == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_USERAGENT, "givc") == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
                        curl_easy_setopt(curl, CURLOPT_WRITEDATA, get) == CURLE_OK;
}
