/* SPDX-License-Identifier: MIT */

#include <arpa/inet.h>
#include <curl/curl.h>

#include "core/api-root.h"
#include "io/botapi-client.h"

static bool host_is_loopback(const char *host)
{
        struct in_addr v4;

        /* libcurl resolves this name itself since 7.78, whatever the resolver would say. */
        if (streq(host, "localhost") || streq(host, "[::1]"))
                return true;
        return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static int root_host(const char *root, char **ret)
{
        CURLU *u = curl_url();
        CURLUcode code = CURLUE_OUT_OF_MEMORY;

        if (u)
                code = curl_url_set(u, CURLUPART_URL, root, 0);
        if (code == CURLUE_OK)
                code = curl_url_get(u, CURLUPART_HOST, ret, 0);
        curl_url_cleanup(u);

        if (code == CURLUE_OUT_OF_MEMORY)
                return -ENOMEM;
        return code == CURLUE_OK ? 0 : -EINVAL;
}

int botapi_root_check(const char *root, const char **ret_why)
{
        bool encrypted = startswith(root, "https://");
        const char *why = api_root_complaint(root);
        char *host = NULL;

        if (!why) {
                int r = root_host(root, &host);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        why = "it is not a valid address";
                else if (!encrypted && !host_is_loopback(host))
                        why = "http is for this host alone (127.0.0.1, [::1], localhost): over a network only https "
                              "keeps the token secret";
        }
        curl_free(host);
        if (!why)
                return 0;

        *ret_why = why;
        return -EINVAL;
}
